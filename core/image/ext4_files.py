# SPDX-License-Identifier: Apache-2.0
"""Finds where the bytes of a file lie in an ext4 file system, without mounting it.

Source: Linux, Documentation/filesystems/ext4. It reads what is needed to replace bytes of
files in place: superblock, group descriptors, inodes, extents, folders.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ..errors import BadInput
from .image_errors import IMAGE

Read = Callable[[int, int], bytes]
_MAGIC: Final = 0xEF53
_ROOT: Final = 2
_EXTENT_MAGIC: Final = 0xF30A
_EXTENTS_FLAG: Final = 0x80000
_ODD_FLAGS: Final = 0x10000000 | 0x800 | 0x100000  # inline data, encrypted, verity
_FOLDER, _FILE, _LINK = 0x4, 0x8, 0xA
_NEEDS_RECOVERY: Final = 0x4
_64BIT: Final = 0x80
_META_BG: Final = 0x10
_LARGEST_FOLDER: Final = 4 << 20
_LARGEST_FILE: Final = 1 << 30
_MOST_EXTENTS: Final = 4096
_DEEPEST: Final = 5
_LONGEST_UNWRITTEN: Final = 32768
_FAST_LINK: Final = 60
_MOST_LINKS: Final = 8


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of a file's bytes: at ``at`` in the file, ``offset`` in the file system."""

    at: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Inode:
    """A file, folder or link: ``number``, its kind as in an inode's mode, ``size`` in bytes."""

    number: int
    kind: int
    size: int
    flags: int
    block: bytes

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.kind == _FILE


