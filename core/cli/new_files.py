# SPDX-License-Identifier: Apache-2.0
"""Writes the files that a command makes: all of them or none, and never over one that exists."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import BadInput
from ..files import make_folder, write_file


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to make, for its owner alone; ``option`` is the one that named its folder."""

    path: Path
    data: bytes | memoryview = field(repr=False)
    option: str


def refuse_existing(paths: Iterable[Path], option: str, remedy: str) -> None:
    """Raise BadInput ``file-exists`` for a path that is taken: its launch may be under way.

    ``option`` and ``remedy`` tell how to get other names.
    """
    for path in paths:
        if os.path.lexists(path):
            raise BadInput(
                "file-exists",
                option,
                f"{path} exists already; it may belong to a launch that is under way.",
                remedy,
                {"path": str(path)},
            )


def write_new_files(files: Sequence[NewFile]) -> None:
    """Write the files in order, and make their folders; if one can't be written, none is left.

    Raises BadInput ``bad-folder`` or ``file-not-written``.
    """
    with contextlib.ExitStack() as undo:
        for file in files:
            folder = file.path.parent
            is_new = not os.path.lexists(folder)
            make_folder(folder, file.option)
            if is_new:
                undo.callback(_quietly, folder.rmdir)
            write_file(file.path, file.data, field=file.option)
            undo.callback(_quietly, file.path.unlink)
        undo.pop_all()


def _quietly(remove: Callable[[], None]) -> None:
    """Clean up as far as that goes; the first error is the one to tell."""
    with contextlib.suppress(OSError):
        remove()
