# SPDX-License-Identifier: Apache-2.0
"""A fleet as a table of thousands of rows, which takes events in by the hundred."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Final

from PySide6.QtCore import QCoreApplication, QObject, Qt, Signal

from ..fleet_service import PlannedLaunch
from ..widgets.escape import tool_tip
from ..widgets.state_badge import Look
from .fleet_rows import FleetRow, natural, short
from .fleet_words import Standing
from .titled_table import NOWHERE, TitledTable


class Column(IntEnum):
    """The columns, from left to right."""

    NAME = 0
    STATE = 1
    GUEST = 2
    HOST = 3
    LAUNCH = 4
    WHY = 5


_CELLS: Final[dict[Column, Callable[[FleetRow], str]]] = {
    Column.NAME: lambda row: short(row.name),
    Column.STATE: lambda row: row.look.word,
    Column.GUEST: lambda row: short(row.guest),
    Column.HOST: lambda row: short(row.host),
    Column.LAUNCH: lambda row: short(row.launch_id),
    Column.WHY: lambda row: row.why,
}
_CHANGING: Final = (Column.STATE, Column.LAUNCH, Column.WHY)
"""Columns in which events change something."""


def _titles() -> dict[int, str]:
    def say(text: str) -> str:
        return QCoreApplication.translate("FleetModel", text)

    return {
        Column.NAME: say("Launch"),
        Column.STATE: say("State"),
        Column.GUEST: say("Guest"),
        Column.HOST: say("Host"),
        Column.LAUNCH: say("Record"),
        Column.WHY: say("Why"),
    }


class FleetModel(TitledTable):
    """Rows in the manifest's order, or sorted, of which those are shown that a filter lets
    through. ``counted`` comes once for all that was taken in together.

    Events never reset it: rows that stay keep their place in the selection.
    """

    counted = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(_titles(), Column.STATE, parent)
        self._rows: list[FleetRow] = []
        self._by_name: dict[str, FleetRow] = {}
        self._shown: list[FleetRow] = []
        self._counts: Counter[Standing] = Counter()
        self._words: tuple[str, ...] = ()
        self._standing: Standing | None = None
        self._sorted: Column | None = None
        self._falling = False

    # -- what is in it -------------------------------------------------------------

    def show_planned(self, planned: Sequence[PlannedLaunch]) -> None:
        """Show these launches in place of those before."""
        self.beginResetModel()
        self._rows = [FleetRow(number, one) for number, one in enumerate(planned)]
        self._by_name = {row.name: row for row in self._rows}
        self._counts = Counter({Standing.TO_COME: len(self._rows)})
        self._shown = self._wanted()
        self.endResetModel()
        self.counted.emit()

    def restart(self, names: Iterable[str]) -> None:
        """These launches are run again: what came of them before is forgotten."""
        for name in names:
            if (row := self._by_name.get(name)) is not None:
                self._counts[row.standing] -= 1
                row.restart()
                self._counts[row.standing] += 1
        self._follow(self._shown)

    def apply(self, events: Iterable[Mapping[str, object]]) -> None:
        """Take events in, all together."""
        touched: dict[int, FleetRow] = {}
        for event in events:
            row = self._by_name.get(str(event.get("name")))
            if row is not None:
                self._counts[row.standing] -= 1
                row.apply(event)
                self._counts[row.standing] += 1
                touched[row.number] = row
        if touched:
            self._follow(touched.values())

    def set_filter(self, words: str, standing: Standing | None) -> None:
        """Show launches with all these words in what is said of them, and that stand so."""
        self._words, self._standing = tuple(words.lower().split()), standing
        self.beginResetModel()
        self._shown = self._wanted()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder, /) -> None:
        """Sort by a column, and keep it sorted; by the manifest for -1."""
        self._sorted = None if column < 0 else Column(column)
        self._falling = order is Qt.SortOrder.DescendingOrder
        self._arrange(self._wanted())

    def count(self, standing: Standing) -> int:
        """How many launches stand so, shown or not."""
        return self._counts[standing]

    @property
    def rows(self) -> Sequence[FleetRow]:
        """All of them, shown or not."""
        return self._rows

    def row(self, number: int) -> FleetRow | None:
        """The launch of a row that is shown."""
        return self._shown[number] if 0 <= number < len(self._shown) else None

    def place_of(self, name: str) -> int:
        """The row of a launch, -1 if it is not shown."""
        return next((n for n, row in enumerate(self._shown) if row.name == name), -1)

    # -- keeping up ----------------------------------------------------------------

    def _wanted(self) -> list[FleetRow]:
        standing, words = self._standing, self._words
        rows = [
            row
            for row in self._rows
            if (standing is None or row.standing is standing)
            and (not words or all(word in row.searched for word in words))
        ]
        if self._sorted is not None:
            cell = _CELLS[self._sorted]
            rows.sort(key=lambda row: natural(cell(row)), reverse=self._falling)
        return rows

    def _follow(self, touched: Iterable[FleetRow]) -> None:
        """What is shown of these rows has changed."""
        if self._standing is not None or self._words or self._sorted in _CHANGING:
            self._arrange(self._wanted())
        numbers = {row.number for row in touched}
        places = [n for n, row in enumerate(self._shown) if row.number in numbers]
        if places:
            first, last = self.index(places[0], 0), self.index(places[-1], len(Column) - 1)
            self.dataChanged.emit(first, last)
        self.counted.emit()

    def _arrange(self, wanted: list[FleetRow]) -> None:
        """Take away what is wanted no more, add what is new, and put all in order."""
        keep = {row.number for row in wanted}
        self._take_away(keep)
        there = {row.number for row in self._shown}
        fresh = [row for row in wanted if row.number not in there]
        if fresh:
            end = len(self._shown)
            self.beginInsertRows(NOWHERE, end, end + len(fresh) - 1)
            self._shown = self._shown + fresh
            self.endInsertRows()
        if self._shown != wanted:
            self._reorder(wanted)

    def _take_away(self, keep: set[int]) -> None:
        """One message for each run of rows that lie together, from the end."""
        last = len(self._shown) - 1
        while last >= 0:
            if self._shown[last].number in keep:
                last -= 1
                continue
            first = last
            while first > 0 and self._shown[first - 1].number not in keep:
                first -= 1
            self.beginRemoveRows(NOWHERE, first, last)
            del self._shown[first : last + 1]
            self.endRemoveRows()
            last = first - 1

    def _reorder(self, wanted: list[FleetRow]) -> None:
        self.layoutAboutToBeChanged.emit()
        places = {row.number: place for place, row in enumerate(wanted)}
        old = self.persistentIndexList()
        new = [self.index(places[self._shown[index.row()].number], index.column()) for index in old]
        self._shown = wanted
        self.changePersistentIndexList(old, new)
        self.layoutChanged.emit()

    # -- what Qt asks ----------------------------------------------------------------

    def _count(self) -> int:
        return len(self._shown)

    def _cell(self, row: int, column: int) -> str:
        return _CELLS[Column(column)](self._shown[row])

    def _look(self, row: int) -> Look:
        return self._shown[row].look

    def _tip(self, row: int, column: int) -> str:
        return tool_tip(self._cell(row, column))
