# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the profiles' tests: files to approve, and profiles that name them."""

from __future__ import annotations

import pytest

from watchword.core.guest.approvals import APPROVABLE
from watchword.core.guest.approving import approve
from watchword.core.guest.document import profile_from_document
from watchword.core.simulator import build_firmware

from .support import NOW


@pytest.fixture
def files(tmp_path):
    """A firmware, a kernel and an initrd, by name."""
    contents = {"OVMF.fd": build_firmware(), "vmlinuz": b"a kernel", "initrd": b"an initrd"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in contents}


@pytest.fixture
def make(files):
    """Makes a profile of these files: ``make(kernel="vmlinuz", vcpus="1-2")``, SEV-ES if vCPUs.

    ``approved=False`` leaves the files as they are named, not looked at.
    """

    def build(approved=True, **values):
        es = "vcpus" in values
        document = {
            "name": "vm1",
            "technology": "sev-es" if es else "sev",
            "policy": "default" if es else "0x1100002b",
            "firmware": "OVMF.fd",
            **({"cpu": "EPYC-Milan"} if es else {}),
            **values,
        }
        for component in ("firmware", "kernel", "initrd"):
            if component in document:
                named = document[component]
                named = named if isinstance(named, list) else [named]
                document[component] = [
                    str(files.get(one, one)) if isinstance(one, str) else one for one in named
                ]
        profile = profile_from_document(document, "guest profile vm1")
        return approve(profile, APPROVABLE, NOW)[0] if approved else profile

    return build
