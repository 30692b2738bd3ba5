# SPDX-License-Identifier: Apache-2.0
"""The page of launches: what stands how, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast

from PySide6.QtCore import QModelIndex, QSignalBlocker, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from watchword.core.launch.store import LaunchSummary

from ..asking import ask
from ..bridge import Bridge
from ..launch_service import LaunchService
from ..widgets.banner import Banner
from ..widgets.empty_state import EmptyState
from ..widgets.fonts import LARGE, NORMAL, SMALL, TIGHT
from ..widgets.simulated import simulated_word
from ..widgets.text_label import TextLabel
from .launch_actions import LaunchActions, may_resume
from .launches_model import Column, LaunchesModel, longest_state
from .launches_rows import CalmRows

_WIDTHS: Final = {Column.GUEST: 110, Column.BEGUN: 130, Column.WAITS: 120}
_BESIDE_STATE: Final = 44
"""Pixels for the icon before a state, and the gaps."""
_PAUSE: Final = 120
"""Milliseconds after the last key before the list is filtered."""


class LaunchesPage(QWidget):
    """``resumed`` comes with a summary, ``launched`` with a profile's name that is launched at
    once, ``chooseWanted`` for a launch of which more is to be said, ``tryItNow`` for a rehearsal.
    """

    resumed = Signal(object)
    launched = Signal(str)
    chooseWanted = Signal()
    tryItNow = Signal()
    checkPlatform = Signal()
    loaded = Signal()

    def __init__(
        self, bridge: Bridge, service: LaunchService, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.title, self.icon = self.tr("Launches"), "launches"
        self.setAccessibleName(self.title)
        self._bridge = bridge
        self._service = service
        self._kept = ""
        self.model = LaunchesModel(self)
        self.banner = Banner()
        self.guests = QComboBox()
        self.guests.setAccessibleName(self.tr("Guest to launch"))
        self.guests.setMinimumContentsLength(12)
        self.guests.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.launch = self._button(self.tr("&Launch"), self._launch)
        self.launch.setProperty("primary", True)
        self.choose = self._button(self.tr("More &choices…"), self.chooseWanted.emit)
        self.trying = self._button(self.tr("&Try it now"), self.tryItNow.emit)
        self.checking = self._button(self.tr("C&heck a platform"), self.checkPlatform.emit)
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Filter by guest, host, state…"))
        self.search.setAccessibleName(self.tr("Filter the launches"))
        self.search.setClearButtonEnabled(True)
        self.only_open = QCheckBox(self.tr("Only with something &left to do"))
        self.table = QTableView()
        self.actions_row = LaunchActions(bridge, service, self.banner, self)
        self.empty = EmptyState("search", self.tr("No launch fits the filter"))
        self.none = EmptyState(
            "launches",
            self.tr("No launches yet"),
            self.tr("Choose a guest above and press Launch, or try a rehearsal first."),
        )
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE)
        self._set_up_table()
        self._lay_out()
        self._connect()

    def widget(self) -> QWidget:
        """Itself."""
        return self

    @Slot()
    def refresh(self) -> None:
        """Look at the records and the profiles again."""
        ask(self._bridge, self, self._look, self._show, self.banner.show_error)  # type: ignore[arg-type]

    def show_launch(self, launch_id: str) -> None:
        """Choose this launch, whatever the list was filtered by."""
        for field in (self.search, self.only_open):
            with QSignalBlocker(field):
                if isinstance(field, QLineEdit):
                    field.clear()
                else:
                    field.setChecked(False)
        self._pause.stop()
        self.model.set_filter("", only_open=False)
        self._kept = launch_id
        self.refresh()

    # -- parts -----------------------------------------------------------------------

    def _button(self, words: str, do: Callable[[], object]) -> QPushButton:
        button = QPushButton(words)
        button.setAutoDefault(True)
        button.clicked.connect(lambda _checked=False: do())
        return button

    def _set_up_table(self) -> None:
        table = self.table
        table.setModel(self.model)
        table.setAccessibleName(self.tr("Launches, the newest first"))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setItemDelegate(CalmRows(table))
        table.setTabKeyNavigation(False)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.verticalHeader().hide()
        # One height for all: else Qt asks each of ten thousand rows for its own.
        rows = table.verticalHeader()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.fontMetrics().height() + 2 * SMALL)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(Column.HOST, QHeaderView.ResizeMode.Stretch)
        for column, width in _WIDTHS.items():
            table.setColumnWidth(column, width)
        longest = self.fontMetrics().horizontalAdvance(f"{longest_state()} · {simulated_word()}")
        table.setColumnWidth(Column.STATE, longest + _BESIDE_STATE)

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(SMALL)
        top.addWidget(TextLabel(self.title, size=1.5, bold=True), 1)
        for button in (self.checking, self.trying):
            top.addWidget(button)
        starting = QHBoxLayout()
        starting.setSpacing(SMALL)
        for widget in (self.guests, self.launch, self.choose):
            starting.addWidget(widget)
        starting.addStretch(1)
        filtering = QHBoxLayout()
        filtering.setSpacing(NORMAL)
        filtering.addWidget(self.search, 1)
        filtering.addWidget(self.only_open)
        column = QVBoxLayout(self)
        column.setContentsMargins(LARGE, LARGE, LARGE, NORMAL)
        column.setSpacing(NORMAL)
        column.addLayout(top)
        column.addLayout(starting)
        column.addWidget(self.banner)
        column.addSpacing(TIGHT)
        column.addLayout(filtering)
        column.addWidget(self.table, 1)
        for empty in (self.empty, self.none):
            column.addWidget(empty, 1)
            empty.hide()
        column.addWidget(self.actions_row)

    def _connect(self) -> None:
        self.search.textChanged.connect(self._pause.start)
        self._pause.timeout.connect(self._filter)
        self.only_open.toggled.connect(self._filter)
        self.table.selectionModel().currentRowChanged.connect(self._choose_row)
        self.table.activated.connect(self._activate)
        self.actions_row.resumed.connect(self.resumed)
        self.actions_row.changed.connect(self.refresh)

    # -- the list --------------------------------------------------------------------

    def _look(self) -> object:
        return self._service.summaries(), self._service.guests(), self._service.note

    def _show(self, found: object) -> None:
        summaries, guests, note = cast("tuple[Sequence[LaunchSummary], Sequence[str], str]", found)
        chosen = self.selected
        self._kept = self._kept if chosen is None else chosen.id
        self.model.show_summaries(summaries)
        self._select_again()
        self._show_guests(guests, summaries)
        if note:
            self.actions_row.tell_note(note)
        self.loaded.emit()

    def _show_guests(self, guests: Sequence[str], summaries: Sequence[LaunchSummary]) -> None:
        last = next((one.guest for one in summaries if one.guest in guests), "")
        wanted = self.guests.currentText() or last
        self.guests.clear()
        self.guests.addItems(list(guests))
        self.guests.setPlaceholderText("" if guests else self.tr("No guest yet"))
        self.guests.setCurrentIndex(max(0, self.guests.findText(wanted)))
        for widget in (self.guests, self.launch):
            widget.setEnabled(bool(guests))

    @Slot()
    def _filter(self) -> None:
        chosen = self.selected
        self._kept = self._kept if chosen is None else chosen.id
        self.model.set_filter(self.search.text(), only_open=self.only_open.isChecked())
        self._select_again()

    def _select_again(self) -> None:
        """The launch that was chosen stays so; without one it is the newest."""
        row = self.model.row_of(self._kept)
        if row < 0 and self.model.rowCount():
            row = 0
        nothing = self.model.rowCount() == 0
        self.table.setVisible(not nothing)
        self.empty.setVisible(nothing and self.model.total > 0)
        self.none.setVisible(self.model.total == 0)
        self.search.setEnabled(self.model.total > 0)
        self.only_open.setEnabled(self.model.total > 0)
        if row >= 0:
            self.table.selectRow(row)
            self.table.setCurrentIndex(self.model.index(row, 0))
        self.actions_row.show_summary(self.model.summary(row))

    @property
    def selected(self) -> LaunchSummary | None:
        """The launch that is chosen."""
        index = self.table.currentIndex()
        return self.model.summary(index.row()) if index.isValid() else None

    @Slot(QModelIndex, QModelIndex)
    def _choose_row(self, now: QModelIndex, before: QModelIndex) -> None:
        del before
        self.actions_row.show_summary(self.model.summary(now.row()) if now.isValid() else None)

    @Slot(QModelIndex)
    def _activate(self, index: QModelIndex) -> None:
        """Enter, or a double click: what is left to do is done."""
        summary = self.model.summary(index.row())
        if summary is not None and may_resume(summary):
            self.resumed.emit(summary)

    def _launch(self) -> None:
        if self.guests.currentText():
            self.launched.emit(self.guests.currentText())
