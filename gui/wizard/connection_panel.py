# SPDX-License-Identifier: Apache-2.0
"""*Test connection*: what a host shows before a launch, in sentences, each with its mark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.hosts.protocol import GuestRow
from watchword.core.launch.preflight import Finding, Preflight, Standing

from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.escape import shown_line
from ..widgets.findings import Findings
from ..widgets.fonts import SMALL
from ..widgets.state_badge import Look
from ..widgets.tones import Tone

_OPTION: Final = "--"
"""In a remedy: it is for people at the command line."""


class ConnectionPanel(QWidget):
    """``wanted`` and ``cancelled`` come from a person; it never asks a host itself.

    ``guestChosen``  with the GuestRow of a VM that the launch is to be on
    """

    wanted = Signal()
    cancelled = Signal()
    guestChosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.test = QPushButton(self.tr("&Test connection"))
        self.test.setAutoDefault(False)
        self.test.clicked.connect(self.wanted)
        self.line = BusyLine()
        self.line.cancelled.connect(self.cancelled)
        self.banner = Banner()
        self.findings = Findings()
        self.findings.hide()
        self.guests = QComboBox()
        self.guests.setAccessibleName(self.tr("VMs that the host knows"))
        self.guests.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.guests.setMinimumContentsLength(16)
        self.taking = QPushButton(self.tr("Take this VM"))
        self.taking.setAutoDefault(False)
        self.taking.clicked.connect(lambda: self.guestChosen.emit(self.guests.currentData()))
        self._choosing = QWidget()
        self._choosing.hide()
        self._lay_out()

    def _lay_out(self) -> None:
        row = QHBoxLayout(self._choosing)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SMALL)
        row.addWidget(self.guests)
        row.addWidget(self.taking)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        column.addWidget(self.test, 0, Qt.AlignmentFlag.AlignLeft)
        for widget in (self.line, self.banner, self.findings, self._choosing):
            column.addWidget(widget)

    def begin(self) -> None:
        """The host is being asked."""
        self.clear()
        self.line.begin(self.tr("Asking the host what it shows of itself…"))
        if self.test.hasFocus():  # a disabled button loses it to whatever comes next
            self.line.cancel.setFocus()
        self.test.setEnabled(False)

    def end(self) -> None:
        """Nobody is asked any more."""
        focused = self.line.isAncestorOf(self.focusWidget() or self)
        self.test.setEnabled(True)
        if focused:
            self.test.setFocus()
        self.line.end()

    def clear(self) -> None:
        """Forget what was found: it was about another host, or another moment."""
        self.banner.clear()
        self.findings.hide()
        self._choosing.hide()

    def show_error(self, error: WatchwordError) -> None:
        """Why nothing was found."""
        self.banner.show_error(error)

    def show_found(self, found: Preflight, guests: Sequence[GuestRow] = ()) -> None:
        """All of it; none of it is verified. ``guests`` are offered to be launched on."""
        self.guests.clear()
        for guest in guests:
            self.guests.addItem(shown_line(guest.name), guest)
        self._choosing.setVisible(bool(guests))
        if found.hopeful:
            tone, title = Tone.INFO, self.tr("Nothing was found that speaks against a launch")
        else:
            tone, title = Tone.WARN, self.tr("A launch would not succeed as things are")
        words = self.tr("All of this is what the host shows; only a launch verifies it.")
        self.banner.show_message(tone, title, words)
        self.findings.show_rows([(self._look(one), self._text(one)) for one in found.findings])
        self.findings.show()

    def _look(self, finding: Finding) -> Look:
        return {
            Standing.GOOD: Look("ok", self.tr("Good"), Tone.OK),
            Standing.WARNING: Look("warn", self.tr("Warning"), Tone.WARN),
            Standing.PROBLEM: Look("bad", self.tr("Problem"), Tone.BAD),
            Standing.UNKNOWN: Look("info", self.tr("Not known"), Tone.NEUTRAL),
        }[finding.standing]

    def _text(self, finding: Finding) -> str:
        remedy = finding.remedy
        if _OPTION in remedy:
            remedy = self.tr(
                "Give AMD's signed CEK among the certificate files, or let AMD's key service be"
                " asked."
            )
        return f"{finding.sentence}\n{remedy}" if remedy else finding.sentence
