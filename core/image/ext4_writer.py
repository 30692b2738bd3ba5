# SPDX-License-Identifier: Apache-2.0
"""Fills an empty ext4 with a root file system: owners, modes, links and devices, without root.

mkfs.ext4 makes the file system; here go in its files. Nothing is unpacked on this machine,
so that hostile archives find nothing to climb into, and owners need no privilege.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from .ext4_layout import (
    BLOCK,
    EXTENTS_FLAG,
    INODE_SIZE,
    LONGEST_RUN,
    Run,
    build_attributes,
    build_extents,
    build_folder,
    build_inode,
    device_body,
)
from .file_blocks import Survey, blocks_of, filled_runs
from .root_entries import (
    Kind,
    Path,
    RootEntry,
    RootSource,
    safe_path,
    too_small,
    unsafe,
)

MKFS_FEATURES: Final = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,"
    "large_file,huge_file,dir_nlink,extra_isize"
)
"""Without checksums of metadata: dm-crypt's user gains little, and GRUB 2.06 reads it all."""

_ROOT: Final = 2
_LOST_AND_FOUND: Final = 11
_FAST_LINK: Final = 60
_LONGEST_LINK: Final = 4095
_MOST_LINKS: Final = 65000


@dataclass(slots=True)
class _Folder:
    number: int
    entry: RootEntry
    names: dict[bytes, tuple[int, Kind]] = field(default_factory=dict)
    folders: int = 0


