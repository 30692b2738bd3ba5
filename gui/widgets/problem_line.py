# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a field, as a line of text below it."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QWidget

from .fonts import TIGHT
from .icon_mark import IconMark
from .text_label import TextLabel
from .tones import Tone


class ProblemLine(QWidget):
    """Hidden while there is no problem; the field's accessible description says the same."""

    def __init__(self, field: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._field = field
        self._problem = ""
        self._label = TextLabel(tone=Tone.BAD)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(TIGHT)
        row.addWidget(IconMark("bad", Tone.BAD))
        row.addWidget(self._label, 1)
        self.hide()

    @property
    def problem(self) -> str:
        """What is said now."""
        return self._problem

    def say(self, problem: str) -> None:
        """Say what is wrong; nothing with an empty text."""
        self._problem = problem
        self._label.say(problem)
        self._field.setAccessibleDescription(problem)
        self.setVisible(bool(problem))
