# SPDX-License-Identifier: Apache-2.0
"""Shows a report of a fault of ours, to be copied and sent."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from .widgets.fonts import NORMAL, WIDE, monospace
from .widgets.text_label import TextLabel


class CrashDialog(QDialog):
    """One report: what happened in a sentence, and the text to send."""

    def __init__(self, report: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Watchword made a mistake"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._report = report
        column = QVBoxLayout(self)
        column.setContentsMargins(WIDE, WIDE, WIDE, WIDE)
        column.setSpacing(NORMAL)
        column.addWidget(TextLabel(self.tr("Watchword made a mistake"), size=1.3, bold=True))
        column.addWidget(
            TextLabel(
                self.tr(
                    "Something happened that Watchword was not made for. You can go on, or close"
                    " it and start it again: what was saved stays saved.\nThe report says where it"
                    " happened. There is nothing of what you worked on in it, so it can be sent."
                )
            )
        )
        column.addWidget(self._text(report), 1)
        column.addWidget(self._buttons())
        self.resize(640, 420)

    def _text(self, report: str) -> QPlainTextEdit:
        text = QPlainTextEdit(report)
        text.setReadOnly(True)
        text.setFont(monospace(text.font()))
        text.setAccessibleName(self.tr("Report"))
        text.setTabChangesFocus(True)
        return text

    def _buttons(self) -> QDialogButtonBox:
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        box.rejected.connect(self.reject)
        copy = QPushButton(self.tr("&Copy the report"))
        copy.clicked.connect(self._copy)
        box.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
        return box

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._report)
