# SPDX-License-Identifier: Apache-2.0
"""The bytes of ext4's inodes, extents, folders and attributes, as this program writes them.

Source: Linux, Documentation/filesystems/ext4.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .root_entries import Kind, RootEntry, unsafe

BLOCK: Final = 4096
INODE_SIZE: Final = 256
EXTENTS_FLAG: Final = 0x80000
LONGEST_RUN: Final = 32768
_INODE: Final = struct.Struct("<HHIIIIIHHIII60sIIIIHHHHHHHHIIIIIII")
_EXTENT: Final = struct.Struct("<IHHI")
_INDEX: Final = struct.Struct("<IIHH")
_IN_BLOCK: Final = 340
_IN_INODE: Final = 4
_FILE_TYPES: Final = {
    Kind.FILE: 1,
    Kind.FOLDER: 2,
    Kind.CHARACTER: 3,
    Kind.BLOCK: 4,
    Kind.FIFO: 5,
    Kind.SOCKET: 6,
    Kind.LINK: 7,
}
_PREFIXES: Final = (("user.", 1), ("trusted.", 4), ("security.", 6), ("system.", 7))
_ACLS: Final = {"system.posix_acl_access": 2, "system.posix_acl_default": 3}
_ACL_NAMED: Final = (0x2, 0x8)


@dataclass(frozen=True, slots=True)
class Run:
    """Blocks of a file: ``at`` block number in the file, ``start`` in the file system."""

    at: int
    start: int
    count: int


def build_inode(
    entry: RootEntry,
    body: bytes,
    *,
    links: int,
    size: int,
    sectors: int,
    flags: int,
    attributes: int,
) -> bytes:
    """An inode of 256 bytes.

    ``body``  the 60 bytes that tell where the data are; ``sectors`` counts 512 bytes;
    ``attributes`` is the block with extended attributes, 0 for none.
    """
    low, high = _time(entry.changed)
    fixed = _INODE.pack(
        entry.kind.value | entry.mode,
        entry.uid & 0xFFFF,
        size & 0xFFFFFFFF,
        low,
        low,
        low,
        0,
        entry.gid & 0xFFFF,
        links,
        sectors & 0xFFFFFFFF,
        flags,
        0,
        body.ljust(60, b"\0"),
        0,
        attributes,
        size >> 32,
        0,
        sectors >> 32,
        0,
        entry.uid >> 16,
        entry.gid >> 16,
        0,
        0,
        32,
        0,
        high,
        high,
        high,
        low,
        high,
        0,
        0,
    )
    return fixed.ljust(INODE_SIZE, b"\0")


def _time(seconds: int) -> tuple[int, int]:
    """Low 32 bits and the two bits of epoch, for the years 1901 to 2446."""
    seconds = max(-(1 << 31), min(seconds, (1 << 34) - (1 << 31) - 1))
    low = seconds & 0xFFFFFFFF
    signed = low - (1 << 32) if low & (1 << 31) else low
    return low, (seconds - signed) >> 32 & 3


def build_extents(
    runs: Sequence[Run], new_block: Callable[[], int], write: Callable[[int, bytes], object]
) -> tuple[bytes, int]:
    """The 60 bytes of an inode, and how many blocks of the tree lie outside of it."""
    leaves = [_EXTENT.pack(run.at, run.count, run.start >> 32, run.start) for run in runs]
    level = [(run.at, leaf) for run, leaf in zip(runs, leaves, strict=True)]
    depth = blocks = 0
    while len(level) > _IN_INODE:
        upper = []
        for first in range(0, len(level), _IN_BLOCK):
            nodes = level[first : first + _IN_BLOCK]
            place = new_block()
            blocks += 1
            write(place, _node([node for _, node in nodes], depth, _IN_BLOCK).ljust(BLOCK, b"\0"))
            upper.append((nodes[0][0], _INDEX.pack(nodes[0][0], place, place >> 32, 0)))
        level, depth = upper, depth + 1
    return _node([node for _, node in level], depth, _IN_INODE), blocks


def _node(entries: Sequence[bytes], depth: int, most: int) -> bytes:
    return struct.pack("<HHHHI", 0xF30A, len(entries), most, depth, 0) + b"".join(entries)


def build_folder(own: int, parent: int, names: Iterable[tuple[bytes, int, Kind]]) -> bytes:
    """The blocks of a folder, names in the order given."""
    blocks: list[bytes] = []
    current: list[tuple[int, bytes, int]] = []
    used = 0

    def close() -> None:
        block = b""
        for index, (number, name, kind) in enumerate(current):
            last = index + 1 == len(current)
            length = BLOCK - len(block) if last else _entry_size(name)
            head = struct.pack("<IHBB", number, length, len(name), kind)
            block += (head + name).ljust(length, b"\0")
        blocks.append(block)

    both = ((b".", own, Kind.FOLDER), (b"..", parent, Kind.FOLDER))
    for name, number, kind in (*both, *names):
        if used + _entry_size(name) > BLOCK:
            close()
            current, used = [], 0
        current.append((number, name, _FILE_TYPES[kind]))
        used += _entry_size(name)
    close()
    return b"".join(blocks)


def _entry_size(name: bytes) -> int:
    return 8 + (len(name) + 3 & ~3)


def device_body(major: int, minor: int) -> bytes:
    """The 60 bytes of a device's inode."""
    if major < 256 and minor < 256:
        return struct.pack("<I", major << 8 | minor)
    number = minor & 0xFF | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12
    return struct.pack("<II", 0, number & 0xFFFFFFFF)


