# SPDX-License-Identifier: Apache-2.0
"""The firmware volumes of an image, and the modules in them: what can be seen without running it.

Source: UEFI Platform Initialization specification, volume 3 (firmware volumes, files,
sections); edk2 MdeModulePkg LzmaCustomDecompressLib for the packed section.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

FILE_SYSTEM_GUIDS: Final = frozenset(
    {
        UUID("8c8ce578-8a3d-4f1c-9935-896185c32dd3"),
        UUID("5473c07a-3dcb-4dca-bd6f-1e9689e7349a"),
    }
)
VARIABLE_STORE_GUID: Final = UUID("fff12b8d-7696-4c8b-a985-2747075b4f50")
LZMA_GUID: Final = UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf")

UNPACKED_LIMIT: Final = 64 << 20
"""Bytes that all packed sections of an image together may unpack to; edk2's have 13 MiB."""
_LZMA_MEMORY: Final = 80 << 20  # the dictionary that a header may ask for; edk2's has 16 MiB
_DEEPEST: Final = 8
_STEPS_MAX: Final = 100_000  # files and sections together; real images have some hundreds
_MARKS_MAX: Final = 4096
_VOLUMES_MAX: Final = 64
_NAME_MAX: Final = 128

_VOLUME: Final = struct.Struct("<16x16sQ4sIHHHBB")
_VOLUME_MARK_AT: Final = 40
_FILE: Final = struct.Struct("<16sHBB3sB")
_LARGE_FILE: Final = 0x01
_PADDING_FILE: Final = 0xF0
_FREE: Final = b"\xff" * _FILE.size
_LARGE_SECTION: Final = 0xFFFFFF

_COMPRESSED, _GUIDED, _PE32, _TE, _NAME, _VOLUME_IMAGE = 0x01, 0x02, 0x10, 0x12, 0x15, 0x17
_PROCESSING_REQUIRED: Final = 0x01


@dataclass(frozen=True, slots=True)
class Volume:
    """A firmware volume: ``offset`` and ``size`` in bytes, and what kind of data it holds."""

    offset: int
    size: int
    file_system: UUID

    @property
    def holds_files(self) -> bool:
        """Whether there is code in it."""
        return self.file_system in FILE_SYSTEM_GUIDS

    @property
    def holds_variables(self) -> bool:
        """Whether it is a store of UEFI variables."""
        return self.file_system == VARIABLE_STORE_GUID


@dataclass(frozen=True, slots=True)
class Module:
    """A driver or application in an image; ``code`` is its executable, perhaps empty."""

    guid: UUID
    name: str
    code: memoryview = field(repr=False)


@dataclass(frozen=True, slots=True)
class ImageContents:
    """The volumes and modules of an image; ``problems`` says what could not be looked into."""

    volumes: tuple[Volume, ...]
    modules: tuple[Module, ...]
    problems: tuple[str, ...]

    def module(self, guid: UUID) -> Module | None:
        """The module with this GUID, or None."""
        return next((module for module in self.modules if module.guid == guid), None)


def read_contents(data: bytes) -> ImageContents:
    """Look into an image, packed sections included; anything unreadable is named, never raised.

    Time and memory are bounded: packed sections unpack to 64 MiB together at most.
    """
    volumes = tuple(find_volumes(data))
    walk = _Walk()
    whole = memoryview(data)
    for volume in volumes:
        if volume.holds_files:
            walk.volume(whole[volume.offset : volume.offset + volume.size], 0)
    return ImageContents(volumes, tuple(walk.modules), tuple(dict.fromkeys(walk.problems)))


def find_volumes(data: bytes) -> Iterator[Volume]:
    """The volumes that stand in an image side by side, found by their signature."""
    position = found = 0
    for _ in range(_MARKS_MAX):
        mark = data.find(b"_FVH", position)
        if mark < 0 or found == _VOLUMES_MAX:
            return
        volume = _volume_at(data, mark - _VOLUME_MARK_AT)
        position = mark + 4
        if volume is not None:
            found += 1
            position = volume.offset + volume.size
            yield volume


def _volume_at(data: bytes | memoryview, offset: int) -> Volume | None:
    header = _volume_header(data, offset)
    return None if header is None else header[0]


def _volume_header(data: bytes | memoryview, offset: int) -> tuple[Volume, int] | None:
    """A volume and where in it the first file starts; None if there is none at ``offset``."""
    if offset < 0 or len(data) - offset < _VOLUME.size:
        return None
    guid, size, mark, _, length, _, extension, _, _ = _VOLUME.unpack_from(data, offset)
    if mark != b"_FVH" or not _VOLUME.size <= length <= size <= len(data) - offset or length % 2:
        return None
    if sum(struct.unpack_from(f"<{length // 2}H", data, offset)) & 0xFFFF:
        return None
    first = length
    if extension:
        if extension + 20 > size:
            return None
        first = extension + struct.unpack_from("<I", data, offset + extension + 16)[0]
    return Volume(offset, size, UUID(bytes_le=guid)), _aligned(first, 8)


