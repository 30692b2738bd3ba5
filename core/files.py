# SPDX-License-Identifier: Apache-2.0
"""Reads the files people name, bounded and never blocking."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from .base64_text import decode_base64, refuse_pem
from .errors import BadInput
from .file_writing import (
    PathLike,
    kind_of_file,
    make_folder,
    shown_path,
    system_says,
    write_file,
)
from .secret import Secret

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = [
    "BOOT_FILE_LIMIT",
    "PathLike",
    "decode_base64",
    "make_folder",
    "read_base64_or_raw",
    "read_chunks",
    "read_file",
    "read_secret",
    "refuse_pem",
    "write_file",
]

Opener: TypeAlias = Callable[[PathLike, int], int] | None
"""Opens a path with flags instead of ``os.open``; for callers who follow no links."""

CHUNK = 256 << 10  # larger pieces leave the processor's cache: slower to read and to hash
# On q35 a guest has at most 2 GiB below 4 GiB once it has more memory than fits
# there, and QEMU loads kernel and initrd below that line.
BOOT_FILE_LIMIT = 2 << 30

# O_NONBLOCK: opening a FIFO or a device must not wait for somebody else.
_READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

_READ_FAULTS: dict[int, tuple[str, str, str]] = {
    errno.ENOENT: ("file-missing", "there is no such file", "Check the path."),
    errno.ENOTDIR: ("file-missing", "part of the path is no folder", "Check the path."),
    errno.EACCES: (
        "file-unreadable",
        "you have no permission to read it",
        "Give yourself read permission on the file and its folders, or name a copy.",
    ),
    errno.ELOOP: ("file-missing", "its symbolic links go in a circle", "Name the file itself."),
    errno.ENXIO: ("file-not-regular", "it is a socket or a device", "Name a regular file."),
    errno.ENAMETOOLONG: ("file-missing", "the path is too long", "Check the path."),
}
_READ_FAULTS[errno.EPERM] = _READ_FAULTS[errno.EACCES]


def read_file(
    path: PathLike, field: str, limit: int, *, allow_empty: bool = False, opener: Opener = None
) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes; links are followed by ``os.open``.

    Raises BadInput ``file-missing``, ``file-is-folder``, ``file-not-regular``,
    ``file-unreadable``, ``file-empty``, ``file-too-large`` or ``file-changed``.
    """
    return bytes(_read_whole(path, field, limit, allow_empty=allow_empty, opener=opener))


def read_secret(path: PathLike, field: str, limit: int) -> Secret:
    """The bytes of a file as a Secret, with no other copy left behind; raises as read_file does."""
    buffer = _read_whole(path, field, limit)
    try:
        return Secret(buffer)
    finally:
        buffer[:] = bytes(len(buffer))


def read_chunks(
    path: PathLike,
    field: str,
    *,
    chunk: int = CHUNK,
    limit: int = BOOT_FILE_LIMIT,
    allow_empty: bool = False,
) -> Iterator[bytes]:
    """A large file piece by piece, ``chunk`` bytes at a time, never whole in memory.

    The file is opened when the first piece is asked for. Raises as read_file does,
    ``file-changed`` only after the last piece: use nothing before the end is reached.
    """
    with _regular_file(path, field) as (stream, status):
        _check_size(path, field, status.st_size, limit, allow_empty=allow_empty)
        total = 0
        while block := _read_block(stream, chunk, path, field):
            total += len(block)
            if total > status.st_size:
                raise _changed(path, field)
            yield block
        _check_unchanged(stream, status, total, path, field)


def read_base64_or_raw(path: PathLike, field: str, sizes: Collection[int]) -> bytes:
    """Bytes of one of the given sizes, from a file that holds them raw or as base64 text.

    Hosts and tools pass the same structures around in both forms. A file whose own
    size is one of ``sizes`` is raw. Raises BadInput as read_file, refuse_pem and
    decode_base64 do, or ``wrong-size``.
    """
    largest = max(sizes)
    data = read_file(path, field, 2 * largest + 1024)
    if len(data) in sizes:
        return data
    refuse_pem(data, field)
    if not data.isascii():
        raise _wrong_size(path, field, f"{len(data)} bytes", sizes)
    decoded = decode_base64(data, field, largest)
    if len(decoded) not in sizes:
        raise _wrong_size(path, field, f"{len(decoded)} bytes in base64", sizes)
    return decoded