def build_attributes(path: tuple[bytes, ...], xattrs: Mapping[str, bytes]) -> bytes:
    """The block that holds extended attributes; names of no known kind are left out.

    Raises BadInput ``root-unsafe`` for more than a block holds.
    """
    found = []
    for name, value in xattrs.items():
        if name in _ACLS:
            found.append((_ACLS[name], b"", _acl(path, value)))
            continue
        for prefix, index in _PREFIXES:
            if name.startswith(prefix):
                found.append((index, name.removeprefix(prefix).encode(), value))
                break
    if not found:
        return b""
    # The kernel looks names up by this order.
    found.sort(key=lambda one: (one[0], len(one[1]), one[1]))
    table, values, end = b"", b"", BLOCK
    for index, short, value in found:
        room = len(value) + 3 & ~3
        end -= room
        values = value.ljust(room, b"\0") + values
        place = end if value else 0
        head = struct.pack("<BBHIII", len(short), index, place, 0, len(value), _hash(short, value))
        table += (head + short).ljust(16 + (len(short) + 3 & ~3), b"\0")
    if 32 + len(table) + 4 + len(values) > BLOCK:
        raise unsafe(path, "its attributes are larger than ext4 can hold")
    header = struct.pack("<IIII16x", 0xEA020000, 1, 1, 0)
    return (header + table).ljust(BLOCK - len(values), b"\0") + values


def _hash(name: bytes, value: bytes) -> int:
    result = 0
    for character in name:
        result = (result << 5 ^ result >> 27 ^ character) & 0xFFFFFFFF
    for (word,) in struct.iter_unpack("<I", value.ljust(len(value) + 3 & ~3, b"\0")):
        result = (result << 16 ^ result >> 16 ^ word) & 0xFFFFFFFF
    return result


def _acl(path: tuple[bytes, ...], value: bytes) -> bytes:
    """An access list as the system calls have it, in the shorter form that disks have."""
    if len(value) % 8 != 4 or value[:4] != b"\2\0\0\0":
        raise unsafe(path, "its access list is none")
    result = b"\1\0\0\0"
    for tag, permission, number in struct.iter_unpack("<HHI", value[4:]):
        result += struct.pack("<HH", tag, permission)
        if tag in _ACL_NAMED:
            result += struct.pack("<I", number)
    return result