class _Walk:
    """Goes through volumes, files and sections, and collects modules and problems."""

    def __init__(self) -> None:
        self.modules: list[Module] = []
        self.problems: list[str] = []
        self._budget = UNPACKED_LIMIT
        self._steps = 0

    def _may_go_on(self) -> bool:
        self._steps += 1
        if self._steps == _STEPS_MAX:
            self.problems.append(f"Only {_STEPS_MAX} files and sections are looked at.")
        return self._steps < _STEPS_MAX

    def volume(self, data: memoryview, depth: int) -> None:
        header = _volume_header(data, 0)
        if header is None or not header[0].holds_files:
            return
        if depth > _DEEPEST:
            self.problems.append("Volumes are nested too deeply to be looked into.")
            return
        end = header[0].size
        offset = header[1]
        while end - offset >= _FILE.size and bytes(data[offset : offset + _FILE.size]) != _FREE:
            size = self._file(data[offset:end], depth) if self._may_go_on() else None
            if size is None:
                self.problems.append("A volume can't be read from some file on.")
                return
            offset += _aligned(size, 8)

    def _file(self, data: memoryview, depth: int) -> int | None:
        """Read the file at the start of ``data``; its size, or None if it can't be a file."""
        guid, _, kind, attributes, size_bytes, _ = _FILE.unpack_from(data)
        size, header = int.from_bytes(size_bytes, "little"), _FILE.size
        if attributes & _LARGE_FILE:
            if len(data) < header + 8:
                return None
            size, header = struct.unpack_from("<Q", data, header)[0], header + 8
        if not header <= size <= len(data):
            return None
        if kind != _PADDING_FILE:
            self._module(UUID(bytes_le=guid), data[header:size], depth)
        return int(size)

    def _module(self, guid: UUID, data: memoryview, depth: int) -> None:
        name, code = "", memoryview(b"")
        for kind, body in self._sections(data, depth):
            if kind in (_PE32, _TE):
                code = body
            elif kind == _NAME:
                name = bytes(body[: 2 * _NAME_MAX]).decode("utf-16-le", "replace").rstrip("\0")
        if name or code:
            self.modules.append(Module(guid, name, code))

    def _sections(self, data: memoryview, depth: int) -> Iterator[tuple[int, memoryview]]:
        """The leaf sections of a file; volumes and packed sections are gone into."""
        offset = 0
        while len(data) - offset >= 4 and self._may_go_on():
            size = int.from_bytes(data[offset : offset + 3], "little")
            kind, header = data[offset + 3], 4
            if size == _LARGE_SECTION and len(data) - offset >= 8:
                size, header = struct.unpack_from("<I", data, offset + 4)[0], 8
            if not header <= size <= len(data) - offset:
                return  # what follows the last section is padding, or no sections at all
            section = data[offset : offset + size]
            if kind == _VOLUME_IMAGE:
                self.volume(section[header:], depth + 1)
            elif kind in (_GUIDED, _COMPRESSED):
                yield from self._inner(section, header, kind, depth)
            else:
                yield kind, section[header:]
            offset = _aligned(offset + size, 4)

    def _inner(
        self, section: memoryview, header: int, kind: int, depth: int
    ) -> Iterator[tuple[int, memoryview]]:
        if depth > _DEEPEST:
            self.problems.append("Sections are nested too deeply to be looked into.")
            return
        packed = kind == _GUIDED
        inner = self._guided(section, header) if packed else self._stored(section[header:])
        if inner is not None:
            yield from self._sections(inner, depth + 1)

    def _stored(self, body: memoryview) -> memoryview | None:
        if len(body) < 5 or body[4] != 0:
            self.problems.append("A section is packed with the old EFI compression.")
            return None
        return body[5:]

    def _guided(self, section: memoryview, header: int) -> memoryview | None:
        if len(section) < header + 20:
            return None
        guid = UUID(bytes_le=bytes(section[header : header + 16]))
        start, attributes = struct.unpack_from("<HH", section, header + 16)
        if not header + 20 <= start <= len(section):
            self.problems.append("A packed section is damaged.")
            return None
        if guid == LZMA_GUID:
            return self._unpacked(section[start:])
        if attributes & _PROCESSING_REQUIRED:
            self.problems.append(f"A section is packed in a way that is not known here ({guid}).")
            return None
        return section[start:]

    def _unpacked(self, packed: memoryview) -> memoryview | None:
        try:
            import lzma  # noqa: PLC0415 - some Pythons are built without it
        except ImportError:
            self.problems.append("This Python has no lzma module, so packed code can't be seen.")
            return None
        machine = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY)
        try:
            # One byte more than may come: only then does it say whether that was all.
            clear = machine.decompress(packed, max_length=self._budget + 1)
        except lzma.LZMAError:
            self.problems.append("A packed section is damaged, or made to use up memory.")
            return None
        if len(clear) > self._budget:
            self.problems.append(f"Packed code has more than {UNPACKED_LIMIT >> 20} MiB.")
            return None
        self._budget -= len(clear)
        if not machine.eof:
            self.problems.append("A packed section is cut short.")
        return memoryview(clear)


def _aligned(number: int, step: int) -> int:
    return -(-number // step) * step
