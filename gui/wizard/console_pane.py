# SPDX-License-Identifier: Apache-2.0
"""A guest's serial console as text: bounded, escaped, and only ever shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from ..widgets.escape import shown_line
from ..widgets.fonts import SMALL, monospace
from .watched_run import MOST_LINES

_LONGEST_LINE: Final = 400
_LINES_SEEN: Final = 14


class ConsolePane(QPlainTextEdit):
    """The last 1000 lines, to be scrolled and copied; it follows the end while one is there."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        self.setMaximumBlockCount(MOST_LINES)
        self.setFont(monospace(self.font()))
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.setAccessibleName(self.tr("Serial console of the guest"))
        self.setPlaceholderText(self.tr("The guest has not said anything yet."))
        self.setFixedHeight(self.fontMetrics().lineSpacing() * _LINES_SEEN + 2 * SMALL)

    def add(self, lines: Sequence[str]) -> None:
        """Show more lines; control characters in them are written out."""
        if not lines:
            return
        bar = self.verticalScrollBar()
        at_end = bar.value() >= bar.maximum()
        text = "\n".join(shown_line(line, _LONGEST_LINE) for line in lines[-MOST_LINES:])
        self.appendPlainText(text)
        if at_end:
            self.moveCursor(QTextCursor.MoveOperation.End)
            bar.setValue(bar.maximum())
