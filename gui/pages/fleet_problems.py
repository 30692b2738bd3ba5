# SPDX-License-Identifier: Apache-2.0
"""Everything that is wrong with a manifest, each with its line and place; a click copies it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QModelIndex, Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from watchword.core.guest.problems import Problem, shown_path

from ..widgets.copy_button import CopyButton
from ..widgets.escape import shown_line
from ..widgets.fonts import NORMAL, SMALL
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from .launches_rows import CalmRows

_MOST_HEIGHT: Final = 340
"""Pixels; more problems scroll."""
_SENTENCE: Final = 2
_LONGEST: Final = 600


class ProblemTable(QTableWidget):
    """Line, place and sentence; as high as its rows, within reason."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 3, parent)
        self.setAccessibleName(self.tr("Problems of the manifest; Enter copies one"))
        self.setHorizontalHeaderLabels(
            [self.tr("Line"), self.tr("Place"), self.tr("What is wrong")]
        )
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setItemDelegate(CalmRows(self))
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column in range(_SENTENCE):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_SENTENCE, QHeaderView.ResizeMode.Stretch)

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Show these in place of those before."""
        self.setRowCount(len(problems))
        for row, one in enumerate(problems):
            line = "" if one.line is None else str(one.line)
            texts = (line, shown_path(one.path), shown_line(one.sentence, _LONGEST))
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
                item.setData(Qt.ItemDataRole.AccessibleTextRole, shown_line(str(one), _LONGEST))
                self.setItem(row, column, item)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Sentences wrap anew."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit()

    def showEvent(self, event: QShowEvent) -> None:
        """Widths are known now."""
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.resizeRowsToContents()
        for row in range(self.rowCount()):
            self.setRowHeight(row, self.rowHeight(row) + SMALL)
        rows = sum(self.rowHeight(row) for row in range(self.rowCount()))
        wanted = rows + self.horizontalHeader().sizeHint().height() + NORMAL
        self.setFixedHeight(min(wanted, _MOST_HEIGHT))


class ManifestProblems(Section):
    """The table, what it is, and buttons that copy all of it and have it looked at again."""

    againWanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("What is wrong with the manifest"), "", parent)
        self.problems: tuple[Problem, ...] = ()
        self.table = ProblemTable()
        self._said = TextLabel(quiet=True)
        self.copying = CopyButton(self._all, self.tr("all problems"), label=self.tr("Copy all"))
        self.again = QPushButton(self.tr("Check &again"))
        self.again.setAutoDefault(True)
        self.again.clicked.connect(lambda _checked=False: self.againWanted.emit())
        for button in (self.copying, self.again):
            self.header.addWidget(button)
        self.body.addWidget(self._said)
        self.body.addWidget(self.table)
        self.table.clicked.connect(self._copy)
        self.table.activated.connect(self._copy)
        self.hide()

    def show_problems(self, problems: Sequence[Problem], count: int) -> None:
        """Show these problems, of so many that there are."""
        self.problems = tuple(problems)
        words = self.tr("Nothing was started. Click on a problem to copy it.")
        if count > len(problems):
            more = self.tr("The first {n} of {count} are shown.")
            words = f"{words} {more.format(n=len(problems), count=count)}"
        self._said.say(words)
        self.show()
        self.table.show_problems(problems)

    def clear(self) -> None:
        """There are none any more."""
        self.problems = ()
        self.hide()

    @Slot(QModelIndex)
    def _copy(self, index: QModelIndex) -> None:
        one = self.problems[index.row()]
        QGuiApplication.clipboard().setText(str(one))
        where = shown_path(one.path) if one.line is None else self.tr("Line {n}").format(n=one.line)
        self._said.say(self.tr("Copied: {where}").format(where=where))

    def _all(self) -> str:
        return "\n".join(map(str, self.problems))
