# SPDX-License-Identifier: Apache-2.0
"""The page *Evidence*: what was proven in this launch, and what never is."""

from __future__ import annotations

from typing import ClassVar

from watchword.core.launch.engine import Fact, Launch, Mark

from ..widgets.section import Section
from ..widgets.tones import Tone
from .page import Line, Record, Verdict, WizardPage, text_of, waivers_of


class EvidencePage(WizardPage):
    """The end of a launch; it shows whether the guest runs before it says what that means."""

    step: ClassVar[str] = "run"

    def __init__(self) -> None:
        super().__init__(
            self.tr("Evidence"),
            self.tr("What this launch has proven, what it has not, and what you can keep of it."),
            self.tr("Letting the guest run, and asking for its signed report…"),
        )

    def verdict(self, launch: Launch, record: Record) -> Verdict | None:
        """Whether the guest runs, and who says so."""
        if launch.simulated:
            return Verdict(
                Tone.OK,
                self.tr("The guest runs, and has its secret"),
                self.tr("The simulated guest found it in its memory: its disk would unlock now."),
            )
        if text_of(record, "report_nonce"):
            message = self.tr("A report that the processor signed confirms it.")
            if launch.waivers:
                title = self.tr("The guest runs, and not everything was verified")
                return Verdict(Tone.WARN, title, message)
            return Verdict(Tone.OK, self.tr("The guest runs"), message)
        message = self.tr("The host says so. A report that the processor signed was not to be had.")
        tone = Tone.WARN if launch.waivers else Tone.INFO
        return Verdict(tone, self.tr("The guest runs, says the host"), message)

    def build(self, launch: Launch, fact: Fact | None, mark: Mark | None) -> None:
        """Two lists; both only once there is something to say."""
        del mark
        if fact is None:
            return
        proven = Section(self._heading(launch))
        icon, tone = ("ok", Tone.OK)
        if "platform" in launch.waivers:
            icon, tone = ("waived", Tone.WARN)
        for text in self._proven(launch, fact.record):
            proven.body.addWidget(Line(icon, tone, text))
        self.body.addWidget(proven)
        unproven = Section(self.tr("Not proven"))
        for what, reason in waivers_of(launch):
            words = self.tr("Waived, not verified: {what}, because: {reason}")
            text = words.format(what=what, reason=reason)
            unproven.body.addWidget(Line("waived", Tone.WARN, text, bold=True))
        for text in self._unproven(launch):
            unproven.body.addWidget(Line("info", Tone.NEUTRAL, text))
        self.body.addWidget(unproven)
        if launch.simulated:
            words = self.tr("A rehearsal leaves no record: no ledger entry and no evidence.")
            self.body.addWidget(Line("simulated", Tone.WARN, words))

    def _heading(self, launch: Launch) -> str:
        if launch.simulated:
            return self.tr("What this would prove on a real platform")
        return self.tr("Proven")

    def _proven(self, launch: Launch, record: Record) -> list[str]:
        if "platform" in launch.waivers:
            return [self.tr("Nothing: all of it rests on the platform, which was not verified.")]
        lines = [
            self._platform_words(launch),
            self.tr("What was loaded into the VM is what you approved, to the last byte."),
            self.tr("The secret was sealed for this VM after that, and not before."),
        ]
        if text_of(record, "report_nonce"):
            lines.append(self.tr("The VM that runs now is that VM: the processor signed a report."))
        return lines

    def _platform_words(self, launch: Launch) -> str:
        fact = launch.facts.get("platform")
        if fact is not None and text_of(fact.record, "root") == "amd":
            return self.tr("The platform is a genuine AMD processor, by every link of its chain.")
        return self.tr("The platform's chain holds, under a root that is not AMD's.")

    def _unproven(self, launch: Launch) -> list[str]:
        lines = [
            self.tr("That the processor's own firmware has no faults that nobody knows of yet."),
            self.tr("Anything about devices that write to memory (DMA), and side channels."),
            self.tr("That the guest itself has no weaknesses: its own software, its open ports."),
        ]
        if launch.simulated:
            lines.insert(0, self.tr("Anything about any hardware: this platform is a program."))
        return lines
