# SPDX-License-Identifier: Apache-2.0
"""Runs the owner's editor on a copy of a profile, which is checked before it counts."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import BadInput, UsageError, WatchwordError
from ..files import read_file, write_file
from ..guest.document import LARGEST_PROFILE
from ..guest.profile import GuestProfile
from ..guest.store import ProfileStore, StoredProfile


def edit_by_hand(
    store: ProfileStore, before: StoredProfile, begin_with: str | None = None
) -> GuestProfile:
    """The profile as the owner left it in the editor, stored; the same one if nothing changed.

    ``begin_with`` names a file with the text to begin with, such as an earlier copy.

    A copy that can't be taken stays, and the error names it. Raises UsageError
    ``no-editor`` or ``editor-failed``, and as ``ProfileStore.replace``.
    """
    editor = _editor(os.environ)
    copy = before.path.with_name(f".{before.profile.name}-{os.urandom(4).hex()}.toml")
    data = before.data
    if begin_with is not None:
        data = read_file(begin_with, "--from", LARGEST_PROFILE)
    write_file(copy, data, field="the copy to edit")
    with _kept_if_refused(before.profile.name, copy):
        _run(editor, copy)
        data = read_file(copy, "the edited copy", LARGEST_PROFILE, allow_empty=True)
        profile = before.profile if data == before.data else store.replace(before, data)
    copy.unlink(missing_ok=True)
    return profile


def _editor(environment: Mapping[str, str]) -> list[str]:
    words = environment.get("VISUAL") or environment.get("EDITOR") or ""
    try:
        command = shlex.split(words)
    except ValueError:
        command = []
    if command:
        return command
    raise UsageError(
        "no-editor",
        "There is no editor",
        "Neither VISUAL nor EDITOR says which one to use.",
        "Set EDITOR, for example EDITOR=nano, or use --set.",
    )


def _run(editor: list[str], copy: Path) -> None:
    try:
        status = subprocess.run([*editor, str(copy)], check=False).returncode
    except OSError as fault:
        raise UsageError(
            "no-editor",
            "The editor can't be started",
            f"{editor[0]}: {os.strerror(fault.errno or 0)}.",
            "Set EDITOR to a program that is there.",
        ) from None
    if status != 0:
        raise UsageError(
            "editor-failed",
            "The editor ended with an error",
            f"{editor[0]} ended with status {status}, so the profile stays as it was.",
            "Edit again, and leave the editor in the normal way.",
        )


@contextlib.contextmanager
def _kept_if_refused(name: str, copy: Path) -> Iterator[None]:
    """Name the copy in whatever error there is."""
    try:
        yield
    except BadInput as error:
        raise _with_copy(error, name, copy) from None
    except WatchwordError:
        copy.unlink(missing_ok=True)
        raise


def _with_copy(error: BadInput, name: str, copy: Path) -> BadInput:
    return BadInput(
        error.code,
        error.field,
        error.message,
        f"The profile stays as it was. What you typed is kept in {copy}: mend it"
        f" with `watchword guest edit {name} --editor --from {copy}`.",
        {**error.details, "copy": str(copy)},
    )
