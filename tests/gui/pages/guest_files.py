# SPDX-License-Identifier: Apache-2.0
"""Profiles and their files for tests of the page Guests."""

from __future__ import annotations

import hashlib

from watchword.core.simulator import build_firmware


def firmware_file(folder, name="OVMF.fd"):
    """A firmware of the simulator's, at a path."""
    path = folder / name
    path.write_bytes(build_firmware())
    return path


def plain_document(folder, name="vm1", **values):
    """The document of a plain SEV guest with a firmware in ``folder``."""
    return {
        "name": name,
        "technology": "sev",
        "policy": "0x1100002b",
        "firmware": [{"path": str(folder / "OVMF.fd")}],
        **values,
    }


def changed(firmware):
    """The file with one byte turned over; its new hash."""
    data = bytearray(firmware.read_bytes())
    data[0] ^= 1
    firmware.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
