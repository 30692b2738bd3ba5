# SPDX-License-Identifier: Apache-2.0
"""Rehearsed launches that documents are made from; each is played once."""

from __future__ import annotations

import pytest

from watchword.core.rehearsal.rehearse import RehearsedGuest
from watchword.core.sev.cpu_models import parse_cpu
from watchword.core.sev.digest import VcpuSetup
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.policy import approve_policy, parse_policy
from watchword.core.simulator import PlatformKeys

from .made import play

PLAIN = approve_policy(parse_policy("nodbg,noks,nosend,sev,min-api=0.17"))
CMDLINE = "root=/dev/mapper/web1-root console=ttyS0 quiet"


@pytest.fixture(scope="session")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture(scope="session")
def plain(keys):
    """Plain SEV, firmware alone."""
    return play(RehearsedGuest(policy=PLAIN), keys)


@pytest.fixture(scope="session")
def es(keys):
    """SEV-ES with three vCPUs and a measured kernel."""
    guest = RehearsedGuest(
        kernel=b"a kernel",
        initrd=b"an initrd",
        cmdline=CMDLINE,
        vcpus=VcpuSetup(3, parse_cpu("EPYC-Milan")),
    )
    return play(guest, keys)


@pytest.fixture(scope="session")
def refused(keys):
    """A host that started other firmware."""
    return play(RehearsedGuest(policy=PLAIN), keys, "wrong-firmware")


@pytest.fixture(scope="session")
def waived(keys):
    """A policy that lets the host debug the guest, with a typed reason."""
    policy = approve_policy(parse_policy("noks,nosend,sev,min-api=0.17"), "lab machine only")
    return play(RehearsedGuest(policy=policy), keys)


@pytest.fixture(scope="session")
def plain_document(plain):
    return plain.document()


@pytest.fixture(scope="session")
def es_document(es):
    return es.document()


@pytest.fixture(scope="session")
def image(plain):
    """The firmware of every one of these launches."""
    return FirmwareImage.from_bytes(plain.guest.firmware)
