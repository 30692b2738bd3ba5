# SPDX-License-Identifier: Apache-2.0
"""Asks before something is done that can't be undone, and says what it means."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QLineEdit, QWidget

from ..widgets.fonts import SMALL
from ..widgets.text_label import TextLabel
from .page_dialog import PageDialog


class ConfirmDialog(PageDialog):
    """A question with consequences; the safe answer is the default one.

    ``typed``  a word that has to be typed first, where a slip would cost too much
    """

    def __init__(
        self, title: str, consequences: str, button: str, parent: QWidget, *, typed: str = ""
    ) -> None:
        super().__init__(title, "", button, parent)
        self.body.addWidget(TextLabel(consequences))
        self._typed = typed
        self.word = QLineEdit(self)
        self.word.setVisible(bool(typed))
        if typed:
            self._ask_for_word(typed)
        else:
            self.agreeing.setProperty("primary", False)
            self.refusing.setDefault(True)
            self.refusing.setFocus(Qt.FocusReason.OtherFocusReason)

    def _ask_for_word(self, typed: str) -> None:
        question = self.tr("Type {word} to go on").format(word=typed)
        label = QLabel(question)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setBuddy(self.word)
        self.word.setAccessibleName(question)
        self.word.textChanged.connect(self._compare)
        self.body.addSpacing(SMALL)
        self.body.addWidget(label)
        self.body.addWidget(self.word)
        self.set_allowed(False)
        self.word.setFocus(Qt.FocusReason.OtherFocusReason)

    def _compare(self, text: str) -> None:
        self.set_allowed(text.strip() == self._typed)
