# SPDX-License-Identifier: Apache-2.0
"""The launches as a table: thousands of rows, of which Qt asks for those that are seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final

from PySide6.QtCore import QCoreApplication, QDateTime, QLocale, QObject, Qt

from watchword.core.launch.record import LaunchState
from watchword.core.launch.store import LaunchSummary

from ..widgets.escape import shown_line
from ..widgets.simulated import simulated_word
from ..widgets.state_badge import Look
from ..widgets.tones import Tone
from .titled_table import TitledTable

_WIDEST: Final = 120
"""Characters of a cell."""


class Column(IntEnum):
    """The columns, from left to right."""

    STATE = 0
    GUEST = 1
    HOST = 2
    BEGUN = 3
    WAITS = 4


def state_look(state: str) -> Look:
    """How the state of a launch is shown; one that is not known as the file has it."""

    def say(text: str) -> str:
        return QCoreApplication.translate("LaunchState", text)

    return _looks(say).get(state) or Look("warn", shown_line(state, 40), Tone.WARN)


def longest_state() -> str:
    """The longest of the words for a state."""
    return max((state_look(state).word for state in LaunchState), key=len)


def _looks(say: Callable[[str], str]) -> dict[str, Look]:
    return {
        LaunchState.PREPARING: Look("circle", say("Begun"), Tone.NEUTRAL),
        LaunchState.PREPARED: Look("clock", say("Waits for the VM"), Tone.INFO),
        LaunchState.VERIFIED: Look("ok", say("Verified"), Tone.INFO),
        LaunchState.SEALED: Look("locked", say("Secret sealed"), Tone.INFO),
        LaunchState.HANDED_OVER: Look("clock", say("Handed over"), Tone.WARN),
        LaunchState.RUNNING: Look("ok", say("Running"), Tone.OK),
        LaunchState.STOPPED: Look("stop", say("Stopped"), Tone.NEUTRAL),
        LaunchState.REFUSED: Look("bad", say("Refused"), Tone.BAD),
        LaunchState.ABANDONED: Look("remove", say("Abandoned"), Tone.NEUTRAL),
    }


def local_time(text: str) -> str:
    """A time of the records in the user's own way; as it is if it is none."""
    when = QDateTime.fromString(text, Qt.DateFormat.ISODate)
    if not when.isValid():
        return shown_line(text, 40)
    if QLocale().language() is QLocale.Language.C:  # whose short form nobody can read
        return when.toLocalTime().toString("yyyy-MM-dd HH:mm")
    return QLocale().toString(when.toLocalTime(), QLocale.FormatType.ShortFormat)


def _titles() -> dict[int, str]:
    def say(text: str) -> str:
        return QCoreApplication.translate("LaunchesModel", text)

    return {
        Column.STATE: say("State"),
        Column.GUEST: say("Guest"),
        Column.HOST: say("Host"),
        Column.BEGUN: say("Begun"),
        Column.WAITS: say("Waits for"),
    }


class LaunchesModel(TitledTable):
    """All launches, of which those are shown that the filter lets through."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(_titles(), Column.STATE, parent)
        self._all: list[tuple[LaunchSummary, str]] = []
        self._rows: list[LaunchSummary] = []
        self._words = ""
        self._only_open = False

    # -- what is in it -------------------------------------------------------------

    def show_summaries(self, summaries: Sequence[LaunchSummary]) -> None:
        """Show these launches in place of those before."""
        self._all = [(one, _searched(one)) for one in summaries]
        self._filter()

    def set_filter(self, words: str, *, only_open: bool) -> None:
        """Show launches with all these words in id, guest, host, state or what they wait for."""
        self._words, self._only_open = words.lower(), only_open
        self._filter()

    def _filter(self) -> None:
        words = self._words.split()
        self.beginResetModel()
        self._rows = [
            one
            for one, text in self._all
            if (one.is_open or not self._only_open) and all(word in text for word in words)
        ]
        self.endResetModel()

    @property
    def total(self) -> int:
        """How many launches there are, shown or not."""
        return len(self._all)

    def summary(self, row: int) -> LaunchSummary | None:
        """The launch of a row."""
        return self._rows[row] if 0 <= row < len(self._rows) else None

    def row_of(self, launch_id: str) -> int:
        """The row of a launch, -1 if it is not shown."""
        return next((n for n, one in enumerate(self._rows) if one.id == launch_id), -1)

    # -- what Qt asks ----------------------------------------------------------------

    def _count(self) -> int:
        return len(self._rows)

    def _cell(self, row: int, column: int) -> str:
        return _CELLS[Column(column)](self._rows[row])

    def _look(self, row: int) -> Look:
        return state_look(self._rows[row].state)

    def _tip(self, row: int, column: int) -> str | None:
        return shown_line(self._rows[row].id) if column == Column.GUEST else None


def _state(one: LaunchSummary) -> str:
    word = state_look(one.state).word
    return f"{word} · {simulated_word()}" if one.simulated else word


def _short(text: str) -> str:
    return shown_line(text, _WIDEST)


_CELLS: Final[dict[Column, Callable[[LaunchSummary], str]]] = {
    Column.STATE: _state,
    Column.GUEST: lambda one: _short(one.guest),
    Column.HOST: lambda one: _short(one.host),
    Column.BEGUN: lambda one: local_time(one.created),
    Column.WAITS: lambda one: _short(one.waits_for),
}


def _searched(one: LaunchSummary) -> str:
    return " ".join((one.id, one.guest, one.host, _state(one), one.state, one.waits_for)).lower()
