# SPDX-License-Identifier: Apache-2.0
"""What may be told of a fault of ours: where it happened, never what was worked on there.

Messages of exceptions and values of variables may hold anything, so none of them is
taken over; modules, lines and functions can be looked up in the source. Knows no Qt.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Final

_FRAMES: Final = 60
_CAUSES: Final = 5


def crash_report(error: BaseException, surroundings: str = "") -> str:
    """The report as text for a person to send; ``surroundings`` is a line on the display."""
    import platform  # noqa: PLC0415 - for the rare case

    lines = [
        f"Watchword {_version('watchword')}",
        f"Python {platform.python_version()}, Qt {_version('PySide6-Essentials')}",
        f"{platform.system()} {platform.machine()}",
    ]
    if surroundings:
        lines.append(surroundings)
    for number, fault in enumerate(_chain(error)):
        lines += ["", f"{'Came from' if number else 'Fault'}: {type(fault).__name__}"]
        lines += (f"  {place}" for place in _places(fault.__traceback__))
    return "\n".join(lines)


def place_of(error: BaseException) -> str:
    """Where the fault was met, in one line; the same for the same fault."""
    return (list(_places(error.__traceback__)) or ["somewhere unknown"])[-1]


def _chain(error: BaseException) -> Iterator[BaseException]:
    fault: BaseException | None = error
    for _ in range(_CAUSES):
        if fault is None:
            return
        yield fault
        fault = fault.__cause__ or fault.__context__


def _places(trace: TracebackType | None) -> Iterator[str]:
    """Module, line and function of each frame; file names could tell who the user is."""
    for _ in range(_FRAMES):
        if trace is None:
            return
        code = trace.tb_frame.f_code
        module = trace.tb_frame.f_globals.get("__name__", "?")
        yield f"{module}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next


def _version(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - for the rare case

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "(unknown)"


def is_interrupt(kind: type[BaseException]) -> bool:
    """Whether it is no fault, but somebody who wants the program to end."""
    return issubclass(kind, KeyboardInterrupt | SystemExit)


def write_to_stderr(report: str) -> None:
    """For whoever started the program in a terminal, or has its output in a log."""
    if sys.stderr is not None:
        sys.stderr.write(f"{report}\n")
