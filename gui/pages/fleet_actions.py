# SPDX-License-Identifier: Apache-2.0
"""What can be done with a checked fleet: start, resume, retry, a dry run, stop."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from watchword.core.batch.intent import Intent, Phase

from ..fleet_service import CheckedFleet
from ..widgets.fonts import SMALL
from ..widgets.text_label import TextLabel
from .fleet_model import FleetModel
from .fleet_words import Standing


class FleetActions(QWidget):
    """The buttons; each is enabled while it makes sense, and one is the primary one."""

    startWanted = Signal()
    resumeWanted = Signal()
    retryWanted = Signal()
    dryRunWanted = Signal()
    stopWanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.start = self._button(self.tr("&Start"), self.startWanted.emit)
        self.resume = self._button(self.tr("&Resume"), self.resumeWanted.emit)
        self.resume.setToolTip(self.tr("Take up what was begun, and begin what was not"))
        self.retry = self._button(self.tr("Retr&y failed"), self.retryWanted.emit)
        self.retry.setToolTip(self.tr("Like Resume, and what was refused is tried again"))
        self.dry_run = self._button(self.tr("&Dry run"), self.dryRunWanted.emit)
        self.dry_run.setToolTip(self.tr("Check all again, and say what would be done"))
        self.stop = self._button(self.tr("S&top"), self.stopWanted.emit)
        self.stop.setToolTip(self.tr("In order: what is under way can be resumed"))
        self.only = QCheckBox(self.tr("Only those se&lected in the table"))
        self._said = TextLabel(quiet=True)
        self._said.hide()
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        for button in (self.start, self.resume, self.retry, self.dry_run, self.stop):
            row.addWidget(button)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        column.addLayout(row)
        column.addWidget(self.only)
        column.addWidget(self._said)

    def _button(self, words: str, do: Callable[[], object]) -> QPushButton:
        button = QPushButton(words)
        button.setAutoDefault(True)
        button.clicked.connect(lambda _checked=False: do())
        return button

    def follow(
        self, checked: CheckedFleet | None, model: FleetModel, *, ran: bool, busy: bool
    ) -> None:
        """Offer what makes sense; ``ran`` tells whether launches were begun since the check."""
        ready = checked is not None and not busy
        begun = ran or (checked is not None and checked.under_way is not None)
        earlier = ran or any(row.intent is not Intent.BEGIN for row in model.rows)
        if checked is not None and checked.phase is Phase.COMPLETE:
            earlier = ran
        refused = model.count(Standing.FAILED) > 0 or any(
            row.intent is Intent.LEAVE_REFUSED for row in model.rows
        )
        self.start.setEnabled(ready and not begun)
        self.resume.setEnabled(ready and earlier)
        self.retry.setEnabled(ready and refused)
        self.only.setEnabled(ready)
        self.dry_run.setEnabled(ready)
        self._mark(self.resume if earlier else self.start)
        words = ""
        if ready and earlier and not ran:
            words = self.tr("Some of these were launched or begun earlier: Resume goes on.")
        self._said.say(words)
        self._said.setVisible(bool(words))

    def follow_run(self, *, running: bool, stopping: bool) -> None:
        """Offer to stop what runs."""
        for button in (self.start, self.resume, self.retry, self.dry_run):
            button.setVisible(not running)
        self.stop.setVisible(running)
        self.stop.setEnabled(not stopping)
        self.stop.setText(self.tr("Stopping…") if stopping else self.tr("S&top"))

    def take_focus(self) -> None:
        """Have the keyboard where one goes on."""
        for button in (self.resume, self.start, self.dry_run):
            if button.isEnabled():
                button.setFocus(Qt.FocusReason.OtherFocusReason)
                return

    def _mark(self, primary: QPushButton) -> None:
        for button in (self.start, self.resume):
            if button.property("primary") is not (button is primary):
                button.setProperty("primary", button is primary)
                button.update()