class Ext4Writer:
    """An ext4 that mkfs.ext4 has just made with MKFS_FEATURES, 4096-byte blocks, 256-byte inodes.

    Raises BadInput ``image-too-small`` and as the source does.
    """

    def __init__(self, descriptor: int, observe: Callable[[int], object]) -> None:
        self._descriptor, self._observe = descriptor, observe
        self._size = os.fstat(descriptor).st_size
        self._super = bytearray(os.pread(descriptor, 1024, 1024))
        (self._inodes, self._blocks) = struct.unpack_from("<II", self._super, 0)
        (self._per_group,) = struct.unpack_from("<I", self._super, 0x20)
        self._inodes_per_group: int = struct.unpack_from("<I", self._super, 0x28)[0]
        groups = -(-self._blocks // self._per_group)
        self._descriptors = bytearray(os.pread(descriptor, groups * 32, BLOCK))
        self._groups = groups
        self._block_maps = [self._map(group, 0) for group in range(groups)]
        self._inode_maps = [self._map(group, 4) for group in range(groups)]
        self._folders_in = [0] * groups
        self._free = self._free_runs()
        self._run: list[int] = [0, 0]
        self._next_inode = _LOST_AND_FOUND + 1
        self._kinds: dict[int, Kind] = {}
        self._folders: dict[Path, _Folder] = {}
        self._attributes: dict[bytes, list[int]] = {}

    def fill(self, source: RootSource, found: Survey) -> None:
        """Write everything that the source has."""
        root = RootEntry((), Kind.FOLDER, 0o755, 0, 0, 0)
        self._folders[()] = _Folder(_ROOT, root)
        lost = RootEntry((b"lost+found",), Kind.FOLDER, 0o700, 0, 0, 0)
        self._release_first_root_block()
        self._folders[lost.path] = _Folder(_LOST_AND_FOUND, lost)
        self._folders[()].names[b"lost+found"] = (_LOST_AND_FOUND, Kind.FOLDER)
        self._folders[()].folders = 1
        for index, (entry, content) in enumerate(source.entries(), 1):
            if entry.kind is Kind.FOLDER:
                self._folder(entry)
            elif found.last.get(entry.path) == index:
                self._add(entry, content)
        for folder in self._folders.values():
            if folder.number != _LOST_AND_FOUND:
                self._write_folder(folder)
        self._finish()

    def _folder(self, entry: RootEntry) -> None:
        if entry.path in self._folders:
            self._folders[entry.path].entry = entry
            return
        parent = self._parent(entry.path)
        number = self._new_inode(folder=True)
        self._put(parent, entry, number, Kind.FOLDER)
        parent.folders += 1
        self._folders[entry.path] = _Folder(number, entry)

    def _parent(self, path: Path) -> _Folder:
        above = path[:-1]
        found = self._folders.get(above)
        if found is None:
            grand = self._parent(above)
            if above[-1] in grand.names:
                raise unsafe(path, "what lies above it is no folder")
            self._folder(RootEntry(above, Kind.FOLDER, 0o755, 0, 0, 0))
            found = self._folders[above]
        return found

    @staticmethod
    def _put(parent: _Folder, entry: RootEntry, number: int, kind: Kind) -> None:
        if entry.path[-1] in parent.names:
            raise unsafe(entry.path, "it is there twice, as different things")
        parent.names[entry.path[-1]] = (number, kind)

    def _add(self, entry: RootEntry, content: Iterable[tuple[int, bytes]]) -> None:
        if not entry.path or entry.path in self._folders:
            raise unsafe(entry.path, "it is there as a folder too")
        parent = self._parent(entry.path)
        if entry.kind is Kind.HARD_LINK:
            self._hard_link(parent, entry)
            return
        number = self._new_inode()
        body, size, blocks, flags = self._data(entry, content)
        attributes = self._attribute_block(entry)
        sectors = (blocks + bool(attributes)) * (BLOCK // 512)
        self._write_inode(
            number,
            build_inode(
                entry,
                body,
                links=1,
                size=size,
                sectors=sectors,
                flags=flags,
                attributes=attributes,
            ),
        )
        self._put(parent, entry, number, entry.kind)

    def _hard_link(self, parent: _Folder, entry: RootEntry) -> None:
        target = safe_path(entry.target)
        above = self._folders.get(target[:-1])
        found = above.names.get(target[-1]) if above is not None and target else None
        if found is None or found[1] is Kind.FOLDER:
            raise unsafe(entry.path, "it is a hard link to a file that is not there before it")
        number, kind = found
        place = self._inode_place(number) + 0x1A
        (links,) = struct.unpack("<H", os.pread(self._descriptor, 2, place))
        if links >= _MOST_LINKS:
            raise unsafe(entry.path, f"its file has {links} names already")
        os.pwrite(self._descriptor, struct.pack("<H", links + 1), place)
        self._put(parent, entry, number, kind)

    def _data(
        self, entry: RootEntry, content: Iterable[tuple[int, bytes]]
    ) -> tuple[bytes, int, int, int]:
        """Body, size, blocks and flags of an inode, its data written."""
        if entry.kind is Kind.LINK:
            if not 0 < len(entry.target) <= _LONGEST_LINK:
                raise unsafe(entry.path, "it is a link to a name that can't be")
            if len(entry.target) < _FAST_LINK:
                return entry.target, len(entry.target), 0, 0
            content = [(0, entry.target)]
        elif entry.kind in (Kind.CHARACTER, Kind.BLOCK):
            return device_body(*entry.device), 0, 0, 0
        elif entry.kind is not Kind.FILE:
            return b"", 0, 0, 0
        runs: list[Run] = []
        size = entry.size if entry.kind is Kind.FILE else len(entry.target)
        for at, piece in blocks_of(entry.path, content, size):
            self._store(runs, at, piece)
        body, more = build_extents(runs, self._new_block, self._write_block)
        return body, size, sum(run.count for run in runs) + more, EXTENTS_FLAG

    def _store(self, runs: list[Run], at: int, data: bytes) -> None:
        """Write whole blocks ``at`` a block of a file, those of zeros left out."""
        for first, count in filled_runs(data):
            done = 0
            while done < count:
                start, got = self._new_run(min(count - done, LONGEST_RUN))
                piece = data[(first + done) * BLOCK : (first + done + got) * BLOCK]
                self._write_block(start, piece)
                _join(runs, Run(at + first + done, start, got))
                done += got
        self._observe(len(data))

    def _write_folder(self, folder: _Folder) -> None:
        path = folder.entry.path
        parent = self._folders[path[:-1]].number if path else _ROOT
        names = ((name, *found) for name, found in folder.names.items())
        data = build_folder(folder.number, parent, names)
        runs: list[Run] = []
        for at in range(0, len(data), BLOCK):
            block = self._new_block()
            self._write_block(block, data[at : at + BLOCK])
            _join(runs, Run(at // BLOCK, block, 1))
        body, more = build_extents(runs, self._new_block, self._write_block)
        attributes = self._attribute_block(folder.entry)
        blocks = len(data) // BLOCK + more + bool(attributes)
        links = 2 + folder.folders
        inode = build_inode(
            folder.entry,
            body,
            links=links if links < _MOST_LINKS else 1,
            size=len(data),
            sectors=blocks * (BLOCK // 512),
            flags=EXTENTS_FLAG,
            attributes=attributes,
        )
        self._write_inode(folder.number, inode)

    def _attribute_block(self, entry: RootEntry) -> int:
        """The block of an entry's attributes, shared with others that have the same."""
        if not entry.xattrs or not (data := build_attributes(entry.path, entry.xattrs)):
            return 0
        known = self._attributes.get(data)
        if known is not None and known[1] < 1024:
            known[1] += 1
            count = struct.pack("<I", known[1])
            os.pwrite(self._descriptor, count, known[0] * BLOCK + 4)
            return known[0]
        block = self._new_block()
        self._write_block(block, data)
        self._attributes[data] = [block, 1]
        return block

    # Blocks and inodes

    def _map(self, group: int, place: int) -> bytearray:
        (block,) = struct.unpack_from("<I", self._descriptors, group * 32 + place)
        return bytearray(os.pread(self._descriptor, BLOCK, block * BLOCK))

    def _free_runs(self) -> Iterator[list[int]]:
        start = count = 0
        for block in range(self._blocks):
            group, bit = divmod(block, self._per_group)
            if self._block_maps[group][bit >> 3] >> (bit & 7) & 1:
                if count:
                    yield [start, count]
                count = 0
                continue
            if not count:
                start = block
            count += 1
            # As soon as there is enough for any request, so that large disks cost no time.
            if count == LONGEST_RUN:
                yield [start, count]
                count = 0
        if count:
            yield [start, count]

    def _new_run(self, wanted: int) -> tuple[int, int]:
        """The next free blocks, at most so many: the first and their number."""
        if not self._run[1]:
            following = next(self._free, None)
            if following is None:
                raise too_small(self._size)
            self._run = following
        start, count = self._run[0], min(wanted, self._run[1])
        self._run[0] += count
        self._run[1] -= count
        for block in range(start, start + count):
            group, bit = divmod(block, self._per_group)
            self._block_maps[group][bit >> 3] |= 1 << (bit & 7)
        return start, count

    def _new_block(self) -> int:
        return self._new_run(1)[0]

    def _new_inode(self, *, folder: bool = False) -> int:
        number = self._next_inode
        if number > self._inodes:
            raise too_small(self._size)
        self._next_inode += 1
        group, bit = divmod(number - 1, self._inodes_per_group)
        self._inode_maps[group][bit >> 3] |= 1 << (bit & 7)
        self._folders_in[group] += folder
        return number

    def _inode_place(self, number: int) -> int:
        group, index = divmod(number - 1, self._inodes_per_group)
        table: int = struct.unpack_from("<I", self._descriptors, group * 32 + 8)[0]
        return table * BLOCK + index * INODE_SIZE

    def _write_inode(self, number: int, data: bytes) -> None:
        os.pwrite(self._descriptor, data, self._inode_place(number))

    def _write_block(self, block: int, data: bytes) -> None:
        os.pwrite(self._descriptor, data, block * BLOCK)

    def _release_first_root_block(self) -> None:
        """Give back the one block that mkfs gave the root, which gets new ones."""
        body = os.pread(self._descriptor, 60, self._inode_place(_ROOT) + 0x28)
        magic, entries = struct.unpack_from("<HH", body)
        block = struct.unpack_from("<I", body, 20)[0] if magic == 0xF30A and entries else 0
        if block:
            group, bit = divmod(block, self._per_group)
            self._block_maps[group][bit >> 3] &= ~(1 << (bit & 7)) & 0xFF

    def _finish(self) -> None:
        """Write maps and counts, at the end: until then the file system is as mkfs left it."""
        free_blocks = free_inodes = 0
        for group in range(self._groups):
            blocks = min(self._per_group, self._blocks - group * self._per_group)
            free = blocks - _set_bits(self._block_maps[group], blocks)
            inodes = self._inodes_per_group - _set_bits(
                self._inode_maps[group], self._inodes_per_group
            )
            place = group * 32
            (folders,) = struct.unpack_from("<H", self._descriptors, place + 16)
            counts = (free, inodes, folders + self._folders_in[group])
            struct.pack_into("<HHH", self._descriptors, place + 12, *counts)
            for kept, data in ((0, self._block_maps), (4, self._inode_maps)):
                (block,) = struct.unpack_from("<I", self._descriptors, place + kept)
                self._write_block(block, bytes(data[group]))
            free_blocks += free
            free_inodes += inodes
        struct.pack_into("<II", self._super, 0xC, free_blocks, free_inodes)
        os.pwrite(self._descriptor, self._descriptors, BLOCK)
        os.pwrite(self._descriptor, self._super, 1024)


def _join(runs: list[Run], run: Run) -> None:
    """Add a run, as part of the one before where it follows it on the disk."""
    if runs:
        last = runs[-1]
        follows = (last.at + last.count, last.start + last.count) == (run.at, run.start)
        if follows and last.count + run.count <= LONGEST_RUN:
            runs[-1] = Run(last.at, last.start, last.count + run.count)
            return
    runs.append(run)


def _set_bits(data: bytearray, bits: int) -> int:
    number = int.from_bytes(data, "little") & ((1 << bits) - 1)
    return number.bit_count()
