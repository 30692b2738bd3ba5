# SPDX-License-Identifier: Apache-2.0
"""The table of kernel hashes that QEMU puts into guest memory with kernel-hashes=on.

Source: QEMU target/i386/sev.c (sev_add_kernel_loader_hashes).
"""

from __future__ import annotations

import hashlib
import struct
import uuid

PADDED_SIZE = 176
_HEADER = uuid.UUID("9438d606-4f22-4cc9-b479-a793d411fd21")
_COMMAND_LINE = uuid.UUID("97d02dd8-bd20-4c94-aa78-e7714d36ab2a")
_INITRD = uuid.UUID("44baf731-3a2f-4bd7-9af1-41e29169781d")
_KERNEL = uuid.UUID("4de79437-abd2-427f-b835-d5b172d2045b")
_LENGTH = struct.Struct("<H")


def kernel_table(kernel: bytes, initrd: bytes, command_line: str) -> bytes:
    """The padded table (176 bytes): hashes of command line with its NUL, initrd and kernel."""
    entries = (
        _entry(_COMMAND_LINE, command_line.encode() + b"\0")
        + _entry(_INITRD, initrd)
        + _entry(_KERNEL, kernel)
    )
    length = 16 + _LENGTH.size + len(entries)
    return (_HEADER.bytes_le + _LENGTH.pack(length) + entries).ljust(PADDED_SIZE, b"\0")


def _entry(guid: uuid.UUID, content: bytes) -> bytes:
    digest = hashlib.sha256(content).digest()
    return guid.bytes_le + _LENGTH.pack(16 + _LENGTH.size + len(digest)) + digest
