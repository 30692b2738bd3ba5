# SPDX-License-Identifier: Apache-2.0
"""*Test connection*: what a host shows before a launch, in sentences, each with its mark."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.hosts.locality import LOCAL_WARNING
from watchword.core.launch.preflight import Finding, Standing

from ..host_look import HostLook
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.escape import shown_line
from ..widgets.findings import Findings
from ..widgets.fonts import SMALL
from ..widgets.state_badge import Look
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone

_OPTION: Final = "--"
"""In a remedy: it is for people at the command line."""


class ConnectionPanel(QWidget):
    """``wanted`` and ``cancelled`` come from a person; it never asks a host itself.

    ``guestChosen``  with the GuestRow of a VM that the launch is to be on
    ``draftWanted``  with the GuestRow of one that a profile is to be made of
    ``drafting``     what the button for that says
    """

    wanted = Signal()
    cancelled = Signal()
    guestChosen = Signal(object)
    draftWanted = Signal(object)

    def __init__(self, drafting: str, parent: QWidget | None = None) -> None:
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
        self.drafting = QPushButton(drafting)
        self.drafting.setAutoDefault(False)
        self.drafting.clicked.connect(lambda: self.draftWanted.emit(self.guests.currentData()))
        self._choosing = QWidget()
        self._choosing.hide()
        self._pressed = self.test
        self._lay_out()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.guests)
        row.addWidget(self.taking)
        row.addStretch(1)
        choosing = QVBoxLayout(self._choosing)
        choosing.setContentsMargins(0, 0, 0, 0)
        choosing.setSpacing(SMALL)
        choosing.addWidget(TextLabel(self.tr("VMs that the host knows:"), quiet=True))
        choosing.addLayout(row)
        choosing.addWidget(self.drafting, 0, Qt.AlignmentFlag.AlignLeft)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        column.addWidget(self.test, 0, Qt.AlignmentFlag.AlignLeft)
        for widget in (self.line, self.banner, self.findings, self._choosing):
            column.addWidget(widget)

    def begin(self) -> None:
        """The host is being asked."""
        self.clear()
        self._wait(self.tr("Asking the host what it shows of itself…"), self.test)

    def begin_draft(self) -> None:
        """The host is being asked how a VM is defined; what was found stays."""
        self.banner.clear()
        self._wait(self.tr("Asking the host how the VM is defined…"), self.drafting)

    def _wait(self, words: str, pressed: QPushButton) -> None:
        self.line.begin(words)
        self._pressed = pressed
        if pressed.hasFocus():  # a disabled button loses it to whatever comes next
            self.line.cancel.setFocus()
        self._set_open(False)

    def _set_open(self, is_open: bool) -> None:
        for button in (self.test, self.taking, self.drafting):
            button.setEnabled(is_open)

    def end(self) -> None:
        """Nobody is asked any more."""
        focused = self.line.isAncestorOf(self.focusWidget() or self)
        self._set_open(True)
        if focused:
            self._pressed.setFocus()
        self.line.end()

    def clear(self) -> None:
        """Forget what was found: it was about another host, or another moment."""
        self.banner.clear()
        self.findings.hide()
        self._choosing.hide()

    def show_error(self, error: WatchwordError) -> None:
        """Why nothing was found."""
        self.banner.show_error(error)

    def show_look(self, look: HostLook) -> None:
        """All of it; none of it is verified. The host's VMs are offered to be launched on."""
        self.guests.clear()
        for guest in look.guests:
            self.guests.addItem(shown_line(guest.name), guest)
            if look.named in (guest.name, guest.uuid):
                self.guests.setCurrentIndex(self.guests.count() - 1)
        self._choosing.setVisible(bool(look.guests))
        self.drafting.setVisible(look.shows_domains)
        if look.found.hopeful:
            tone, title = Tone.INFO, self.tr("Nothing was found that speaks against a launch")
        else:
            tone, title = Tone.WARN, self.tr("A launch would not succeed as things are")
        words = self.tr("All of this is what the host shows; only a launch verifies it.")
        self.banner.show_message(tone, title, words)
        rows = [(self._look(one.standing), self._text(one)) for one in look.found.findings]
        if look.local:
            rows.append((self._look(Standing.WARNING), LOCAL_WARNING))
        self.findings.show_rows(rows)
        self.findings.show()

    def _look(self, standing: Standing) -> Look:
        return {
            Standing.GOOD: Look("ok", self.tr("Good"), Tone.OK),
            Standing.WARNING: Look("warn", self.tr("Warning"), Tone.WARN),
            Standing.PROBLEM: Look("bad", self.tr("Problem"), Tone.BAD),
            Standing.UNKNOWN: Look("info", self.tr("Not known"), Tone.NEUTRAL),
        }[standing]

    def _text(self, finding: Finding) -> str:
        remedy = finding.remedy
        if _OPTION in remedy:
            remedy = self.tr(
                "Give AMD's signed CEK among the certificate files, or let AMD's key service be"
                " asked."
            )
        return f"{finding.sentence}\n{remedy}" if remedy else finding.sentence
