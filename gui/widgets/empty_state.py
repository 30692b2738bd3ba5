# SPDX-License-Identifier: Apache-2.0
"""What an empty list shows: that there is nothing yet, and the button that changes it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget

from .fonts import LARGE, NORMAL
from .icon_mark import IconMark
from .text_label import TextLabel
from .tones import Tone


class EmptyState(QWidget):
    """An icon, a title, a sentence and, if it is named, a button that emits ``chosen``."""

    chosen = Signal()

    def __init__(
        self,
        icon: str,
        title: str,
        sentence: str = "",
        button: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName(title)
        middle = Qt.AlignmentFlag.AlignHCenter
        column = QVBoxLayout(self)
        column.setContentsMargins(LARGE, LARGE, LARGE, LARGE)
        column.setSpacing(NORMAL)
        column.addStretch(1)
        column.addWidget(IconMark(icon, Tone.NEUTRAL, factor=2.6), 0, middle)
        for label in (TextLabel(title, size=1.15, bold=True), TextLabel(sentence, quiet=True)):
            label.setAlignment(middle)
            label.setVisible(bool(label.text()))
            column.addWidget(label)
        self.button = QPushButton(button)
        self.button.setVisible(bool(button))
        self.button.setAutoDefault(True)
        self.button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.button.clicked.connect(self.chosen)
        column.addWidget(self.button, 0, middle)
        column.addStretch(2)
