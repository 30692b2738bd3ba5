# SPDX-License-Identifier: Apache-2.0
"""A turn of an exchange by hand: what to carry to the operator, and where his answer goes."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.hosts.exchange_pasting import Understood
from watchword.core.launch.engine import Launch, StepState

from ..widgets.banner import Banner
from ..widgets.copy_button import CopyButton
from ..widgets.drop_area import DropArea
from ..widgets.fonts import SMALL
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .page import Record, list_of, text_of

PLATFORM: Final = 1
"""The turn that asks for certificates: nothing was carried out before it."""


def awaited(launch: Launch, step: str) -> Record | None:
    """What is said of the turn that a step waits for; None if it waits for none."""
    mark = launch.marks.get(step)
    if mark is None or mark.state is not StepState.WAITING:
        return None
    details = mark.reason.get("details")
    return details if isinstance(details, dict) and "turn" in details else None


class ExchangePanel(QWidget):
    """Hidden while no turn is awaited; never reads or writes a file itself.

    ``textWanted``  with the turn that is to be carried out, for the clipboard
    ``answered``    with the turn that is awaited; the answer is in ``area.given``
    """

    textWanted = Signal(int)
    answered = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._turn = 0
        self._path = TextLabel()
        self._missing = TextLabel()
        self.copying = QPushButton(self.tr("Copy the &text for the operator"))
        self.copying.setAutoDefault(True)
        self.copying.clicked.connect(self._want_text)
        self.area = DropArea(
            self.tr("Drop the operator's answer here, or paste its text"), purpose="exchange"
        )
        self.area.changed.connect(self._give)
        self.banner = Banner()
        self._lay_out()
        self.hide()

    def _lay_out(self) -> None:
        carrying = Section(
            self.tr("1. Carry this to the host's operator"),
            self.tr("Take the folder along, or mail the text. Nothing in either is secret."),
        )
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self._path, 1)
        row.addWidget(CopyButton(self._path.accessibleName, self.tr("the path of the folder")))
        row.addWidget(self.copying)
        carrying.body.addLayout(row)
        answering = Section(self.tr("2. Bring his answer back"))
        answering.body.addWidget(self._missing)
        answering.body.addWidget(self.area)
        answering.body.addWidget(self.banner)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(carrying)
        column.addWidget(answering)

    def show_turn(self, details: Record | None) -> None:
        """Show a turn that is awaited, or none."""
        turn = details.get("turn") if details is not None else None
        self.setVisible(isinstance(turn, int))
        if details is None or not isinstance(turn, int):
            return
        if turn != self._turn:
            self.banner.clear()
        self._turn = turn
        self._path.say(text_of(details, "path").rpartition("/")[0])
        missing = "; ".join(map(str, list_of(details, "missing")))
        self._missing.say(self.tr("Still to come: {what}.").format(what=missing))

    def put_text(self, text: str) -> None:
        """The text that was wanted is there."""
        QGuiApplication.clipboard().setText(text)
        self.copying.setText(self.tr("Copied: paste it into a mail"))

    def show_understood(self, understood: Understood) -> None:
        """What was found in an answer; nothing of it is verified yet."""
        found = "\n".join(f"{name}: {value}" for name, value in understood.found)
        missing = "; ".join(understood.missing)
        title = (
            self.tr("Understood; something is missing still: {what}").format(what=missing)
            if missing
            else self.tr("Understood; it is verified now")
        )
        self.banner.show_message(Tone.INFO, title, found)

    def show_error(self, error: WatchwordError) -> None:
        """Why an answer was not taken."""
        self.banner.show_error(error)

    def _want_text(self) -> None:
        self.textWanted.emit(self._turn if self._turn == PLATFORM else self._turn - 1)

    def _give(self) -> None:
        if self.area.given:
            self.answered.emit(self._turn)
