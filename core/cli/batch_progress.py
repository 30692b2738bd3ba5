# SPDX-License-Identifier: Apache-2.0
"""A batch's progress on a terminal: one bar for all launches, and a line for what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console as Terminal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..batch.results import Outcome
from .output import printable

_QUIET = frozenset((Outcome.DONE, Outcome.DONE_BEFORE, Outcome.VERIFIED, Outcome.PREPARED))


class BatchBar:
    """The bar, on stderr, until :meth:`close`."""

    def __init__(self, launches: int, terminal: Terminal | None = None) -> None:
        self._counts = dict.fromkeys(Outcome, 0)
        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            # What is shown here are words of ours and numbers; nothing is taken for markup.
            TextColumn("{task.description}", markup=False),
            console=terminal or Terminal(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", total=launches)
        self._progress.start()

    def event(self, event: Mapping[str, Any], words: Callable[[Mapping[str, Any]], str]) -> None:
        """Take note of an event; ``words`` tells of a result in a line."""
        if event["event"] == "result":
            outcome = Outcome(event["outcome"])
            self._counts[outcome] += 1
            if outcome not in _QUIET:
                self._progress.console.print(Text(printable(words(event))))
            self._progress.advance(self._task)
        self._progress.update(self._task, description=self._told())

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def _told(self) -> str:
        return ", ".join(f"{count} {one.value}" for one, count in self._counts.items() if count)
