# SPDX-License-Identifier: Apache-2.0
"""Holds the files of a profile against what was approved; nothing here changes a profile."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ..errors import BadInput
from ..files import BOOT_FILE_LIMIT, read_chunks, read_file
from ..sev.chain_files import LARGEST_FILE, fingerprint_pin
from ..sev.firmware import FIRMWARE_LIMIT, FirmwareImage
from .rules import FILES

if TYPE_CHECKING:  # the profile imports this module
    from .profile import ApprovedFile, GuestProfile

OCA: Final = "oca"
APPROVABLE: Final = (*FILES, OCA)
"""The components that an owner approves by looking at files."""


class FileState(StrEnum):
    """How a file stands to what was approved."""

    SAME = "same"
    CHANGED = "changed"
    NOT_APPROVED = "not-approved"
    UNREADABLE = "unreadable"
    BY_HASH = "by-hash"


@dataclass(frozen=True, slots=True)
class FileFound:
    """What a path holds now: ``sha256`` (hex), ``size`` in bytes, the image if it is firmware.

    For an owner CA, ``sha256`` is its fingerprint. Where the file can't be used, ``problem``
    says why; its hash is known all the same if it could be read to the end.
    """

    sha256: str | None
    size: int | None
    image: FirmwareImage | None = None
    problem: BadInput | None = None


_NOTHING: Final = FileFound(None, None)


@dataclass(frozen=True, slots=True)
class ExaminedFile:
    """One entry of a profile (``component`` and position) beside what was found."""

    component: str
    index: int
    entry: ApprovedFile
    state: FileState
    found: FileFound

    def as_json(self) -> dict[str, object]:
        """The comparison with stable field names."""
        return {
            "component": self.component,
            "path": self.entry.path,
            "state": self.state.value,
            "approved_sha256": self.entry.sha256,
            "approved_size": self.entry.size,
            "approved": self.entry.approved.isoformat() if self.entry.approved else None,
            "found_sha256": self.found.sha256,
            "found_size": self.found.size,
            "problem": self.found.problem.message if self.found.problem else None,
        }

    def __str__(self) -> str:
        return f"{self.component} {self.entry.label}"


def examine_files(profile: GuestProfile) -> tuple[ExaminedFile, ...]:
    """Read every file that the profile names, once, and compare; never raises for files."""
    return tuple(
        _examine(component, index, entry) for component, index, entry in entries_of(profile)
    )


def entries_of(profile: GuestProfile) -> Iterator[tuple[str, int, ApprovedFile]]:
    """The profile's files: component, position, entry."""
    for component in FILES:
        for index, entry in enumerate(getattr(profile, component)):
            yield component, index, entry


def _examine(component: str, index: int, entry: ApprovedFile) -> ExaminedFile:
    found = _NOTHING if entry.path is None else look_at(component, entry.path)
    return ExaminedFile(component, index, entry, _state(entry, found), found)


def _state(entry: ApprovedFile, found: FileFound) -> FileState:
    if not entry.is_approved:
        return FileState.NOT_APPROVED
    if entry.path is None:
        return FileState.BY_HASH
    if found.sha256 is None:
        return FileState.UNREADABLE
    if not hmac.compare_digest(found.sha256, entry.sha256 or ""):
        return FileState.CHANGED
    # A file that is no firmware image is of no use as one, changed or not.
    return FileState.SAME if found.problem is None else FileState.UNREADABLE


def look_at(component: str, path: str) -> FileFound:
    """What this path holds now, read once; never raises for what a file holds."""
    if component == OCA:
        return _look_at_oca(path)
    is_firmware = component == "firmware"
    limit = FIRMWARE_LIMIT if is_firmware else BOOT_FILE_LIMIT
    chunks = _Counted(read_chunks(path, component, limit=limit, allow_empty=component == "initrd"))
    try:
        image = FirmwareImage.from_chunks(chunks, f"firmware {path}") if is_firmware else None
        chunks.exhaust()
    except BadInput as problem:
        if not chunks.complete:
            return FileFound(None, None, None, problem)
        return FileFound(chunks.sha256, chunks.size, None, problem)
    return FileFound(chunks.sha256, chunks.size, image)


def _look_at_oca(path: str) -> FileFound:
    try:
        content = read_file(path, OCA, LARGEST_FILE)
        return FileFound(fingerprint_pin(path, content), len(content))
    except BadInput as problem:
        return FileFound(None, None, None, problem)


class _Counted:
    """A stream that is hashed and counted as somebody else reads it."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._running = hashlib.sha256()
        self.size = 0
        self.complete = False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._running.update(chunk)
            self.size += len(chunk)
            yield chunk
        self.complete = True

    def exhaust(self) -> None:
        """Read what nobody has read."""
        for _ in self:
            pass

    @property
    def sha256(self) -> str:
        return self._running.hexdigest()


def refuse_changed(name: str, files: Sequence[ExaminedFile]) -> None:
    """BadInput unless every file is what the owner approved, all of them named at once.

    ``approved-file-changed`` for other contents, else ``not-approved``, else
    ``approved-file-unreadable`` for firmware that can't be read.
    """
    if changed := [file for file in files if file.state is FileState.CHANGED]:
        raise _changed(name, changed)
    if pending := [str(file) for file in files if file.state is FileState.NOT_APPROVED]:
        raise not_approved(name, pending)


def _changed(name: str, changed: Sequence[ExaminedFile]) -> BadInput:
    first = changed[0]
    parts = " ".join({file.component: "" for file in changed})
    more = f" So have {len(changed) - 1} more." if len(changed) > 1 else ""
    return BadInput(
        "approved-file-changed",
        f"guest profile {name}",
        f"The {first} is not what you approved: approved SHA-256 {first.entry.sha256}, now"
        f" {first.found.sha256}.{more}",
        "If you changed it yourself, for example by an update, approve it again: `watchword guest"
        f" edit {name} --approve {parts}`. If not, find out who did, and launch nothing with it.",
        {"differences": [file.as_json() for file in changed]},
    )


def not_approved(name: str, what: Sequence[str]) -> BadInput:
    """The error for things that the owner has not agreed to yet."""
    return BadInput(
        "not-approved",
        f"guest profile {name}",
        f"Not approved yet: {', '.join(what)}.",
        f"Look at it with `watchword guest check {name}`, then approve it with `watchword guest"
        f" edit {name} --approve all`.",
        {"not_approved": list(what)},
    )
