# SPDX-License-Identifier: Apache-2.0
"""Takes the root partition out of an existing raw or qcow2 image, as the file system it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..errors import BadInput
from .disk_access import Disk, opened_image
from .ext4_files import Ext4
from .luks_header import is_luks
from .partition_table import Partition, TableKind, read_partition_table
from .root_entries import ROOT, too_large, too_small

_PIECE: Final = 1 << 20
_LARGEST_BY_ITSELF: Final = 1 << 40
_ZEROS: Final = bytes(4096)


def looks_like_a_disk(path: Path) -> bool:
    """Whether a file begins as a disk image does, and not as an archive."""
    with path.open("rb") as file:
        start = file.read(2048)
    if start.startswith(b"QFI\xfb"):
        return True
    if start[257:262] == b"ustar":
        return False
    return start[510:512] == b"\x55\xaa" or start[0x438:0x43A] == b"\x53\xef"


def copy_root(
    path: Path, descriptor: int, size: int | None, observe: Callable[[int, int], object]
) -> int:
    """Copy the root partition into an open file, holes as holes; how many bytes it has.

    ``size`` is what there is room for, None for at most 1 TiB. Raises BadInput as
    opened_image does, ``root-unreadable``, ``root-too-large`` and ``image-too-small``.
    """
    with opened_image(path) as image:
        part = _root_partition(image.disk)
        if size is not None and part.size > size:
            raise too_small(size)
        if size is None and part.size > _LARGEST_BY_ITSELF:
            raise too_large(f"a root partition of {part.size >> 30} GiB; name --size for that")
        os.ftruncate(descriptor, part.size)
        for at in range(0, part.size, _PIECE):
            piece = image.disk.read(part.offset + at, min(_PIECE, part.size - at))
            _write_filled(descriptor, at, piece)
            observe(at + len(piece), part.size)
        return part.size


def _write_filled(descriptor: int, at: int, piece: bytes) -> None:
    if piece.count(0) == len(piece):
        return
    for start in range(0, len(piece), len(_ZEROS)):
        block = piece[start : start + len(_ZEROS)]
        if block != _ZEROS:
            os.pwrite(descriptor, block, at + start)


def _root_partition(disk: Disk) -> Partition:
    table = read_partition_table(disk.read, disk.size)
    parts = table.partitions
    if table.kind is TableKind.NONE:
        parts = (Partition(0, 0, disk.size, ""),)
    found = [part for part in parts if _is_root(disk, part)]
    if len(found) == 1:
        return found[0]
    if any(is_luks(disk.read(part.offset, 8)) for part in parts if part.size >= _PIECE):
        raise _no_root(
            "its root is encrypted already",
            "Change its keys with `watchword image rekey`; or start the guest and make a tar of"
            " its root.",
        )
    raise _no_root(
        "it has several file systems that could be the root"
        if found
        else "no partition of it has an ext4 with /etc and /boot on it",
        "Start the guest and make a tar of its root: `tar --xattrs --numeric-owner"
        " --one-file-system -C / -cf root.tar .`.",
    )


def _is_root(disk: Disk, part: Partition) -> bool:
    if part.size < _PIECE or disk.read(part.offset + 0x438, 2) != b"\x53\xef":
        return False
    system = Ext4(lambda offset, size: disk.read(part.offset + offset, size), part.size)
    return system.find("/etc") is not None


def _no_root(why: str, remedy: str) -> BadInput:
    return BadInput("root-unreadable", ROOT, f"This image can't be used: {why}.", remedy)
