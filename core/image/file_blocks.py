# SPDX-License-Identifier: Apache-2.0
"""Surveys a source of files, and cuts their content into blocks with holes for zeros."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .ext4_layout import BLOCK
from .root_entries import Kind, Path, RootSource, unreadable, unsafe

_ZEROS: Final = bytes(BLOCK)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a source has, before anything of it is written.

    ``last``    which entry counts where a path comes several times, as it does after ``tar -r``
    ``data``    bytes of files, in whole blocks
    """

    last: Mapping[Path, int]
    entries: int
    data: int


def survey(source: RootSource) -> Survey:
    """Look through a source once, without its content; raises as the source does."""
    last: dict[Path, int] = {}
    data = index = 0
    for index, (entry, _) in enumerate(source.entries(), 1):
        if entry.kind is not Kind.FOLDER:
            last[entry.path] = index
        stored = entry.size if entry.stored is None else min(entry.stored, entry.size)
        data += -(-stored // BLOCK) * BLOCK
    if not index:
        raise unreadable("there is nothing in it")
    return Survey(last, index, data)


def blocks_of(
    path: Path, content: Iterable[tuple[int, bytes]], size: int
) -> Iterator[tuple[int, bytes]]:
    """The content as whole blocks: block number in the file, and data."""
    at, waiting = 0, b""
    for offset, piece in content:
        reached = at * BLOCK + len(waiting)
        if offset < reached or offset + len(piece) > size:
            raise unsafe(path, "its map of holes is none")
        if offset // BLOCK != at:
            if waiting:
                yield at, waiting.ljust(BLOCK, b"\0")
            at, waiting = offset // BLOCK, b""
        waiting = waiting.ljust(offset - at * BLOCK, b"\0") + piece
        whole = len(waiting) // BLOCK * BLOCK
        if whole:
            yield at, waiting[:whole]
            at, waiting = at + whole // BLOCK, waiting[whole:]
    if waiting:
        yield at, waiting.ljust(BLOCK, b"\0")


def filled_runs(data: bytes) -> Iterator[tuple[int, int]]:
    """Runs of blocks that are not all zeros: first and count."""
    first = count = 0
    for block in range(len(data) // BLOCK):
        if data[block * BLOCK : (block + 1) * BLOCK] == _ZEROS:
            if count:
                yield first, count
            count = 0
            continue
        if not count:
            first = block
        count += 1
    if count:
        yield first, count
