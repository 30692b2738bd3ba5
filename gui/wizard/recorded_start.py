# SPDX-License-Identifier: Apache-2.0
"""The pages *Launch blob* and *Start* of a recorded launch: files for the host, and the wait."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from watchword.core.launch.engine import Fact, Launch, Mark, StepState
from watchword.core.sev.policy import Policy
from watchword.core.sev.session import LaunchMaterial

from ..widgets.foldable import Foldable
from ..widgets.fonts import SMALL
from ..widgets.policy_view import PolicyView
from ..widgets.section import Section
from ..widgets.tones import Tone
from .domain_pane import DomainPane
from .exchange_panel import ExchangePanel, awaited
from .flow import Situation
from .host_files import HostFilesPanel
from .page import text_of
from .recorded_run import STARTING
from .session import SessionPage
from .start import StartPage
from .start_for_me import StartForMe
from .start_panel import StartPanel


class RecordedSessionPage(SessionPage):
    """The launch blob, for whoever starts the VM."""

    def __init__(self) -> None:
        super().__init__()
        self.files = HostFilesPanel()
        self.whole = StartPanel()
        for widget in (self.files, self.whole):
            self.controls.addWidget(widget)

    def build(self, launch: Launch, fact: Fact | None, mark: Mark | None) -> None:
        """The policy; the files are in a panel of their own."""
        if fact is None:
            super().build(launch, fact, mark)
            return
        policy = launch.answers.get("policy")
        if isinstance(policy, int):
            words = Foldable(self.tr("What the host may not do: the policy"))
            words.body.addWidget(PolicyView(Policy(policy)))
            self.body.addWidget(words)


class HostPanel(Section):
    """Where the VM waits; ``chosen`` comes with another URL."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("Where the VM waits"), "", parent)
        label = QLabel(self.tr("&URL of its monitor"))
        self.url = QLineEdit()
        self.url.setPlaceholderText("qmp+unix:///run/vm1.sock")
        self.url.setAccessibleName(self.tr("URL of the VM's monitor"))
        label.setBuddy(self.url)
        self.look = QPushButton(self.tr("Look &there"))
        self.look.setAutoDefault(True)
        self.look.clicked.connect(self._choose)
        self.url.returnPressed.connect(self._choose)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        for widget in (label, self.url, self.look):
            row.addWidget(widget)
        self.body.addLayout(row)
        self._said = ""

    def show_host(self, host: str) -> None:
        """The host that is recorded; what a person typed meanwhile stays."""
        if host != self._said:
            self._said = host
            self.url.setText(host)

    def _choose(self) -> None:
        url = self.url.text().strip()
        if url:
            self.chosen.emit(url)


class RecordedStartPage(StartPage):
    """Says for what it waits, as long as it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.exchange = ExchangePanel()
        self.files = HostFilesPanel()
        self.host = HostPanel()
        self.for_me = StartForMe()
        self.domain = DomainPane()
        for widget in (self.exchange, self.for_me, self.domain, self.files, self.host):
            self.controls.addWidget(widget)

    def show_launch(self, now: Situation, material: LaunchMaterial | None) -> None:
        """As any page, and the ways to help it on."""
        super().show_launch(now, material)
        turn = awaited(now.launch, self.step)
        self.exchange.show_turn(turn)
        settled = now.launch.status(self.step).settled
        self.host.setVisible(material is not None and not settled and turn is None)
        self.host.show_host(text_of(now.launch.answers, "host"))
        if settled or turn is not None:
            self.files.hide()

    def build(self, launch: Launch, fact: Fact | None, mark: Mark | None) -> None:
        """Why the VM is not there, while it is waited for."""
        if mark is not None and mark.state is StepState.BUSY and mark.reason:
            words = self.tr(
                "Watchword looks again every two seconds. You may leave and come back later: the"
                " launch stays as it is."
            )
            if mark.reason.get("code") == STARTING:
                words = ""
            self.banner.show_message(
                Tone.INFO, text_of(mark.reason, "title"), text_of(mark.reason, "message"), words
            )
            return
        super().build(launch, fact, mark)
