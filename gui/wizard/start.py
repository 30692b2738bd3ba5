# SPDX-License-Identifier: Apache-2.0
"""The page *Start*: the host starts the VM, which waits, paused and measured, for its owner."""

from __future__ import annotations

from typing import ClassVar

from watchword.core.launch.engine import Fact, Launch, Mark

from ..widgets.key_value_table import KeyValueTable, Row
from ..widgets.section import Section
from ..widgets.tones import Tone
from .page import Line, Record, Verdict, WizardPage, text_of


class StartPage(WizardPage):
    """Shows what the host says of the VM; none of it is believed."""

    step: ClassVar[str] = "start"

    def __init__(self) -> None:
        super().__init__(
            self.tr("The paused VM"),
            self.tr(
                "The host loads your guest and stops before its first instruction. The processor"
                " measures what was loaded; the guest waits for you."
            ),
            self.tr("Waiting for the VM to be started and paused…"),
        )

    def verdict(self, launch: Launch, record: Record) -> Verdict | None:
        """What the host says."""
        del launch
        if record.get("paused"):
            title = self.tr("The host says: the VM is loaded and waits, paused")
        else:
            title = self.tr("The host says: the VM runs already")
        return Verdict(
            Tone.INFO if record.get("paused") else Tone.WARN,
            title,
            self.tr("Nothing rests on its word: the measurement shows what was really loaded."),
        )

    def _state_words(self, state: str) -> str:
        """QEMU's name of a state, and for the usual ones what it means."""
        known = {
            "launch-secret": self.tr("measured, and waiting for its secret"),
            "launch-update": self.tr("still being loaded"),
            "running": self.tr("running"),
        }
        return f"{known[state]} ({state})" if state in known else state

    def build(self, launch: Launch, fact: Fact | None, mark: Mark | None) -> None:
        """The host's answer, or what will happen."""
        del launch
        if fact is not None:
            rows = [
                Row(self.tr("Host"), text_of(fact.record, "host"), term="qmp"),
                Row(self.tr("State"), self._state_words(text_of(fact.record, "state"))),
            ]
            section = Section(self.tr("What the host answered"))
            section.body.addWidget(KeyValueTable(rows))
            self.body.addWidget(section)
        elif mark is None:
            section = Section(self.tr("What will happen"))
            for icon, text in (
                ("host", self.tr("The host starts the VM with both files, and lets it wait.")),
                ("clock", self.tr("Watchword asks whether it is there, for as long as you like.")),
            ):
                section.body.addWidget(Line(icon, Tone.NEUTRAL, text))
            self.body.addWidget(section)
