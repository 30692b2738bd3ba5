# SPDX-License-Identifier: Apache-2.0
"""Reads a root file system from a folder, with owners as they are on this machine's disk."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import Final

from .root_entries import (
    MOST_ENTRIES,
    Kind,
    Path,
    RootEntry,
    safe_path,
    shown,
    too_large,
    unreadable,
)
from .tar_source import PIECE

_REMEDY: Final = (
    "Make a tar of it as its owner, `tar --xattrs --numeric-owner -C FOLDER -cf root.tar .`, and"
    " build from that."
)


class FolderSource:
    """A folder; no link in it is followed."""

    def __init__(self, folder: FilePath) -> None:
        self._folder = os.fsencode(folder)

    def entries(self) -> Iterator[tuple[RootEntry, Iterable[tuple[int, bytes]]]]:
        """See RootSource."""
        seen: dict[tuple[int, int], Path] = {}
        waiting: list[Path] = [()]
        count = 0
        while waiting:
            path = waiting.pop()
            place = os.path.join(self._folder, *path)  # noqa: PTH118 - bytes
            try:
                status = os.lstat(place)
                count += 1
                if count > MOST_ENTRIES:
                    raise too_large(f"more than {MOST_ENTRIES} entries")
                entry = self._entry(place, path, status, seen)
                if entry.kind is Kind.FOLDER:
                    waiting += sorted(
                        ((*path, name) for name in os.listdir(place)),  # noqa: PTH208 - bytes
                        reverse=True,
                    )
            except OSError as fault:
                raise _fault(path, fault) from None
            yield entry, _content(place, path, status.st_size) if entry.kind is Kind.FILE else ()

    @staticmethod
    def _entry(
        place: bytes, path: Path, status: os.stat_result, seen: dict[tuple[int, int], Path]
    ) -> RootEntry:
        kind, target = Kind(stat.S_IFMT(status.st_mode)), b""
        identity = (status.st_dev, status.st_ino)
        if kind is not Kind.FOLDER and status.st_nlink > 1:
            if identity in seen:
                kind, target = Kind.HARD_LINK, b"/".join(seen[identity])
            else:
                seen[identity] = path
        if kind is Kind.LINK:
            target = os.readlink(place)  # noqa: PTH115 - bytes
        return RootEntry(
            safe_path(b"/".join(path)),
            kind,
            stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            int(status.st_mtime),
            status.st_size if kind is Kind.FILE else 0,
            target,
            (os.major(status.st_rdev), os.minor(status.st_rdev)),
            {} if kind is Kind.HARD_LINK else _xattrs(place),
            status.st_blocks * 512,
        )


def _xattrs(place: bytes) -> dict[str, bytes]:
    try:
        names = os.listxattr(place, follow_symlinks=False)
        return {name: os.getxattr(place, name, follow_symlinks=False) for name in names}
    except OSError as fault:
        if fault.errno in (errno.ENOTSUP, errno.EACCES, errno.EPERM):
            return {}
        raise


def _content(place: bytes, path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            at = 0
            while at < size:
                at = os.lseek(descriptor, at, os.SEEK_DATA)
                end = min(os.lseek(descriptor, at, os.SEEK_HOLE), size)
                while at < end:
                    piece = os.pread(descriptor, min(PIECE, end - at), at)
                    if not piece:
                        raise unreadable(f"{shown(path)} was cut off while it was read")
                    yield at, piece
                    at += len(piece)
        finally:
            os.close(descriptor)
    except OSError as fault:
        if fault.errno != errno.ENXIO:  # a hole up to the end
            raise _fault(path, fault) from None


def _fault(path: Path, fault: OSError) -> Exception:
    with contextlib.suppress(ValueError):
        if fault.errno in (errno.EACCES, errno.EPERM):
            return unreadable(f"you have no permission to read {shown(path)}", _REMEDY)
    return unreadable(f"{shown(path)}: the system says “{os.strerror(fault.errno or 0)}”")
