# SPDX-License-Identifier: Apache-2.0
"""Reads a root file system from a tar, in one direction and without unpacking it anywhere."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import IO, Any, Final

from ..errors import BadInput
from .programs import find_program
from .root_entries import (
    LARGEST_FILE,
    LONGEST_PART,
    MOST_ENTRIES,
    Kind,
    RootEntry,
    safe_path,
    too_large,
    unreadable,
    unsafe,
)

PIECE: Final = 1 << 20
_LARGEST_READ: Final = 16 << 20
_LARGEST_ATTRIBUTE: Final = 4096
_LARGEST_MAJOR: Final = (1 << 12) - 1
_LARGEST_MINOR: Final = (1 << 20) - 1
_XATTR: Final = "SCHILY.xattr."
_PACKERS: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\x1f\x9d", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x5d\0\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"LZIP", "lzip"),
    (b"\x89LZO", "lzop"),
)
_KINDS: Final = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.CONTTYPE: Kind.FILE,
    tarfile.GNUTYPE_SPARSE: Kind.FILE,
    tarfile.DIRTYPE: Kind.FOLDER,
    tarfile.SYMTYPE: Kind.LINK,
    tarfile.LNKTYPE: Kind.HARD_LINK,
    tarfile.FIFOTYPE: Kind.FIFO,
    tarfile.CHRTYPE: Kind.CHARACTER,
    tarfile.BLKTYPE: Kind.BLOCK,
}


class TarSource:
    """A tar in a file, packed as GNU tar knows it; what is made of it lies in the image alone."""

    def __init__(self, path: FilePath) -> None:
        self._path = path

    def entries(self) -> Iterator[tuple[RootEntry, Iterable[tuple[int, bytes]]]]:
        """See RootSource."""
        with _unpacked(self._path) as stream, _tar_faults(), _tar_of(stream) as tar:
            count = 0
            while (member := tar.next()) is not None:
                tar.members = []  # it would keep all of them
                count += 1
                if count > MOST_ENTRIES:
                    raise too_large(f"more than {MOST_ENTRIES} entries")
                entry = _entry(member)
                yield entry, _content(tar, member) if entry.kind is Kind.FILE else ()


def _tar_of(stream: IO[bytes]) -> Any:
    forwards: Any = _OneWay(stream)
    return tarfile.open(fileobj=forwards, mode="r:", encoding="utf-8", errors="surrogateescape")


def _entry(member: tarfile.TarInfo) -> RootEntry:
    name = os.fsencode(member.name)
    kind = _KINDS.get(member.type)
    if kind is None:
        raise unsafe(name, "it is of a kind that no file system has")
    if not (0 <= member.devmajor <= _LARGEST_MAJOR and 0 <= member.devminor <= _LARGEST_MINOR):
        raise unsafe(name, "it is a device of a number that there is not")
    if "\0" in member.linkname:
        raise unsafe(name, "it is a link to a name that can't be")
    if not 0 <= member.size <= LARGEST_FILE:
        raise too_large("a file of more than 8 TiB")
    return RootEntry(
        safe_path(name),
        kind,
        member.mode & 0o7777,
        member.uid & 0xFFFFFFFF,
        member.gid & 0xFFFFFFFF,
        int(member.mtime),
        member.size if kind is Kind.FILE else 0,
        os.fsencode(member.linkname),
        (member.devmajor, member.devminor),
        _xattrs(member),
        _stored(member),
    )


def _stored(member: tarfile.TarInfo) -> int | None:
    parts: Any = member.sparse  # typeshed has it otherwise
    return None if parts is None else sum(size for _, size in parts)


def _xattrs(member: tarfile.TarInfo) -> dict[str, bytes]:
    found = {}
    for key, value in member.pax_headers.items():
        if key.startswith(_XATTR):
            found[key.removeprefix(_XATTR)] = value.encode("utf-8", "surrogateescape")
        elif key == "RHT.security.selinux":
            found.setdefault("security.selinux", value.encode("utf-8", "surrogateescape") + b"\0")
    for name in found:
        if not name.isprintable() or len(name.encode()) > LONGEST_PART:
            raise unsafe(os.fsencode(member.name), "it has an attribute of a name that can't be")
    if sum(len(name) + len(value) for name, value in found.items()) > _LARGEST_ATTRIBUTE:
        raise unsafe(os.fsencode(member.name), "its attributes are larger than ext4 can hold")
    return found


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[tuple[int, bytes]]:
    parts: Any = member.sparse  # typeshed has it otherwise
    ranges = [(0, member.size)] if parts is None else parts
    stream = tar.extractfile(member)
    if stream is None:
        return
    with stream:
        for start, size in ranges:
            stream.seek(start)
            done = 0
            while done < size:
                piece = stream.read(min(PIECE, size - done))
                if not piece:
                    raise unreadable("it ends in the middle of a file")
                yield start + done, piece
                done += len(piece)


class _OneWay:
    """A stream with the little of a seekable file that tarfile asks for: forwards alone."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._at = stream, 0

    def tell(self) -> int:
        return self._at

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or place < self._at:
            raise unreadable("its parts refer backwards")
        while self._at < place:
            if not self.read(min(PIECE, place - self._at)):
                break
        return self._at

    def read(self, size: int = -1) -> bytes:
        # Names and attributes are read in one piece: an archive may claim gigabytes of them.
        if not 0 <= size <= _LARGEST_READ:
            raise too_large("a name or an attribute of more than 16 MiB")
        data = self._stream.read(size)
        self._at += len(data)
        return data

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


@contextlib.contextmanager
def _unpacked(path: FilePath) -> Iterator[IO[bytes]]:
    with path.open("rb", buffering=0) as file:  # whoever inherits it begins where it is
        start = file.read(6)
        file.seek(0)
        packer = next((name for magic, name in _PACKERS if start.startswith(magic)), None)
        if packer is None:
            yield io.BufferedReader(file, PIECE)
            return
        process = subprocess.Popen(
            [find_program(packer), "-dc"],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            start_new_session=True,
        )
        if process.stdout is None:
            return
        try:
            with process.stdout as stream:
                yield stream
                if stream.read(1):
                    process.kill()  # what follows an archive's end is nothing
                elif process.wait() != 0:
                    raise unreadable(f"{packer} found it damaged")
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _tar_faults() -> Iterator[None]:
    try:
        yield
    except tarfile.ReadError as fault:
        why = "it is no tar, or is cut short" if "empty" not in str(fault) else "it is empty"
        raise unreadable(why) from None
    except (tarfile.TarError, EOFError, ValueError, RecursionError, OverflowError):
        raise unreadable("it is no sound tar") from None
    except OSError as fault:
        if isinstance(fault, BadInput):
            raise
        raise unreadable(f"the system says “{os.strerror(fault.errno or 0)}”") from None
