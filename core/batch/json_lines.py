# SPDX-License-Identifier: Apache-2.0
"""Appends JSON values to a file, each a line of its own that is there as soon as it is written."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ..errors import BadInput

_FLAGS: Final = (
    os.O_RDWR
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


def json_line(value: Mapping[str, object]) -> bytes:
    """The value as one line of ASCII, in which nothing can steer a terminal."""
    return json.dumps(value).encode() + b"\n"


class JsonLinesFile:
    """A file of JSON lines, for its owner alone (0600) where it is new; what it held stays.

    Each line is one write to the end of the file. ``lost`` tells whether one could not be
    written: that is no reason to stop what the lines tell of.
    """

    def __init__(self, path: Path, field: str) -> None:
        """Open or make it; BadInput ``file-not-written``, and ``field`` is for that."""
        self.lost = False
        try:
            self._descriptor = os.open(path, _FLAGS, 0o600)
        except (OSError, ValueError) as fault:
            number = fault.errno if isinstance(fault, OSError) else None
            why = os.strerror(number) if number else "no file can have this name"
            raise _unwritable(path, field, why) from None
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            self.close()
            raise _unwritable(path, field, "it is no regular file")
        self._torn = not self._ends_in_newline()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def write(self, value: Mapping[str, object]) -> None:
        """Append a line; never raises for what the disk does."""
        line = (b"\n" if self._torn else b"") + json_line(value)
        try:
            written = os.write(self._descriptor, line)
        except OSError:
            written = 0
        if written < len(line):
            self.lost = True
            # The next line is to be read even if this one ends half-way.
            self._torn = self._torn or written > 0
        else:
            self._torn = False

    def _ends_in_newline(self) -> bool:
        size = os.fstat(self._descriptor).st_size
        return size == 0 or os.pread(self._descriptor, 1, size - 1) == b"\n"


def _unwritable(path: Path, field: str, why: str) -> BadInput:
    return BadInput(
        "file-not-written",
        field,
        f"{path} can't be written: {why}.",
        "Name a new file, or a regular file that results may be added to.",
        {"path": str(path)},
    )
