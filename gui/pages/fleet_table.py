# SPDX-License-Identifier: Apache-2.0
"""The launches of a fleet as a table, with filter and order, and the chosen one in full."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from ..widgets.escape import shown_line
from ..widgets.fonts import NORMAL, SMALL
from ..widgets.section import Section
from ..widgets.state_badge import StateBadge
from ..widgets.text_label import TextLabel
from .fleet_model import Column, FleetModel
from .fleet_rows import FleetRow
from .fleet_words import Standing, standing_look, state_words
from .launches_rows import CalmRows

_PAUSE: Final = 120
"""Milliseconds after the last key before the table is filtered."""
_SHARES: Final = {
    Column.NAME: 0.14,
    Column.GUEST: 0.11,
    Column.HOST: 0.26,
    Column.LAUNCH: 0.13,
    Column.WHY: 0.36,
}
"""Of the width that the states leave to the other columns."""
_BESIDE_STATE: Final = 44
"""Pixels for the icon before a state, and the gaps."""
_FEWEST_SEEN: Final = 4


class FleetRows(CalmRows):
    """Sentences are cut off at their end, names and addresses in the middle."""

    def initStyleOption(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """As the column needs it."""
        super().initStyleOption(option, index)
        if index.column() == Column.WHY:
            option.textElideMode = Qt.TextElideMode.ElideRight


class RowView(Section):
    """The chosen launch: what is in its way, and its page; ``launchWanted`` comes with its id."""

    launchWanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(" ", "", parent)
        self._launch_id = ""
        self._badge: StateBadge | None = None
        self._title, self._message = TextLabel(bold=True), TextLabel()
        self._remedy, self._where = TextLabel(), TextLabel(quiet=True)
        self.showing = QPushButton(self.tr("Show the la&unch"))
        self.showing.setAutoDefault(True)
        self.showing.clicked.connect(lambda _=False: self.launchWanted.emit(self._launch_id))
        self.header.addWidget(self.showing)
        for label in (self._where, self._title, self._message, self._remedy):
            self.body.addWidget(label)
        self.hide()

    def show_row(self, row: FleetRow | None) -> None:
        """Show a launch; nothing for None."""
        self.setVisible(row is not None)
        if row is None:
            return
        self._show_badge(row)
        self.heading.say(row.name)
        self.setAccessibleName(self.tr("Launch {name}").format(name=shown_line(row.name)))
        self._launch_id = row.launch_id
        self.showing.setVisible(bool(row.launch_id))
        where = self.tr("Guest {guest} at {host}").format(guest=row.guest, host=row.host)
        if row.launch_id:
            where += "\n" + self.tr("Recorded as {id}").format(id=row.launch_id)
        self._where.say(where)
        trouble = row.trouble
        texts = ("",) * 3 if trouble is None else (trouble.title, trouble.message, trouble.remedy)
        for label, text in zip((self._title, self._message, self._remedy), texts, strict=True):
            label.say(text)
            label.setVisible(bool(text))

    def _show_badge(self, row: FleetRow) -> None:
        if self._badge is None:
            self._badge = StateBadge(row.look)
            self.header.insertWidget(1, self._badge)
        else:
            self._badge.show_look(row.look)


class FleetTable(QWidget):
    """Filter, order and table over a model; ``chosen`` comes with the row that is looked at."""

    chosen = Signal(object)
    opened = Signal(object)

    def __init__(self, model: FleetModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.search, self.standing, self.order = QLineEdit(), QComboBox(), QComboBox()
        self.table = QTableView()
        self._none = TextLabel(self.tr("No launch fits the filter."), quiet=True)
        self._none.hide()
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE)
        self._set_up_filter()
        self._set_up_table()
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.search, 2)
        row.addWidget(self.standing, 1)
        row.addWidget(self.order, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        column.addLayout(row)
        column.addWidget(self.table)
        column.addWidget(self._none)

    def _set_up_filter(self) -> None:
        self.search.setPlaceholderText(self.tr("Filter by name, guest, host, state, cause…"))
        self.search.setAccessibleName(self.tr("Filter the fleet's launches"))
        self.search.setClearButtonEnabled(True)
        self.standing.setAccessibleName(self.tr("Only launches that stand so"))
        self.standing.addItem(self.tr("All states"), None)
        for standing in Standing:
            self.standing.addItem(self.tr("Only {word}").format(word=standing_look(standing).word))
            self.standing.setItemData(self.standing.count() - 1, standing)
        self.order.setAccessibleName(self.tr("Order of the launches"))
        self.order.addItem(self.tr("In the manifest's order"), -1)
        for column in Column:
            title = self.model.headerData(column, Qt.Orientation.Horizontal)
            self.order.addItem(self.tr("By {column}").format(column=title), int(column))
        for box in (self.standing, self.order):
            box.setMinimumContentsLength(10)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
        self.search.textChanged.connect(self._pause.start)
        self._pause.timeout.connect(self._filter)
        self.standing.currentIndexChanged.connect(self._filter)
        self.order.currentIndexChanged.connect(self._order_chosen)

    def _set_up_table(self) -> None:
        table = self.table
        table.setModel(self.model)
        table.setAccessibleName(self.tr("Launches of the fleet"))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setItemDelegate(FleetRows(table))
        table.setTabKeyNavigation(False)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        rows = table.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.fontMetrics().height() + 2 * SMALL)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSortIndicatorClearable(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        table.setSortingEnabled(True)
        header.setStretchLastSection(True)
        header.sortIndicatorChanged.connect(self._header_pressed)
        table.selectionModel().currentRowChanged.connect(self._choose)
        table.activated.connect(lambda index: self.opened.emit(self.model.row(index.row())))
        self.model.counted.connect(self._follow)
        self.fit(0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """States are never cut off; the other columns share the rest."""
        super().resizeEvent(event)
        states = max(self.fontMetrics().horizontalAdvance(words) for words in state_words())
        states = min(states + _BESIDE_STATE, self.width() // 2)
        self.table.setColumnWidth(Column.STATE, states)
        rest = self.width() - states - self.table.verticalScrollBar().sizeHint().width()
        for column, share in _SHARES.items():
            self.table.setColumnWidth(column, int(rest * share))

    def fit(self, room: int) -> None:
        """Be as high as so many pixels allow, and no higher than the rows there are."""
        row = self.table.verticalHeader().defaultSectionSize()
        header = self.table.horizontalHeader().sizeHint().height() + NORMAL
        wanted = len(self.model.rows) * row + header
        least = _FEWEST_SEEN * row + header
        self.table.setFixedHeight(max(least, min(wanted, room)))

    # -- what is chosen --------------------------------------------------------------

    @property
    def current(self) -> FleetRow | None:
        """The launch that is looked at."""
        index = self.table.currentIndex()
        return self.model.row(index.row()) if index.isValid() else None

    @property
    def selected(self) -> frozenset[str]:
        """The names of the launches that are selected."""
        rows = (self.model.row(one.row()) for one in self.table.selectionModel().selectedRows())
        return frozenset(row.name for row in rows if row is not None)

    def show_only(self, words: str) -> None:
        """Filter by these words alone."""
        with QSignalBlocker(self.standing):
            self.standing.setCurrentIndex(0)
        self.search.setText(words)
        self._filter()
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)

    def _choose(
        self,
        now: QModelIndex | QPersistentModelIndex,
        before: QModelIndex | QPersistentModelIndex,
    ) -> None:
        del before
        self.chosen.emit(self.model.row(now.row()) if now.isValid() else None)

    def _filter(self) -> None:
        self._pause.stop()
        kept = self.current
        standing = self.standing.currentData()
        self.model.set_filter(self.search.text(), None if standing is None else Standing(standing))
        place = -1 if kept is None else self.model.place_of(kept.name)
        if place >= 0:
            self.table.selectRow(place)
        else:
            self.chosen.emit(None)
        self._follow()

    def _follow(self) -> None:
        self._none.setVisible(bool(self.model.rows) and self.model.rowCount() == 0)

    def _order_chosen(self) -> None:
        column = int(self.order.currentData())
        self.table.horizontalHeader().setSortIndicator(column, Qt.SortOrder.AscendingOrder)

    def _header_pressed(self, column: int, _order: Qt.SortOrder) -> None:
        with QSignalBlocker(self.order):
            self.order.setCurrentIndex(self.order.findData(column))