class Ext4:
    """An ext4 file system that was unmounted in order.

    ``mounted`` says whether a guest has ever mounted it. The methods raise BadInput
    ``image-file-system`` for what is damaged or not known.
    """

    def __init__(self, read: Read, size: int) -> None:
        self._read_raw = read
        if size < 4096:
            raise unknown_file_system("there is none")
        block = read(1024, 1024)
        (magic,) = struct.unpack_from("<H", block, 0x38)
        if magic != _MAGIC:
            raise unknown_file_system("it is not ext4")
        self._incompatible, _ = struct.unpack_from("<II", block, 0x60)
        if self._incompatible & _META_BG:
            raise unknown_file_system("its group descriptors lie in an unusual way")
        if self._incompatible & _NEEDS_RECOVERY:
            raise _unclean()
        (power,) = struct.unpack_from("<I", block, 0x18)
        if power > 6:
            raise unknown_file_system("its blocks are of an impossible size")
        self.block_size = 1024 << power
        (self._first_block,) = struct.unpack_from("<I", block, 0x14)
        (self._inodes,) = struct.unpack_from("<I", block, 0x0)
        (self._per_group,) = struct.unpack_from("<I", block, 0x28)
        (self._inode_size,) = struct.unpack_from("<H", block, 0x58)
        (descriptor,) = struct.unpack_from("<H", block, 0xFE)
        self._descriptor = descriptor if self._incompatible & _64BIT else 32
        mounted_at, _, mounts = struct.unpack_from("<IIH", block, 0x2C)
        self.mounted = bool(mounted_at or mounts)
        self._size = size
        if not self._per_group or self._inode_size not in (128, 256, 512, 1024):
            raise unknown_file_system("its inodes are of an impossible size or number")
        if self._descriptor not in (32, 64):
            raise unknown_file_system("its group descriptors are of an impossible size")

    def find(self, path: str) -> Inode | None:
        """What is at a path such as ``/etc/fstab``, links followed; None for nothing."""
        return self._find(path, _MOST_LINKS)

    def folder(self, inode: Inode) -> Iterator[tuple[str, int]]:
        """Names in a folder, and their inodes' numbers."""
        if inode.kind != _FOLDER or inode.size > _LARGEST_FOLDER:
            raise unknown_file_system("one of its folders is none")
        for extent in self.extents(inode):
            data = self._read(extent.offset, extent.size)
            for start in range(0, len(data), self.block_size):
                yield from _names(data[start : start + self.block_size])

    def inode(self, number: int) -> Inode:
        """The inode of a number."""
        if not 0 < number <= self._inodes:
            raise unknown_file_system("it names an inode that there is not")
        group, index = divmod(number - 1, self._per_group)
        place = (self._first_block + 1) * self.block_size + group * self._descriptor
        entry = self._read(place, self._descriptor)
        (table,) = struct.unpack_from("<I", entry, 0x8)
        if self._descriptor == 64:
            table |= struct.unpack_from("<I", entry, 0x28)[0] << 32
        data = self._read(table * self.block_size + index * self._inode_size, 128)
        mode, _, low = struct.unpack_from("<HHI", data, 0)
        (flags,) = struct.unpack_from("<I", data, 0x20)
        (high,) = struct.unpack_from("<I", data, 0x6C)
        size = low | high << 32
        if size > _LARGEST_FILE:
            raise unknown_file_system("a file that was looked at is larger than 1 GiB")
        return Inode(number, mode >> 12, size, flags, data[0x28:0x64])

    def extents(self, inode: Inode) -> tuple[Extent, ...]:
        """Where a file's bytes lie, in order; holes are left out."""
        if inode.flags & _ODD_FLAGS or not inode.flags & _EXTENTS_FLAG:
            raise unknown_file_system("a file in it is kept in a way that Watchword does not know")
        leaves = self._leaves(inode.block, _DEEPEST, iter(range(_MOST_EXTENTS)))
        found = sorted(leaves, key=lambda extent: extent.at)
        if any(after.at < before.at + before.size for before, after in pairwise(found)):
            raise unknown_file_system("a file in it has bytes in two places")
        clipped = [
            Extent(extent.at, extent.offset, min(extent.size, inode.size - extent.at))
            for extent in found
            if extent.at < inode.size
        ]
        return tuple(clipped)

    def read(self, inode: Inode, at: int, size: int) -> bytes:
        """Bytes of a file; holes are zeros."""
        size = max(0, min(size, inode.size - at))
        data = bytearray(size)
        for extent in self.extents(inode):
            low, high = max(at, extent.at), min(at + size, extent.at + extent.size)
            if low < high:
                data[low - at : high - at] = self._read(extent.offset + low - extent.at, high - low)
        return bytes(data)

    def places(self, inode: Inode, at: int, size: int) -> tuple[Extent, ...]:
        """Where a range of a file lies. Raises also where part of it is a hole."""
        found = []
        for extent in self.extents(inode):
            low, high = max(at, extent.at), min(at + size, extent.at + extent.size)
            if low < high:
                found.append(Extent(low, extent.offset + low - extent.at, high - low))
        if sum(place.size for place in found) != size:
            raise unknown_file_system("a file in it has a hole where it should have bytes")
        return tuple(found)

    def _find(self, path: str, links: int) -> Inode | None:
        inode = self.inode(_ROOT)
        parts = [part for part in path.split("/") if part]
        for index, part in enumerate(parts):
            if inode.kind != _FOLDER:
                return None
            number = dict(self.folder(inode)).get(part)
            if number is None:
                return None
            inode = self.inode(number)
            if inode.kind == _LINK:
                if not links:
                    return None
                target = self._target(inode)
                base = "/" + "/".join(parts[:index])
                whole = target if target.startswith("/") else f"{base}/{target}"
                return self._find("/".join((_plain(whole), *parts[index + 1 :])), links - 1)
        return inode

    def _target(self, inode: Inode) -> str:
        if inode.size < _FAST_LINK and not inode.flags & _EXTENTS_FLAG:
            return inode.block[: inode.size].decode("utf-8", "replace")
        return self.read(inode, 0, 4096).decode("utf-8", "replace")

    def _leaves(self, node: bytes, depth: int, budget: Iterator[int]) -> Iterator[Extent]:
        """The extents below a node; ``budget`` has a number for each entry that may be met."""
        magic, count, _, level = struct.unpack_from("<HHHH", node, 0)
        if magic != _EXTENT_MAGIC or depth == 0 or 12 + count * 12 > len(node):
            raise unknown_file_system("the extents of a file are damaged")
        for entry in range(count):
            if next(budget, None) is None:
                raise unknown_file_system("a file in it lies in too many pieces")
            first, *rest = struct.unpack_from("<IHHI", node, 12 + entry * 12)
            if level:
                low, high = struct.unpack_from("<IH", node, 12 + entry * 12 + 4)
                inner = self._read((low | high << 32) * self.block_size, self.block_size)
                yield from self._leaves(inner, depth - 1, budget)
            else:
                yield from self._leaf(first, *rest)

    def _leaf(self, first: int, length: int, high: int, low: int) -> Iterator[Extent]:
        if length > _LONGEST_UNWRITTEN:
            return  # allocated, never written: it reads as zeros
        size = self.block_size
        yield Extent(first * size, (low | high << 32) * size, length * size)

    def _read(self, offset: int, size: int) -> bytes:
        if offset + size > self._size or size > _LARGEST_FILE:
            raise unknown_file_system("it speaks of blocks that it does not have")
        return self._read_raw(offset, size)


def _names(block: bytes) -> Iterator[tuple[str, int]]:
    place = 0
    while place + 8 <= len(block):
        number, length, name_size, _ = struct.unpack_from("<IHBB", block, place)
        if length < 8 or place + length > len(block):
            return  # the checksum at a block's end, or damage
        name = block[place + 8 : place + 8 + name_size]
        if number and name not in (b".", b".."):
            yield name.decode("utf-8", "surrogateescape"), number
        place += length


def _plain(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def unknown_file_system(what: str) -> BadInput:
    """BadInput ``image-file-system``: the key in the volume can't be found."""
    return BadInput(
        "image-file-system",
        IMAGE,
        f"The file system inside the encrypted volume can't be read: {what}.",
        "Replace the key inside the guest, or build the image again. Nothing was changed.",
    )


def _unclean() -> BadInput:
    return BadInput(
        "image-not-shut-down",
        IMAGE,
        "The file system inside was not unmounted in order: its journal holds changes that the"
        " guest has yet to make.",
        "Start the guest, shut it down, and try again. Nothing was changed.",
    )
