# SPDX-License-Identifier: Apache-2.0
"""The page *Platform*: who vouches for the machine, link by link up to AMD's root."""

from __future__ import annotations

from typing import ClassVar

from watchword.core.launch.engine import Fact, Launch, Mark

from ..widgets.chain_tree import ChainTree
from ..widgets.section import Section
from ..widgets.tones import Tone
from .page import Line, Record, Verdict, WizardPage, list_of, mapping_of, text_of


class PlatformPage(WizardPage):
    """Shows the chain as it was examined, whether it held or not."""

    step: ClassVar[str] = "platform"

    def __init__(self) -> None:
        super().__init__(
            self.tr("The platform"),
            self.tr(
                "Is this a genuine AMD processor? It shows certificates; each is checked against"
                " the one above it, up to AMD's root, which Watchword brings along."
            ),
            self.tr("Asking the host for its certificates…"),
        )

    def verdict(self, launch: Launch, record: Record) -> Verdict | None:
        """Whose root the chain ends in."""
        if text_of(record, "root") == "amd":
            return Verdict(
                Tone.OK,
                self.tr("This is a genuine AMD processor"),
                self.tr("Every certificate is signed by the one above it, up to AMD's own root."),
            )
        if launch.simulated:
            message = self.tr(
                "It ends in the simulation's own root, which is trusted in this rehearsal alone."
                " In a real launch Watchword would go no further."
            )
        else:
            message = self.tr("It ends in a root that is not AMD's and that you named as trusted.")
        return Verdict(Tone.WARN, self.tr("The chain holds, but its root is not AMD's"), message)

    def build(self, launch: Launch, fact: Fact | None, mark: Mark | None) -> None:
        """The chain of the record, or of the refusal."""
        report = mapping_of(mark.reason, "details") if mark is not None else {}
        if not list_of(report, "links") and fact is not None:
            report = fact.record
        if list_of(report, "links"):
            tree = ChainTree()
            tree.show_report(report, simulated=launch.simulated)
            section = Section(self.tr("The certificates, from the root down"))
            section.body.addWidget(tree)
            self.body.addWidget(section)
        elif mark is None and fact is None:
            self._explain()

    def _explain(self) -> None:
        section = Section(self.tr("What will happen"))
        for icon, text in (
            ("host", self.tr("Watchword asks the host for its certificates. It may say anything.")),
            ("certificate", self.tr("It checks every signature, and that the root is AMD's.")),
            ("secret", self.tr("Nothing secret is sent. If a link fails, the launch ends here.")),
        ):
            section.body.addWidget(Line(icon, Tone.NEUTRAL, text))
        self.body.addWidget(section)
