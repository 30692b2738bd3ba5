# SPDX-License-Identifier: Apache-2.0
"""The page *Secret*: a last look at what was verified; with one button the secret leaves."""

from __future__ import annotations

from typing import ClassVar, Final

from watchword.core.launch.engine import Fact, Launch, Mark, StepState
from watchword.core.sev.policy import Policy, PolicyFlag

from ..widgets.key_value_table import KeyValueTable, Row
from ..widgets.policy_words import FLAGS, bit_title
from ..widgets.section import Section
from ..widgets.tones import Tone
from .page import Line, Record, Verdict, WizardPage, list_of, text_of, waivers_of

_TOLD: Final = PolicyFlag.NODBG | PolicyFlag.NOKS | PolicyFlag.ES | PolicyFlag.NOSEND
"""Where a guest may be sent is told on the page *Launch blob*."""


class SecretPage(WizardPage):
    """Everything on it was established before; nothing leaves until the owner says so."""

    step: ClassVar[str] = "secret"

    def __init__(self) -> None:
        super().__init__(
            self.tr("The secret"),
            self.tr(
                "It is sealed for this one VM, and only once you say so. Only the processor can"
                " open it; the host sees nothing but ciphertext."
            ),
            self.tr("Sealing the secret and handing it over…"),
        )

    def verdict(self, launch: Launch, record: Record) -> Verdict | None:
        """It left, sealed; that it arrived is the host's word."""
        del launch, record
        return Verdict(
            Tone.OK,
            self.tr("The secret was handed over, sealed"),
            self.tr("The host says that it was injected; it could not read it."),
        )

    def before(self, launch: Launch) -> Verdict | None:
        """The moment to decide."""
        if launch.waivers:
            title = self.tr("Not everything was verified, and nothing has left yet")
            words = self.tr("You waived something: look below. {leaves}")
            return Verdict(Tone.WARN, title, words.format(leaves=self._leaves()))
        title = self.tr("Everything is verified, and nothing has left yet")
        return Verdict(Tone.OK, title, self._leaves())

    def build(self, launch: Launch, fact: Fact | None, mark: Mark | None) -> None:
        """What was verified, and what goes out."""
        del mark
        verified = Section(self.tr("What was verified"))
        for line in self._verified(launch):
            verified.body.addWidget(line)
        self.body.addWidget(verified)
        title = self.tr("What will be handed over, and to whom")
        if fact is not None:
            title = self.tr("What was handed over, and to whom")
        section = Section(title)
        notes = list_of(fact.record, "secrets") if fact is not None else []
        rows = [self._row(entry) for entry in notes or list_of(launch.answers, "secrets")]
        section.body.addWidget(KeyValueTable([*rows, *self._receiver(launch)]))
        self.body.addWidget(section)

    def _leaves(self) -> str:
        return self.tr("It leaves with the button below, which can't be taken back.")

    def _receiver(self, launch: Launch) -> list[Row]:
        """The VM that was measured; the host only passes the packet on."""
        fact = launch.facts.get("start")
        host = "" if fact is None else text_of(fact.record, "host")
        if not host:
            return []
        words = self.tr("the VM that was measured, and nobody else; {host} carries it, sealed")
        return [Row(self.tr("To"), words.format(host=host))]

    def _verified(self, launch: Launch) -> list[Line]:
        lines = []
        for step, good in (
            ("platform", self._platform_words(launch)),
            ("measurement", self.tr("The VM holds what you approved, and nothing else.")),
            ("guest", self._policy_words(launch)),
        ):
            status = launch.status(step)
            if status.state is StepState.DONE:
                lines.append(Line("ok", Tone.OK, good))
            elif status.state is not StepState.WAIVED:
                words = self.tr("Not verified: {step}").format(step=status.step.title)
                lines.append(Line("circle", Tone.NEUTRAL, words))
        for what, reason in waivers_of(launch):
            words = self.tr("Waived, not verified: {what}, because: {reason}")
            text = words.format(what=what, reason=reason)
            lines.append(Line("waived", Tone.WARN, text, bold=True))
        return lines

    def _platform_words(self, launch: Launch) -> str:
        fact = launch.facts.get("platform")
        if fact is not None and text_of(fact.record, "root") == "amd":
            return self.tr("The platform is a genuine AMD processor.")
        if launch.simulated:
            return self.tr("The platform's chain holds, under the simulation's own root.")
        return self.tr("The platform's chain holds, under a root that you named as trusted.")

    def _policy_words(self, launch: Launch) -> str:
        fact = launch.facts.get("guest")
        number = None if fact is None else fact.record.get("policy")
        if not isinstance(number, int):
            return self.tr("The processor holds the host to your policy.")
        flags = Policy(number).flags
        told = [bit_title(flag) for flag in FLAGS if flag in flags and flag in _TOLD]
        words = self.tr("The processor holds the host to your policy: {rules}.")
        return words.format(rules=", ".join(rule[0].lower() + rule[1:] for rule in told))

    def _row(self, entry: object) -> Row:
        if not isinstance(entry, dict):
            return Row(self.tr("Secret"), str(entry), term="secret")
        words = []
        if entry.get("test"):
            words.append(self.tr("a test secret, made up for this launch"))
        if isinstance(entry.get("size"), int):
            words.append(self.tr("{n} bytes").format(n=entry["size"]))
        words.append(self.tr("as entry {guid}").format(guid=text_of(entry, "guid")))
        term = "test-secret" if entry.get("test") else "secret"
        return Row(text_of(entry, "name"), ", ".join(words), term=term)
