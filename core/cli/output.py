# SPDX-License-Identifier: Apache-2.0
"""What a command prints: one result, as text for people or as JSON for programs."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping

from ..errors import ExitStatus, WatchwordError
from ..frozen import dataclass

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from typing import TextIO


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a command: JSON payload, lines of text, exit status.

    ``payload`` gets ``"ok"`` first: true for exit 0 and 8, false else.
    """

    payload: Mapping[str, object]
    lines: tuple[str, ...]
    status: ExitStatus = ExitStatus.OK
    error: WatchwordError | None = None


class Console:
    """Where a command's words go; with ``--json`` nothing but the result goes to stdout.

    Output that can't be written never stops a command half-way: a VM that has its
    secret is let run although nobody reads of it. ``output_lost`` tells afterwards;
    a reader that has closed its pipe, as ``head`` does, has lost nothing.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.output_lost = False
        self._in_lines = False

    def progress(self, line: str) -> None:
        """A line about what happens now; JSON output leaves it out."""
        if not self.as_json:
            self._say(printable(line))

    def note(self, line: str) -> None:
        """A warning, on stderr in either form of output."""
        _write(printable(line), sys.stderr)

    def event(self, payload: Mapping[str, object]) -> None:
        """A JSON line of a command that goes on, with ``--json``; its result is one line then."""
        if self.as_json:
            self._in_lines = True
            self._say_json(payload)

    def result(self, result: Result) -> None:
        """The command's result."""
        if self.as_json:
            payload = {"ok": result.status in (ExitStatus.OK, ExitStatus.WAIVED), **result.payload}
            if result.error is not None:
                payload["error"] = result.error.as_json()
            self._say_json(payload)
            return
        for line in result.lines:
            self._say(printable(line))
        if result.error is not None:
            self._error_text(result.error)

    def failure(self, error: WatchwordError) -> None:
        """An error, in the form of output that was asked for."""
        if self.as_json:
            self._say_json({"ok": False, "error": error.as_json()})
        else:
            self._error_text(error)

    def finish(self) -> None:
        """Bring to the reader what others, such as argparse, have written to stdout."""
        if sys.stdout is not None and not _write_out(sys.stdout.flush, sys.stdout):
            self.output_lost = True

    def _say_json(self, payload: Mapping[str, object]) -> None:
        import json  # noqa: PLC0415 - text output starts sooner without it

        self._say(json.dumps(payload, indent=None if self._in_lines else 2))

    def _say(self, text: str) -> None:
        if not _write(text, sys.stdout):
            self.output_lost = True

    def _error_text(self, error: WatchwordError) -> None:
        for line in (f"{error.title}.", error.message, error.remedy, *_diagnosis(error)):
            _write(printable(line), sys.stderr)


def _diagnosis(error: WatchwordError) -> list[str]:
    """What explains a measurement that doesn't match, if something was found out about it."""
    diagnosis = error.details.get("diagnosis")
    lines = diagnosis.get("lines") if isinstance(diagnosis, dict) else None
    return ["", *map(str, lines)] if isinstance(lines, list) else []


def accept_any_text() -> None:
    """Let both streams take characters that their encoding lacks, by writing out their numbers."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _write(text: str, stream: TextIO | None) -> bool:
    """Write a line; False if it got lost. A stream that was closed from the start is None."""
    if stream is None:
        return True
    return _write_out(lambda: print(text, file=stream, flush=True), stream)


def _write_out(write: Callable[[], None], stream: TextIO) -> bool:
    try:
        write()
    except OSError as fault:
        _silence(stream)
        return isinstance(fault, BrokenPipeError)
    return True


def _silence(stream: TextIO) -> None:
    """Let the rest go nowhere: Python would complain again when it flushes at exit."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


def printable(text: str) -> str:
    """The text with control and direction-changing characters written out.

    File names and hosts' words may hold anything; a terminal must not obey it.
    """
    return "".join(
        character if character.isprintable() or character == " " else _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def table(rows: Iterable[tuple[str, str]], indent: str = "  ") -> tuple[str, ...]:
    """Lines of names and values with the values aligned."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return tuple(f"{indent}{name.ljust(width)}  {value}" for name, value in rows)


def grouped(hex_digits: str) -> str:
    """Hex in groups of eight, as people compare it."""
    return " ".join(hex_digits[i : i + 8] for i in range(0, len(hex_digits), 8))
