# SPDX-License-Identifier: Apache-2.0
"""Finds QEMU's firmware descriptors on this machine, and judges the images that they name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from ..errors import BadInput
from ..files import read_chunks, read_file
from ..sev.firmware import FIRMWARE_LIMIT, FirmwareImage
from ..sev.firmware_descriptor import DESCRIPTOR_LIMIT, FirmwareDescriptor, contradictions
from ..sev.firmware_inspection import FirmwareInspection

_FILES_MAX: Final = 256
"""Descriptors that are looked at; a machine has a dozen."""

Inspect = Callable[[str, str], FirmwareInspection]
"""Inspects the image at a path; the second argument names it in errors."""


class DescriptorVerdict(StrEnum):
    """What came of judging one descriptor."""

    GO = "GO"
    NO_GO = "NO-GO"
    OTHER = "other"
    """For a machine that can't have SEV, or hidden by an empty file: not looked into."""


@dataclass(frozen=True, slots=True)
class FoundDescriptor:
    """A descriptor file; ``hides`` are the files of its name in less specific folders."""

    path: Path
    hides: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class JudgedDescriptor:
    """A descriptor, its image as far as it could be inspected, and what is wrong with them."""

    path: Path
    hides: tuple[Path, ...]
    verdict: DescriptorVerdict
    problems: tuple[str, ...]
    descriptor: FirmwareDescriptor | None = None
    inspection: FirmwareInspection | None = None


def standard_folders(environment: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Where QEMU's descriptors are, the least specific first.

    Source: QEMU docs/interop/firmware.json.
    """
    variables = os.environ if environment is None else environment
    configured = variables.get("XDG_CONFIG_HOME", "")
    if not configured.startswith("/"):  # the XDG specification has relative paths ignored
        configured = str(Path(variables.get("HOME") or "/") / ".config")
    return (
        Path("/usr/share/qemu/firmware"),
        Path("/etc/qemu/firmware"),
        Path(configured) / "qemu" / "firmware",
    )


def find_descriptors(folders: Sequence[str | Path]) -> tuple[FoundDescriptor, ...]:
    """The descriptors in effect, in QEMU's order of preference: sorted by file name.

    A file hides those of the same name in folders named before its own. Raises
    BadInput ``too-many-descriptors``; folders that can't be read count as empty.
    """
    by_name: dict[str, list[Path]] = {}
    for folder in folders:
        for path in _json_files(Path(folder)):
            by_name.setdefault(path.name, []).append(path)
    return tuple(
        FoundDescriptor(paths[-1], tuple(reversed(paths[:-1])))
        for _, paths in sorted(by_name.items())
    )


def _json_files(folder: Path) -> list[Path]:
    found: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".json"):
                    found.append(folder / entry.name)
                if len(found) > _FILES_MAX:
                    raise _too_many(folder)
    except OSError:
        return []
    return found


def judge_installed(
    folders: Sequence[str | Path], inspect: Inspect
) -> tuple[JudgedDescriptor, ...]:
    """All descriptors in effect, each held against its image; ``inspect`` raises BadInput.

    An image that several descriptors name is inspected once.
    """
    seen: dict[str, FirmwareInspection | BadInput] = {}

    def remembered(path: str, field: str) -> FirmwareInspection:
        if path not in seen:
            try:
                seen[path] = inspect(path, field)
            except BadInput as error:
                seen[path] = error
        result = seen[path]
        if isinstance(result, BadInput):
            raise result
        return result

    return tuple(_judge(found, remembered) for found in find_descriptors(folders))


def installed_images(folders: Sequence[str | Path]) -> tuple[tuple[str, FirmwareImage], ...]:
    """The images that the descriptors in effect name, by path; those that can't be used are not.

    Raises BadInput ``too-many-descriptors``.
    """
    images: dict[str, FirmwareImage] = {}
    for found in find_descriptors(folders):
        with contextlib.suppress(BadInput):
            name = str(found.path)
            content = read_file(found.path, name, DESCRIPTOR_LIMIT)
            descriptor = FirmwareDescriptor.parse(_as_text(content, name), name)
            path = descriptor.filename
            if descriptor.for_x86 and _unusable(descriptor) is None and path not in images:
                chunks = read_chunks(path, name, limit=FIRMWARE_LIMIT)
                images[path] = FirmwareImage.from_chunks(chunks, name)
    return tuple(images.items())


def _judge(found: FoundDescriptor, inspect: Inspect) -> JudgedDescriptor:
    def judged(
        verdict: DescriptorVerdict,
        *problems: str,
        descriptor: FirmwareDescriptor | None = None,
        inspection: FirmwareInspection | None = None,
    ) -> JudgedDescriptor:
        return JudgedDescriptor(found.path, found.hides, verdict, problems, descriptor, inspection)

    name = str(found.path)
    try:
        content = read_file(found.path, name, DESCRIPTOR_LIMIT, allow_empty=True)
        if not content:
            return judged(DescriptorVerdict.OTHER, "It is empty: it hides others of its name.")
        descriptor = FirmwareDescriptor.parse(_as_text(content, name), name)
    except BadInput as error:
        return judged(DescriptorVerdict.NO_GO, error.message)
    if not descriptor.for_x86:
        return judged(DescriptorVerdict.OTHER, "Not for x86.", descriptor=descriptor)
    if problem := _unusable(descriptor):
        return judged(DescriptorVerdict.NO_GO, problem, descriptor=descriptor)
    try:
        inspection = inspect(descriptor.filename, name)
    except BadInput as error:
        return judged(DescriptorVerdict.NO_GO, error.message, descriptor=descriptor)
    against = contradictions(descriptor, inspection)
    further = [r for r in inspection.reasons if not any(r in text for text in against)]
    verdict = DescriptorVerdict.GO if inspection.go else DescriptorVerdict.NO_GO
    return judged(verdict, *against, *further, descriptor=descriptor, inspection=inspection)


def _as_text(content: bytes, field: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadInput(
            "bad-descriptor", field, "It is not text.", "Install its package again."
        ) from None


def _unusable(descriptor: FirmwareDescriptor) -> str | None:
    """Why an image can't be looked into, or None."""
    if descriptor.device == "kernel":
        return "Its image is loaded like a kernel, which is not how SEV firmware is mapped."
    if descriptor.format != "raw":
        return f"Its image is in the format {descriptor.format}: what is measured is its raw form."
    if not descriptor.filename.startswith("/"):
        return "It names its image by a path that does not start at the root."
    return None


def _too_many(folder: Path) -> BadInput:
    return BadInput(
        "too-many-descriptors",
        str(folder),
        f"It holds more than {_FILES_MAX} JSON files.",
        "Name a folder that holds firmware descriptors alone.",
    )
