# SPDX-License-Identifier: Apache-2.0
"""The wizard's lower edge: leave, a note, back, one more button, and the one to go on with."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from ..widgets.fonts import NORMAL, SMALL, WIDE
from ..widgets.text_label import TextLabel
from ..widgets.tones import line
from .flow import Button, Buttons


def words(text: str) -> str:
    """A text of the Qt-free half in the user's language."""
    return QCoreApplication.translate("Wizard", text)


class ButtonRow(QWidget):
    """Shows the buttons that the flow derived; emits ``pressed`` with the one that was chosen."""

    pressed = Signal(object)
    leave = Signal()
    stay = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.leaving = QPushButton(self.tr("L&eave"))
        self.leaving.setFlat(True)
        self.leaving.clicked.connect(self.leave)
        self.note = TextLabel(quiet=True)
        self.staying = QPushButton(self.tr("Sta&y here"))
        self.staying.clicked.connect(self.stay)
        self.back, self.other, self.primary = QPushButton(), QPushButton(), QPushButton()
        self.primary.setProperty("primary", True)
        self._meant: dict[QPushButton, Button] = {}
        for button in (self.back, self.other, self.primary):
            button.clicked.connect(self._press)
        for button in (self.leaving, self.staying, self.back, self.other, self.primary):
            button.setAutoDefault(True)
        self._lay_out()
        self.say("")

    def _lay_out(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(WIDE, NORMAL, WIDE, NORMAL)
        row.setSpacing(SMALL)
        row.addWidget(self.leaving)
        row.addWidget(self.note, 1)
        for button in (self.staying, self.back, self.other, self.primary):
            row.addWidget(button)

    def show_buttons(self, wanted: Buttons) -> None:
        """Show these, with what they do."""
        self._show(self.back, wanted.back)
        self._show(self.primary, wanted.primary)
        self.other.setVisible(bool(wanted.others))
        if wanted.others:
            self._show(self.other, wanted.others[0])

    def show_leaving(self, *, kept: bool, over: bool) -> None:
        """How one leaves a launch that is ``kept``, or is not; at its end the last button does."""
        self.leaving.setText(self.tr("L&eave") if kept else self.tr("&End the rehearsal"))
        self.leaving.setAccessibleName(self.leaving.text().replace("&", ""))
        self.leaving.setToolTip("" if kept else self.tr("A rehearsal is not kept."))
        self.leaving.setVisible(not over)

    def say(self, note: str, *, stoppable: bool = False) -> None:
        """A few words beside the buttons, with the button that stops going on or without it."""
        self.note.say(note)
        self.staying.setVisible(stoppable)

    def _show(self, button: QPushButton, wanted: Button) -> None:
        self._meant[button] = wanted
        label = words(wanted.label).replace("%1", words(wanted.words))
        if button.text() != label:
            button.setText(label)
            button.setAccessibleName(label.replace("&", ""))
        button.setEnabled(wanted.enabled)

    def _press(self) -> None:
        meant = self._meant.get(self.sender())  # type: ignore[call-overload]
        if meant is not None and meant.enabled:
            self.pressed.emit(meant)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the line above."""
        painter = QPainter(self)
        painter.setPen(line(self.palette()))
        painter.drawLine(self.rect().topLeft(), self.rect().topRight())
        painter.end()
