# SPDX-License-Identifier: Apache-2.0
"""What the profiles' tests share: a text of a profile, and the digests that others compute."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from watchword.core.guest.document import read_profile
from watchword.core.guest.problems import ProfileInvalid
from watchword.core.simulator.kernel_table import kernel_table
from watchword.core.simulator.save_area import BOOT_RESET_ADDRESS, SaveAreaKind, save_area

NOW = datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 9, 30, 0, tzinfo=UTC)
RESET = 0x80B004
MILAN = 0xA00F11

PLAIN = """\
name = "vm1"
technology = "sev"
policy = 0x1100002b
firmware = "/srv/OVMF.fd"
"""


def problems(text):
    """The problems of a profile's text: place and line, with the sentences."""
    try:
        read_profile(text.encode(), "vm1.toml")
    except ProfileInvalid as error:
        return {(".".join(map(str, one.path)), one.line): one.sentence for one in error.problems}
    return {}


def sha256(data):
    return hashlib.sha256(data).digest()


def digest_of(firmware, *, table=b"", vcpus=0, cpu=MILAN, kind=SaveAreaKind.LEGACY, features=0):
    """A launch digest by plain SHA-256 over what the simulated QEMU would load."""
    running = hashlib.sha256(firmware + table)
    for number in range(vcpus):
        start = RESET if number else BOOT_RESET_ADDRESS
        running.update(save_area(start, cpu, kind, features))
    return running.digest()


__all__ = ["digest_of", "kernel_table", "problems", "sha256"]
