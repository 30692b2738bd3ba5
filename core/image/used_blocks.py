# SPDX-License-Identifier: Apache-2.0
"""Which parts of an ext4 have to be written, so that the rest of a disk may stay a hole.

Without them the free parts of an encrypted disk read as noise, as on any disk that was
formatted without being filled first.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from typing import Final

from .ext4_files import unknown_file_system

_64BIT: Final = 0x80
_BLOCK_UNINIT: Final = 0x2
_CHECKSUMS: Final = 0x10 | 0x400
_PIECE: Final = 1 << 20


def used_parts(descriptor: int) -> Iterator[tuple[int, int]]:
    """Runs of bytes that are in use: offset and size, in order, each of at most 1 MiB.

    Raises BadInput ``image-file-system``.
    """
    start, end = 0, 0
    for offset, size in _groups(descriptor):
        if offset != end or end - start + size > _PIECE:
            yield from _pieces(start, end)
            start = offset
        end = offset + size
    yield from _pieces(start, end)


def _pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    for at in range(start, end, _PIECE):
        yield at, min(_PIECE, end - at)


def _groups(descriptor: int) -> Iterator[tuple[int, int]]:
    head = os.pread(descriptor, 1024, 1024)
    if len(head) < 1024 or head[0x38:0x3A] != b"\x53\xef":
        raise unknown_file_system("it is not ext4")
    blocks, first = struct.unpack_from("<I", head, 4)[0], struct.unpack_from("<I", head, 0x14)[0]
    power, per_group = (
        struct.unpack_from("<I", head, 0x18)[0],
        struct.unpack_from("<I", head, 0x20)[0],
    )
    incompatible, read_only = struct.unpack_from("<II", head, 0x60)
    entry = struct.unpack_from("<H", head, 0xFE)[0] if incompatible & _64BIT else 32
    if incompatible & _64BIT:
        blocks |= struct.unpack_from("<I", head, 0x150)[0] << 32
    if power > 6 or not per_group or entry not in (32, 64) or incompatible & 0x10:
        raise unknown_file_system("it is laid out in an unusual way")
    block = 1024 << power
    if first:
        yield 0, block  # with small blocks the boot sector is counted by none
    groups = -(-(blocks - first) // per_group)
    table = os.pread(descriptor, groups * entry, (first + 1) * block)
    for group in range(groups):
        low = struct.unpack_from("<I", table, group * entry)[0]
        high = struct.unpack_from("<I", table, group * entry + 0x20)[0] if entry == 64 else 0
        flags = struct.unpack_from("<H", table, group * entry + 0x12)[0]
        begin = first + group * per_group
        count = min(per_group, blocks - begin)
        if flags & _BLOCK_UNINIT and read_only & _CHECKSUMS:
            yield from _data_of(descriptor, begin * block, count * block)
            continue
        bits = os.pread(descriptor, block, (low | high << 32) * block)
        yield from _set_runs(bits, begin, count, block)


def _set_runs(bits: bytes, begin: int, count: int, block: int) -> Iterator[tuple[int, int]]:
    number = int.from_bytes(bits, "little") & ((1 << count) - 1)
    text = f"{number:0{count}b}"[::-1]  # the fastest way to find runs without a loop over bits
    at = text.find("1")
    while at >= 0:
        end = text.find("0", at)
        end = count if end < 0 else end
        yield (begin + at) * block, (end - at) * block
        at = text.find("1", end)


def _data_of(descriptor: int, offset: int, size: int) -> Iterator[tuple[int, int]]:
    """What is no hole: in a group without a map nothing else matters."""
    at, limit = offset, offset + size
    try:
        while at < limit:
            at = os.lseek(descriptor, at, os.SEEK_DATA)
            end = min(os.lseek(descriptor, at, os.SEEK_HOLE), limit)
            if at < limit:
                yield at, end - at
            at = end
    except OSError as fault:
        if fault.errno != errno.ENXIO:
            raise
