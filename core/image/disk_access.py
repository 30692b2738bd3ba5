# SPDX-License-Identifier: Apache-2.0
"""Opens an image, raw or qcow2, for reading or for changing its bytes in place, without root."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from ..errors import BadInput
from ..file_writing import kind_of_file, shown_path, system_says
from .image_errors import IMAGE, in_use, too_short
from .nbd_client import opened_qcow2
from .qcow2_header import MAGIC, SIZE, Qcow2Header

# What QEMU locks in an image's file (block/file-posix.c): a byte for each permission that
# it uses, and one for each that it denies to others.
_PERMISSION_BYTES: Final = ((100, 64), (200, 64))
_FLOCK: Final = "hhqqi4x"


class ImageFormat(StrEnum):
    """How the guest's bytes lie in the file."""

    RAW = "raw"
    QCOW2 = "qcow2"


class Disk(Protocol):
    """The guest's disk: ``size`` in bytes; every read is whole or raises ``image-too-short``."""

    size: int

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes at an offset."""

    def write(self, offset: int, data: bytes) -> None:
        """Write all of it."""

    def flush(self) -> None:
        """Bring to the disk what was written."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An open image: its format, its guest's disk, and who else uses it.

    ``snapshots``  inside a qcow2, each with an older state of the disk
    """

    path: Path
    format: ImageFormat
    disk: Disk
    is_in_use: bool
    snapshots: int


class RawDisk:
    """A file whose bytes are the guest's."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes at an offset, all of them. Raises BadInput ``image-too-short``."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise too_short()
        data = bytearray()
        while len(data) < size:
            piece = os.pread(self._descriptor, size - len(data), offset + len(data))
            if not piece:
                raise too_short()
            data += piece
        return bytes(data)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of it. Raises BadInput ``image-too-short``, ``file-not-written``."""
        if offset < 0 or offset + len(data) > self.size:
            raise too_short()
        done = 0
        while done < len(data):
            done += os.pwrite(self._descriptor, data[done:], offset + done)

    def flush(self) -> None:
        """Bring to the disk what was written."""
        os.fsync(self._descriptor)


@contextlib.contextmanager
def opened_image(path: Path, *, writable: bool = False) -> Iterator[ImageFile]:
    """The image in a file; to be written it is locked, so that no QEMU starts with it meanwhile.

    Raw is what is not qcow2; other formats are refused by their magic. Raises BadInput
    ``file-missing``, ``file-not-regular``, ``file-unreadable``, ``image-format``,
    ``image-in-use`` (to be written) and as Qcow2Header.parse.
    """
    descriptor = _open(path, writable=writable)
    try:
        start = os.pread(descriptor, SIZE, 0)
        busy = _is_locked(descriptor)
        if busy and writable:
            raise in_use(shown_path(path))
        if start.startswith(MAGIC):
            header = Qcow2Header.parse(start)
            with (
                opened_qcow2(path, descriptor, writable=writable) as disk,
                _system_faults(path),
            ):
                yield ImageFile(path, ImageFormat.QCOW2, disk, busy, header.snapshots)
            return
        _refuse_others(start)
        if writable:
            _lock(descriptor, path)
        with _system_faults(path):
            yield ImageFile(path, ImageFormat.RAW, RawDisk(descriptor), busy, 0)
    finally:
        os.close(descriptor)


def _open(path: Path, *, writable: bool) -> int:
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as fault:
        raise _unreadable(path, fault) from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise BadInput(
        "file-not-regular",
        IMAGE,
        f"{shown_path(path)} is {kind_of_file(mode)}; an image is a regular file.",
        "Name the image's file.",
        {"path": shown_path(path)},
    )


def _unreadable(path: Path, fault: OSError | ValueError) -> BadInput:
    number = fault.errno if isinstance(fault, OSError) else errno.ENOENT
    missing = number in (errno.ENOENT, errno.ENOTDIR)
    return BadInput(
        "file-missing" if missing else "file-unreadable",
        IMAGE,
        f"{shown_path(path)} can't be opened: {system_says(number)}.",
        "Check the path." if missing else "Give yourself permission, or name a copy.",
        {"path": shown_path(path)},
    )


_OTHER_FORMATS: Final = {
    b"KDMV": "VMDK",
    b"# Disk DescriptorFile": "VMDK",
    b"conectix": "VHD",
    b"vhdxfile": "VHDX",
    b"QED\0": "QED",
    b"<<< Oracle VM": "VDI",
    b"<<< QEMU VM": "VDI",
    b"\x1f\x8b": "a gzip archive",
    b"(\xb5/\xfd": "a zstd archive",
    b"\xfd7zXZ\0": "an xz archive",
}


def _refuse_others(start: bytes) -> None:
    for magic, name in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise BadInput(
                "image-format",
                IMAGE,
                f"It is {name}; Watchword reads raw and qcow2 images.",
                "Unpack it, or convert it: `qemu-img convert -O qcow2 IMAGE NEW`.",
                {"format": name},
            )


def _is_locked(descriptor: int) -> bool:
    """Whether anybody holds one of QEMU's locks: a reader too."""
    for start, length in _PERMISSION_BYTES:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        try:
            answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question)
        except OSError:
            return False  # a file system without locks: QEMU has none there either
        if struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK:
            return True
    return False


def _lock(descriptor: int, path: Path) -> None:
    for start, length in _PERMISSION_BYTES:
        wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
        except OSError as fault:
            if fault.errno in (errno.EAGAIN, errno.EACCES):
                raise in_use(shown_path(path)) from None
            return  # no locks there


@contextlib.contextmanager
def _system_faults(path: Path) -> Iterator[None]:
    """Turn what the system says of a read or a write into our error."""
    try:
        yield
    except OSError as fault:
        full = fault.errno in (errno.ENOSPC, errno.EDQUOT)
        raise BadInput(
            "no-room" if full else "file-unreadable",
            IMAGE,
            f"{shown_path(path)} can't be read or written: {system_says(fault.errno)}.",
            "Make room there." if full else "Check the disk that it is on.",
            {"path": shown_path(path)},
        ) from None
