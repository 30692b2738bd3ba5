# SPDX-License-Identifier: Apache-2.0
"""Asks before the window closes while something is under way that had better come to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QMessageBox, QWidget


@dataclass(frozen=True, slots=True)
class ClosingQuestion:
    """What is under way, what closing means for it, and what is done if it is wanted.

    ``button``  closes; may hold a shortcut
    """

    title: str
    message: str
    button: str
    leave: Callable[[], object]


class Closing(QObject):
    """Asks one question at a time; the safe answer is the default one."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._box: QMessageBox | None = None

    def ask(self, question: ClosingQuestion) -> None:
        """Ask, unless it is being asked already."""
        if self._box is not None:
            return
        box = self._box = QMessageBox(self._window)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setText(question.title)
        box.setInformativeText(question.message)
        wait = box.addButton(self.tr("&Wait"), QMessageBox.ButtonRole.RejectRole)
        leave = box.addButton(question.button, QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(wait)
        leave.clicked.connect(lambda _checked=False: question.leave())
        box.finished.connect(self._asked)
        box.open()

    @Slot()
    def _asked(self) -> None:
        if self._box is not None:
            self._box.deleteLater()
            self._box = None
