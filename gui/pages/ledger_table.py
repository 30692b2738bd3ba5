# SPDX-License-Identifier: Apache-2.0
"""The entries of the ledger in a table, and the one that is chosen with all that it says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QGuiApplication, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from watchword.core.ledger.entries import LedgerEntry

from ..widgets.copy_button import CopyButton
from ..widgets.escape import shown_line
from ..widgets.fonts import NORMAL, monospace
from ..widgets.icons import tone_icon
from ..widgets.key_value_table import KeyValueTable, Row
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from ..widgets.tones import selected
from .ledger_words import happened, kind_look, member, why
from .vault_entries import shown_time

_ROWS_SEEN: Final = 9
_FEWEST_SEEN: Final = 3
_WHAT: Final = 2


class LedgerTable(QTableWidget):
    """``chosen`` comes with an entry, or None; what the ledger says is shown as plain text."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 5, parent)
        self.entries: tuple[LedgerEntry, ...] = ()
        self.setAccessibleName(self.tr("Entries of the ledger, the newest first"))
        self.setHorizontalHeaderLabels(
            [
                self.tr("No."),
                self.tr("Time"),
                self.tr("What happened"),
                self.tr("Guest"),
                self.tr("Launch"),
            ]
        )
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self._row = self.fontMetrics().height() + NORMAL
        self.verticalHeader().setDefaultSectionSize(self._row)
        self._fit(0)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column in range(4):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self.itemSelectionChanged.connect(self._choose)
        self._soften()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the palette."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ApplicationPaletteChange:
            self._soften()

    def _soften(self) -> None:
        """A ground for the chosen row on which the icons in their tones can be seen."""
        palette = QGuiApplication.palette()
        ground, words = selected(palette), palette.color(QPalette.ColorRole.Text)
        palette.setColor(QPalette.ColorRole.Highlight, ground)
        palette.setColor(QPalette.ColorRole.HighlightedText, words)
        self.setPalette(palette)

    def show_entries(self, entries: Sequence[LedgerEntry]) -> None:
        """Show these in place of those before."""
        self.entries = tuple(entries)
        self._fit(len(entries))
        self.clearSelection()
        self.setRowCount(len(entries))
        for row, entry in enumerate(entries):
            texts = (
                str(entry.sequence),
                shown_time(entry.time),
                happened(entry),
                member(entry, "guest"),
                entry.launch_id or "",
            )
            for column, text in enumerate(texts):
                item = QTableWidgetItem(shown_line(text))
                if column == _WHAT:
                    look = kind_look(entry.kind)
                    item.setIcon(tone_icon(look.icon, look.tone))
                self.setItem(row, column, item)

    def _fit(self, rows: int) -> None:
        """As high as its rows, within reason: few leave no hole, and many scroll."""
        seen = min(max(rows, _FEWEST_SEEN), _ROWS_SEEN) + 1
        self.setFixedHeight(self._row * seen + NORMAL)

    def select_entry(self, sequence: int) -> bool:
        """Choose the entry of this number; False where it is not shown."""
        for row, entry in enumerate(self.entries):
            if entry.sequence == sequence:
                self.selectRow(row)
                self.scrollTo(self.model().index(row, 0))
                return True
        return False

    def _choose(self) -> None:
        rows = {index.row() for index in self.selectedIndexes()}
        self.chosen.emit(self.entries[rows.pop()] if rows else None)


class EntryView(Section):
    """All that one entry says."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("Entry"), "", parent)
        self._facts = KeyValueTable()
        self._words = TextLabel()
        self._words.setFont(monospace(self.font()))
        self.copying = CopyButton("", self.tr("entry"), label=self.tr("Copy"))
        self.header.addWidget(self.copying)
        inner = QVBoxLayout()
        inner.setSpacing(NORMAL)
        inner.addWidget(self._facts)
        inner.addWidget(self._words)
        self.body.addLayout(inner)
        self.hide()

    def show_entry(self, entry: LedgerEntry | None) -> None:
        """Show an entry; nothing for None."""
        self.setVisible(entry is not None)
        if entry is None:
            return
        self.heading.say(
            self.tr("Entry {n}: {what}").format(n=entry.sequence, what=happened(entry))
        )
        rows = [Row(self.tr("Time"), shown_time(entry.time))]
        for name, value in (
            (self.tr("Launch"), entry.launch_id or ""),
            (self.tr("Host"), member(entry, "host")),
            (self.tr("Reason"), why(entry)),
        ):
            rows += [Row(name, value)] if value else []
        rows.append(Row(self.tr("Hash"), entry.hash, hex=True, copy=True))
        self._facts.set_rows(rows)
        self._words.say(json.dumps(dict(entry.body), indent=2, ensure_ascii=False))
        self.copying.set_text_to_copy(json.dumps(entry.as_json(), indent=2))
