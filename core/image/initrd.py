# SPDX-License-Identifier: Apache-2.0
"""Looks into initial RAM disks, and makes the second archive that is appended to one."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import BadInput
from ..hosts.host_words import visible
from .programs import Limits, run_program

LARGEST_INITRD: Final = 512 << 20
_MOST_UNPACKED: Final = 2 << 30
_MAGIC: Final = b"070701"
_MOST_NAMES: Final = 200_000
_TOOLS: Final = ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4"), (b"\x89LZO", "lzop"))
_PACKED: Final[tuple[tuple[bytes, Callable[[bytes], bytes]], ...]] = (
    (b"\x1f\x8b", lambda data: gzip.GzipFile(fileobj=io.BytesIO(data)).read(_MOST_UNPACKED)),
    (b"\xfd7zXZ\0", lambda data: lzma.LZMADecompressor().decompress(data, _MOST_UNPACKED)),
    (b"\x5d\0\0", lambda data: lzma.LZMADecompressor().decompress(data, _MOST_UNPACKED)),
    (b"BZh", lambda data: bz2.BZ2Decompressor().decompress(data, _MOST_UNPACKED)),
)


@dataclass(frozen=True, slots=True)
class InitrdFile:
    """A file or folder for an archive; ``data`` None makes a folder."""

    path: str
    data: bytes | None
    mode: int


@dataclass(frozen=True, slots=True)
class InitrdKind:
    """What an initial RAM disk is made by, as far as its files tell."""

    opens_luks: bool
    is_debian: bool
    is_dracut: bool


async def look_into(data: bytes, path: str) -> InitrdKind:
    """What the archive in ``data`` holds; raises BadInput ``initrd-unreadable``."""
    names = set()
    for archive in await _archives(data, path):
        for name in archive:
            names.add(name)
            if len(names) > _MOST_NAMES:
                raise _unreadable(path, "it has too many files")
    opens = any(
        name.rpartition("/")[2] in ("cryptsetup", "systemd-cryptsetup")
        and name.split("/")[0] in ("bin", "sbin", "usr", "lib")
        for name in names
    )
    return InitrdKind(
        opens,
        any(name.startswith("scripts/") for name in names),
        any("dracut" in name for name in names),
    )


async def _archives(data: bytes, path: str) -> list[list[str]]:
    found = []
    at = 0
    while at < len(data):
        if not data[at]:
            at = _behind_zeros(data, at)
            continue
        if data.startswith(_MAGIC, at):
            names: list[str] = []
            at = _names(data, at, names, path)
            found.append(names)
            continue
        unpacked = await _unpacked(data[at:], path)
        names = []
        _names(unpacked, 0, names, path)
        found.append(names)
        break
    if not found:
        raise _unreadable(path, "there is no archive in it")
    return found


def _behind_zeros(data: bytes, at: int) -> int:
    while at < len(data) and data[at : at + 4096] == bytes(len(data[at : at + 4096])):
        at += 4096
    while at < len(data) and not data[at]:
        at += 1
    return at


async def _unpacked(data: bytes, path: str) -> bytes:
    for magic, unpack in _PACKED:
        if data.startswith(magic):
            try:
                return unpack(data)
            except (OSError, EOFError, ValueError, lzma.LZMAError):
                raise _unreadable(path, "it is damaged") from None
    for magic, tool in _TOOLS:
        if data.startswith(magic):
            unpacked = _Bounded(path)
            await run_program(
                tool,
                ["-dc"],
                feed=data,
                limits=Limits(120),
                on_output=unpacked.take,
                allowed=(0, 1),
            )
            return bytes(unpacked.data)
    raise _unreadable(path, "it is packed in a way that is not known")


class _Bounded:
    """What a tool unpacks, up to 2 GiB."""

    def __init__(self, path: str) -> None:
        self.data, self._path = bytearray(), path

    def take(self, piece: bytes) -> None:
        self.data += piece
        if len(self.data) > _MOST_UNPACKED:
            raise _unreadable(self._path, "it unpacks to more than 2 GiB")


def _names(data: bytes, at: int, names: list[str], path: str) -> int:
    """Collect an archive's names; where it ends."""
    while data.startswith(_MAGIC, at):
        try:
            size, length = int(data[at + 54 : at + 62], 16), int(data[at + 94 : at + 102], 16)
        except ValueError:
            raise _unreadable(path, "it is damaged") from None
        name = data[at + 110 : at + 110 + length - 1].decode("utf-8", "replace")
        at = _padded(_padded(at + 110 + length) + size)
        if at > len(data) + 3 or length < 1:
            raise _unreadable(path, "it is cut short")
        if name == "TRAILER!!!":
            break
        names.append(name.removeprefix("./"))
        if len(names) > _MOST_NAMES:
            raise _unreadable(path, "it has too many files")
    return at


def _padded(size: int) -> int:
    return size + 3 & ~3


def build_archive(files: Sequence[InitrdFile]) -> bytes:
    """A cpio archive (newc), not packed, of root's files; folders come before what is in them."""
    result = bytearray()
    for number, file in enumerate([*_with_folders(files), InitrdFile("TRAILER!!!", b"", 0)], 1):
        mode = file.mode and (0o040000 if file.data is None else 0o100000) | file.mode
        name, data = file.path.encode() + b"\0", file.data or b""
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        result += _MAGIC + b"".join(b"%08x" % value for value in fields) + name
        result += bytes(-len(result) % 4) + data
        result += bytes(-len(result) % 4)
    return bytes(result) + bytes(-len(result) % 512)


def appended(initrd: bytes, files: Sequence[InitrdFile]) -> bytes:
    """An initial RAM disk with a second archive behind it, as the kernel takes it."""
    return initrd + bytes(-len(initrd) % 4) + build_archive(files)


def _with_folders(files: Sequence[InitrdFile]) -> Iterator[InitrdFile]:
    made = {file.path for file in files}
    for file in files:
        parts = file.path.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            folder = "/".join(parts[:count])
            if folder not in made:
                made.add(folder)
                yield InitrdFile(folder, None, 0o755)
        yield file


def _unreadable(path: str, why: str) -> BadInput:
    return BadInput(
        "initrd-unreadable",
        "the root file system",
        f"Its initial RAM disk {visible(path)} can't be read: {why}.",
        "Make it anew in the guest (`update-initramfs -u` or `dracut --force`).",
    )


def without_cryptsetup(path: str) -> BadInput:
    """BadInput ``initrd-without-cryptsetup``."""
    return BadInput(
        "initrd-without-cryptsetup",
        "the root file system",
        f"Its initial RAM disk {visible(path)} can't open an encrypted disk: there is"
        " no cryptsetup in it.",
        "In the guest, install cryptsetup-initramfs and run `update-initramfs -u` (Debian, Ubuntu),"
        " or install cryptsetup and run `dracut --force --add crypt --no-hostonly` (Fedora, SUSE);"
        " then take its root anew.",
        {"initrd": path},
    )