@contextmanager
def _regular_file(
    path: PathLike, field: str, opener: Opener = None
) -> Iterator[tuple[io.FileIO, os.stat_result]]:
    try:
        descriptor = (opener or os.open)(path, _READ_FLAGS)
    except (OSError, ValueError) as fault:
        raise _unreadable(path, field, fault) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _not_a_file(path, field, status.st_mode)
        with io.FileIO(descriptor, "rb", closefd=False) as stream:
            yield stream, status
    finally:
        os.close(descriptor)


def _not_a_file(path: PathLike, field: str, mode: int) -> BadInput:
    folder = stat.S_ISDIR(mode)
    return BadInput(
        "file-is-folder" if folder else "file-not-regular",
        field,
        f"{shown_path(path)} is {kind_of_file(mode)}; a regular file belongs there.",
        "Name the file in it." if folder else "Save what it gives to a file and name that.",
        {"path": shown_path(path)},
    )


def _read_whole(
    path: PathLike, field: str, limit: int, *, allow_empty: bool = False, opener: Opener = None
) -> bytearray:
    with _regular_file(path, field, opener) as (stream, status):
        _check_size(path, field, status.st_size, limit, allow_empty=allow_empty)
        buffer = bytearray(status.st_size)
        done = 0
        # One buffer from the start: a growing one would leave copies of secrets behind.
        with memoryview(buffer) as view:
            while done < len(buffer):
                try:
                    count = stream.readinto(view[done:])
                except OSError as fault:
                    raise _unreadable(path, field, fault) from None
                if not count:
                    break
                done += count
        extra = b"" if done < len(buffer) else _read_block(stream, 1, path, field)
        _check_unchanged(stream, status, done + len(extra), path, field)
        return buffer


def _read_block(stream: io.FileIO, size: int, path: PathLike, field: str) -> bytes:
    try:
        return stream.read(size) or b""
    except OSError as fault:
        raise _unreadable(path, field, fault) from None


def _check_size(path: PathLike, field: str, size: int, limit: int, *, allow_empty: bool) -> None:
    if size == 0 and not allow_empty:
        raise BadInput(
            "file-empty",
            field,
            f"{shown_path(path)} is empty.",
            "It was probably never written to the end: make it again.",
            {"path": shown_path(path)},
        )
    if size > limit:
        raise BadInput(
            "file-too-large",
            field,
            f"{shown_path(path)} holds {size} bytes; at most {limit} can belong there.",
            "It is most likely another file: check which file goes where.",
            {"path": shown_path(path), "size": size, "limit": limit},
        )


def _check_unchanged(
    stream: io.FileIO, before: os.stat_result, total: int, path: PathLike, field: str
) -> None:
    after = os.fstat(stream.fileno())
    if total != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise _changed(path, field)


def _wrong_size(path: PathLike, field: str, held: str, sizes: Collection[int]) -> BadInput:
    wanted = " or ".join(str(size) for size in sorted(sizes))
    return BadInput(
        "wrong-size",
        field,
        f"{shown_path(path)} holds {held}; {wanted} belong there.",
        "The file is cut short, or it is another one: check which file goes where.",
        {"path": shown_path(path), "sizes": sorted(sizes)},
    )


def _changed(path: PathLike, field: str) -> BadInput:
    return BadInput(
        "file-changed",
        field,
        f"{shown_path(path)} changed while it was read.",
        "Wait until whatever writes it has finished, and try again.",
        {"path": shown_path(path)},
    )


def _unreadable(path: PathLike, field: str, fault: OSError | ValueError) -> BadInput:
    number = fault.errno if isinstance(fault, OSError) else errno.ENOENT
    code, why, remedy = _READ_FAULTS.get(
        number or 0, ("file-unreadable", system_says(number), "Check the disk, or name a copy.")
    )
    return BadInput(
        code, field, f"{shown_path(path)} can't be read: {why}.", remedy, {"path": shown_path(path)}
    )
