# SPDX-License-Identifier: Apache-2.0
"""Reads GPT and MBR partition tables of images that anybody may have altered."""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..errors import BadInput
from .image_errors import damaged_table

Read = Callable[[int, int], bytes]
"""Reads so many bytes at an offset, all of them; raises BadInput ``image-too-short``."""

SECTOR: Final = 512
ESP_TYPE: Final = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
_MOST_ENTRIES: Final = 128
"""More than any tool makes by itself; a larger table is not read."""
_MBR_ENTRY: Final = struct.Struct("<B3xB3xII")
_GPT_HEADER: Final = struct.Struct("<8s4sIIIQQQQ16sQIII")
_GPT_ENTRY: Final = struct.Struct("<16s16sQQQ72s")
_EXTENDED: Final = frozenset((0x05, 0x0F, 0x85))
_PROTECTIVE: Final = 0xEE
_MBR_ESP: Final = 0xEF


class TableKind(StrEnum):
    """How an image is divided."""

    GPT = "gpt"
    MBR = "mbr"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: ``number`` from 1, ``offset`` and ``size`` in bytes.

    ``type_id`` is a GUID in lower case, or two hex digits in an MBR; ``unique_id`` and
    ``name`` are a GPT's.
    """

    number: int
    offset: int
    size: int
    type_id: str
    unique_id: str = ""
    name: str = ""

    @property
    def is_esp(self) -> bool:
        """Whether the table calls it an EFI system partition."""
        return self.type_id in (ESP_TYPE, f"{_MBR_ESP:02x}")


@dataclass(frozen=True, slots=True)
class PartitionTable:
    """The table; ``damaged_copy`` says which of a GPT's two copies is bad: empty if none is."""

    kind: TableKind
    partitions: tuple[Partition, ...]
    disk_id: str = ""
    damaged_copy: str = ""


def read_partition_table(read: Read, size: int) -> PartitionTable:
    """The table of an image of ``size`` bytes with sectors of 512 bytes.

    An image that has none is one whole: TableKind.NONE. Raises BadInput
    ``image-bad-layout``, also for partitions that overlap or reach beyond the end.
    """
    if size < 2 * SECTOR:
        return PartitionTable(TableKind.NONE, ())
    first = read(0, SECTOR)
    if first[510:512] != b"\x55\xaa":
        return PartitionTable(TableKind.NONE, ())
    entries = [_MBR_ENTRY.unpack_from(first, 446 + 16 * index) for index in range(4)]
    if any(entry[1] == _PROTECTIVE for entry in entries):
        return _read_gpt(read, size)
    if _is_boot_sector(first, entries):
        return PartitionTable(TableKind.NONE, ())
    return _mbr(entries, first, size)


def _is_boot_sector(first: bytes, entries: list[tuple[int, int, int, int]]) -> bool:
    """Whether this is the first sector of a FAT file system, which ends like an MBR."""
    if first[54:57] == b"FAT" or first[82:87] == b"FAT32":
        return True
    return any(flags not in (0, 0x80) for flags, *_ in entries)


def _mbr(entries: list[tuple[int, int, int, int]], first: bytes, size: int) -> PartitionTable:
    found = []
    for number, (_, kind, start, count) in enumerate(entries, 1):
        if kind == 0 or count == 0:
            continue
        if kind in _EXTENDED:
            raise damaged_table(
                "it has an extended partition, which Watchword does not read (primary ones and"
                " GPT only)"
            )
        found.append(Partition(number, start * SECTOR, count * SECTOR, f"{kind:02x}"))
    disk_id = first[440:444][::-1].hex()
    return PartitionTable(TableKind.MBR, _checked(found, size), disk_id)


def _read_gpt(read: Read, size: int) -> PartitionTable:
    last = size // SECTOR - 1
    copies: dict[str, PartitionTable] = {}
    problem = ""
    for name, where in (("first", 1), ("second", last)):
        try:
            copies[name] = _read_gpt_copy(read, size, where)
        except BadInput as error:
            problem = problem or error.message
    if not copies:
        raise damaged_table(f"neither copy of it can be used (the first: {problem})")
    if len(copies) == 1:
        good = next(iter(copies.values()))
        bad = "second" if "first" in copies else "first"
        return PartitionTable(good.kind, good.partitions, good.disk_id, bad)
    if copies["first"] != copies["second"]:
        raise damaged_table("its two copies, each sound in itself, differ")
    return copies["first"]


def _read_gpt_copy(read: Read, size: int, where: int) -> PartitionTable:
    header = read(where * SECTOR, SECTOR)
    (magic, _, header_size, crc, _, own, _, _, _, disk, table, count, entry_size, table_crc) = (
        _GPT_HEADER.unpack_from(header)
    )
    if magic != b"EFI PART" or header_size != _GPT_HEADER.size or own != where:
        raise damaged_table("a GPT header is not where it belongs")
    if zlib.crc32(header[:16] + bytes(4) + header[20:header_size]) != crc:
        raise damaged_table("the checksum of a GPT header is wrong")
    if entry_size != _GPT_ENTRY.size or not 0 < count <= _MOST_ENTRIES:
        raise damaged_table("a GPT has entries of an unusual size or number")
    if table < 2 or table * SECTOR + count * entry_size > size:
        raise damaged_table("the entries of a GPT lie outside the image")
    entries = read(table * SECTOR, count * entry_size)
    if zlib.crc32(entries) != table_crc:
        raise damaged_table("the checksum of a GPT's entries is wrong")
    found = [
        _gpt_partition(index + 1, _GPT_ENTRY.unpack_from(entries, index * entry_size))
        for index in range(count)
        if any(entries[index * entry_size : index * entry_size + 16])
    ]
    disk_id = str(uuid.UUID(bytes_le=disk))
    return PartitionTable(TableKind.GPT, _checked(found, size), disk_id)


def _gpt_partition(number: int, fields: tuple[bytes, bytes, int, int, int, bytes]) -> Partition:
    kind, unique, first, last, _, name = fields
    if last < first:
        raise damaged_table(f"partition {number} ends before it begins")
    return Partition(
        number,
        first * SECTOR,
        (last - first + 1) * SECTOR,
        str(uuid.UUID(bytes_le=kind)),
        str(uuid.UUID(bytes_le=unique)),
        name.decode("utf-16-le", "replace").partition("\0")[0],
    )


def _checked(found: list[Partition], size: int) -> tuple[Partition, ...]:
    end = SECTOR
    for part in sorted(found, key=lambda part: part.offset):
        if part.offset < end:
            raise damaged_table(f"partition {part.number} overlaps what lies before it")
        end = part.offset + part.size
        if end > size:
            raise damaged_table(f"partition {part.number} reaches beyond the end of the image")
    return tuple(found)
