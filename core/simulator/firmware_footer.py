# SPDX-License-Identifier: Apache-2.0
"""What QEMU reads from the GUIDed table at the end of a guest firmware.

Source: QEMU hw/i386/pc_sysfw_ovmf.c; edk2 OvmfPkg/ResetVector. The reader is the simulator's
own, so that the owner's reader has something to differ from.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

FOOTER_GUID = uuid.UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
RESET_BLOCK_GUID = uuid.UUID("00f771de-1a7e-4fcb-890e-68c77e2fb44e").bytes_le
SECRET_AREA_GUID = uuid.UUID("4c2eb361-7d9b-4cc3-8081-127c90d3d294").bytes_le
HASH_AREA_GUID = uuid.UUID("7255371f-3a3b-4b04-927b-1da6efa8d454").bytes_le

TABLE_END = 32
"""The table ends this many bytes before the end of the image: there the reset vector is."""

ENTRY_TAIL = struct.Struct("<H16s")
"""What follows the data of each entry: its whole length (with this tail) and its GUID."""

_AREA = struct.Struct("<II")
_ADDRESS = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class MemoryArea:
    """A range of guest memory that the firmware set aside (bytes)."""

    base: int
    size: int


@dataclass(frozen=True, slots=True)
class FirmwareAreas:
    """What a firmware declares; None where it has no such entry (0/0 is an entry)."""

    reset_address: int | None
    secret: MemoryArea | None
    hashes: MemoryArea | None


def read_footer(image: bytes) -> FirmwareAreas:
    """The areas that an image declares; a damaged table counts as none, as QEMU has it."""
    entries = dict(_entries(image))
    reset = entries.get(RESET_BLOCK_GUID, b"")
    address = _ADDRESS.unpack_from(reset)[0] if len(reset) >= _ADDRESS.size else None
    if address is None:
        address = _reset_without_table(image)
    return FirmwareAreas(
        reset_address=address,
        secret=_area(entries.get(SECRET_AREA_GUID, b"")),
        hashes=_area(entries.get(HASH_AREA_GUID, b"")),
    )


def _entries(image: bytes) -> Iterator[tuple[bytes, bytes]]:
    """GUID and data of each entry, from the end of the table to its start."""
    footer_start = len(image) - TABLE_END - ENTRY_TAIL.size
    if footer_start < 0:
        return
    table_size, guid = ENTRY_TAIL.unpack_from(image, footer_start)
    if guid != FOOTER_GUID or not ENTRY_TAIL.size <= table_size <= len(image) - TABLE_END:
        return
    start, end = len(image) - TABLE_END - table_size, footer_start
    while end - start >= ENTRY_TAIL.size:
        size, guid = ENTRY_TAIL.unpack_from(image, end - ENTRY_TAIL.size)
        if not ENTRY_TAIL.size <= size <= end - start:
            return
        yield guid, image[end - size : end - ENTRY_TAIL.size]
        end -= size


def _reset_without_table(image: bytes) -> int | None:
    """Images from before 2021 carry the reset block alone, where the footer is today."""
    end = len(image) - TABLE_END
    if end < ENTRY_TAIL.size + _ADDRESS.size:
        return None
    size, guid = ENTRY_TAIL.unpack_from(image, end - ENTRY_TAIL.size)
    if guid != RESET_BLOCK_GUID or size != ENTRY_TAIL.size + _ADDRESS.size:
        return None
    address: int = _ADDRESS.unpack_from(image, end - size)[0]
    return address


def _area(data: bytes) -> MemoryArea | None:
    return MemoryArea(*_AREA.unpack_from(data)) if len(data) >= _AREA.size else None
