# SPDX-License-Identifier: Apache-2.0
"""The page *Platform* of a recorded launch: a platform is accepted or waived by a person alone."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QWidget

from watchword.core.launch.engine import Launch, StepState
from watchword.core.sev.session import LaunchMaterial

from ..widgets.copy_button import CopyButton
from ..widgets.foldable import Foldable
from ..widgets.hex_text import HexText
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .exchange_panel import ExchangePanel, awaited
from .flow import Situation
from .page import Line, mapping_of, text_of
from .platform import PlatformPage
from .recorded_run import UNSEEN

_TO_ACCEPT: Final = (UNSEEN, "platform-not-accepted")
_WAIVABLE: Final = 3
"""Exit status of what did not verify."""
SHORTEST_REASON: Final = 8
"""Characters of a typed reason: one that says nothing is of no use to whoever reads it later."""


class AcceptPanel(Section):
    """Shows the fingerprint of the CEK; ``accepted`` comes with it once the owner agrees."""

    accepted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", "", parent)
        self.setAccessibleName(self.tr("Accept this platform"))
        self.body.addWidget(
            TextLabel(self.tr("Fingerprint of its endorsement key (CEK)"), bold=True)
        )
        self.digits = HexText("", self.tr("CEK fingerprint"))
        self.body.addWidget(self.digits)
        self.body.addWidget(
            CopyButton(
                lambda: self.digits.digits, self.tr("CEK fingerprint"), label=self.tr("Copy")
            )
        )
        words = self.tr(
            "Is it the fingerprint that the machine's owner gave you on another way? For good, put"
            " it into the guest's profile: then nobody is asked again."
        )
        self.body.addWidget(TextLabel(words, quiet=True))
        self.accept = QPushButton(self.tr("It is the machine that I mean: &accept it"))
        self.accept.setAutoDefault(False)
        self.accept.clicked.connect(lambda: self.accepted.emit(self.digits.digits))
        self.body.addWidget(self.accept, 0, Qt.AlignmentFlag.AlignLeft)
        self.hide()


class WaiverPanel(Foldable):
    """A reason has to be typed; ``wanted`` comes with it. Of a rehearsal none is kept."""

    wanted = Signal(str)

    def __init__(
        self,
        title: str,
        consequences: str,
        parent: QWidget | None = None,
        *,
        rehearsal: bool = False,
    ) -> None:
        super().__init__(title, parent)
        words = self.tr("{what} Your reason stands in the ledger and in the evidence.")
        if rehearsal:
            words = self.tr("{what} A real launch will ask for your reason again, and record it.")
        self.body.addWidget(TextLabel(words.format(what=consequences)))
        label = QLabel(self.tr("Your &reason"))
        self.reason = QLineEdit()
        self.reason.setAccessibleName(self.tr("Reason for the waiver"))
        label.setBuddy(self.reason)
        self.start = QPushButton(self.tr("Start a new launch with this waiver"))
        if rehearsal:
            self.start.setText(self.tr("Rehearse with this waiver"))
        self.start.setAutoDefault(False)
        self.start.setEnabled(False)
        self.start.clicked.connect(lambda: self.wanted.emit(self.reason.text().strip()))
        self.reason.textChanged.connect(self._judge)
        for widget in (label, self.reason, self.start):
            self.body.addWidget(widget)
        self.hide()

    def _judge(self, text: str) -> None:
        self.start.setEnabled(len(text.strip()) >= SHORTEST_REASON)


class RecordedPlatformPage(PlatformPage):
    """``accept`` and ``waiver`` are shown where there is something to accept or to waive."""

    def __init__(self) -> None:
        super().__init__()
        self.accept = AcceptPanel()
        self.waiver = WaiverPanel(
            self.tr("Go on without a verified platform…"),
            self.tr(
                "Then anybody may be on the other side, and only test secrets can be handed over."
            ),
        )
        self.exchange = ExchangePanel()
        words = self.tr(
            "This machine judges itself: what is verified here proves nothing about it."
        )
        self.local = Line("warn", Tone.WARN, words, bold=True)
        self.local.hide()
        for widget in (self.local, self.accept, self.exchange, self.waiver):
            self.controls.addWidget(widget)

    def show_launch(self, now: Situation, material: LaunchMaterial | None) -> None:
        """As any page, and what the owner may decide."""
        super().show_launch(now, material)
        self.exchange.show_turn(awaited(now.launch, self.step))
        fact = now.launch.facts.get(self.step)
        self.local.setVisible(fact is not None and bool(fact.record.get("host_is_local")))
        fingerprint = _to_accept(now.launch)
        self.accept.digits.show_digits(fingerprint)
        self.accept.setVisible(bool(fingerprint) and not now.over)
        self.accept.accept.setEnabled(not now.at_work)
        mark = now.launch.marks.get(self.step)
        failed = mark is not None and mark.state is StepState.FAILED
        refused = failed and mark is not None and mark.reason.get("exit_status") == _WAIVABLE
        self.waiver.setVisible(refused and not fingerprint)


def _to_accept(launch: Launch) -> str:
    """The fingerprint of a platform that nobody has accepted yet; empty if there is none."""
    for mark in launch.marks.values():
        if mark.reason.get("code") in _TO_ACCEPT:
            found = text_of(mark.reason, "cek_sha256")
            return found or text_of(mapping_of(mark.reason, "details"), "cek_sha256")
    return ""
