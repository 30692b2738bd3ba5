# SPDX-License-Identifier: Apache-2.0
"""Claims the name of a new image: one builder at a time, a note for crashes, nothing half-made."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..bounded_json import parse_json
from ..errors import BadInput, WatchwordError
from ..file_writing import shown_path
from .image_errors import in_use
from .programs import no_room

_NOTE_LIMIT: Final = 4096
_LONGEST_NAME: Final = 255 - len("..vmlinuz.building")
"""Of the image, in bytes: the names of what is not finished are longer."""


@dataclass(frozen=True, slots=True)
class OutputClaim:
    """The name of an image that is being built.

    ``note`` is a locked file beside it, gone when all is done; see :meth:`keys_are_next`.
    """

    output: Path
    note: Path
    descriptor: int

    def beside(self, name: str) -> Path:
        """A name for a file that is not finished, in the same folder."""
        return self.output.with_name(f".{self.output.name}.{name}.building")

    def keys_are_next(self, entries: list[str]) -> None:
        """Write down that keys of this image go to the vault now, before they do."""
        data = json.dumps({"entries": entries}).encode()
        os.pwrite(self.descriptor, data, 0)
        os.fsync(self.descriptor)


@contextlib.contextmanager
def claimed_output(output: Path) -> Iterator[OutputClaim]:
    """Claim it; what a builder left that was killed is removed.

    Raises BadInput ``file-exists``, ``name-too-long``, ``image-in-use``, ``bad-folder``, and
    ``image-build-cut-short`` where the vault may hold keys of an image that never came to be.
    """
    output = output.absolute()
    if len(os.fsencode(output.name)) > _LONGEST_NAME:
        raise _too_long()
    note = output.with_name(f".{output.name}.build")
    if os.path.lexists(output):
        raise exists(output)
    try:
        descriptor = os.open(note, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_room(output.parent) from None
        raise BadInput(
            "bad-folder",
            "--output",
            f"Nothing can be written to {shown_path(output.parent)}:"
            f" {os.strerror(fault.errno or 0)}.",
            "Name a folder that is there and that you may write to.",
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise in_use(str(output)) from None
        claim = OutputClaim(output, note, descriptor)
        for left in output.parent.glob(f".{_escaped(output.name)}.*.building"):
            left.unlink(missing_ok=True)
        _refuse_cut_short(claim)
        with contextlib.ExitStack() as undo:
            undo.callback(note.unlink, missing_ok=True)
            yield claim
    finally:
        os.close(descriptor)


def exists(output: Path) -> BadInput:
    """BadInput ``file-exists``: an image is never replaced, its keys would be lost with it."""
    return BadInput(
        "file-exists",
        "--output",
        f"{shown_path(output)} exists already, and an image is never written over.",
        "Name another file, or move that one away.",
        {"path": shown_path(output)},
    )


def _too_long() -> BadInput:
    return BadInput(
        "name-too-long",
        "--output",
        f"A file's name may have {_LONGEST_NAME} bytes here: while it is built there are files"
        " beside it, whose names are longer.",
        "Choose a shorter one.",
    )


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _refuse_cut_short(claim: OutputClaim) -> None:
    data = os.pread(claim.descriptor, _NOTE_LIMIT, 0)
    if not data:
        return
    try:
        found = parse_json(data.decode("ascii", "replace"), "the note of an earlier build")
        entries = found.get("entries") if isinstance(found, dict) else None
        names = [str(name) for name in entries] if isinstance(entries, list) else []
    except WatchwordError:
        names = []
    told = " and ".join(names) or "of unknown names"
    raise BadInput(
        "image-build-cut-short",
        "--output",
        f"An earlier build of {shown_path(claim.output)} was cut short while its keys went to the"
        f" vault. The vault entries {told}, if they are there, belong to no image.",
        f"Look with `watchword vault list`, remove those entries, then remove {claim.note} and"
        " build again.",
        {"entries": names, "note": str(claim.note)},
    )
