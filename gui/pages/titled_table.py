# SPDX-License-Identifier: Apache-2.0
"""What each table of launches tells Qt: titles, words, a state's icon, and rows as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from ..widgets.icons import tone_icon
from ..widgets.state_badge import Look

Index = QModelIndex | QPersistentModelIndex
NOWHERE: Final = QModelIndex()


class TitledTable(QAbstractTableModel):
    """A subclass says how many rows there are, and what is in them.

    ``titles``  of the columns, by their numbers
    ``state``   the column whose words have an icon before them
    """

    def __init__(
        self, titles: Mapping[int, str], state: int, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._titles = dict(titles)
        self._state = state

    def _count(self) -> int:
        """How many rows are shown."""
        raise NotImplementedError

    def _cell(self, row: int, column: int) -> str:
        """The words of a cell."""
        raise NotImplementedError

    def _look(self, row: int) -> Look:
        """How the state of a row is shown."""
        raise NotImplementedError

    def _tip(self, row: int, column: int) -> str | None:
        """What is said beside the mouse, if anything."""
        raise NotImplementedError

    def rowCount(self, parent: Index = NOWHERE) -> int:
        """Of those that are shown."""
        return 0 if parent.isValid() else self._count()

    def columnCount(self, parent: Index = NOWHERE) -> int:
        """Always the same."""
        return 0 if parent.isValid() else len(self._titles)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        """The titles."""
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A cell: its words, its icon, and for screen readers the row in a sentence."""
        row, column = index.row(), index.column()
        if not 0 <= row < self._count():
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._cell(row, column)
        if role == Qt.ItemDataRole.DecorationRole and column == self._state:
            look = self._look(row)
            return tone_icon(look.icon, look.tone)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return ", ".join(filter(None, (self._cell(row, one) for one in self._titles)))
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(row, column)
        return None
