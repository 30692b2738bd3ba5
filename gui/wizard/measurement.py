# SPDX-License-Identifier: Apache-2.0
"""The page *Measurement*: what was expected beside what was reported, and why they differ."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import Signal

from watchword.core.launch.engine import Fact, Launch, Mark

from ..widgets.digest_comparison import DigestComparison
from ..widgets.explained import ExplainButton
from ..widgets.foldable import Foldable
from ..widgets.key_value_table import KeyValueTable, Row
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .digest_rows import digest_rows
from .page import Line, Record, Verdict, WizardPage, list_of, mapping_of, text_of
from .remedies import remedies
from .remedy_panel import RemedyPanel


class MeasurementPage(WizardPage):
    """A mismatch is explained as far as it can be, and never lifted.

    ``remedyChosen``  comes with a Remedy: another launch is to begin
    """

    step: ClassVar[str] = "measurement"
    remedyChosen = Signal(object)

    def __init__(self) -> None:
        super().__init__(
            self.tr("The measurement"),
            self.tr(
                "The processor's own proof of what was loaded. Watchword works out what it must"
                " be for the guest that you approved, and compares."
            ),
            self.tr("Reading the measurement, and comparing it…"),
        )

    def verdict(self, launch: Launch, record: Record) -> Verdict | None:
        """It matches: there is no other verdict that gets here."""
        del launch, record
        return Verdict(
            Tone.OK,
            self.tr("The VM holds what you approved, and nothing else"),
            self.tr("The measurement that the processor made is the one that was expected."),
        )

    def build(self, launch: Launch, fact: Fact | None, mark: Mark | None) -> None:
        """The comparison, its diagnosis, and what went into the digest."""
        details = mapping_of(mark.reason, "details") if mark is not None else {}
        if list_of(details, "expected"):
            self._compare(
                str(list_of(details, "expected")[0]), text_of(details, "reported"), details
            )
            self._add_diagnosis(mapping_of(details, "diagnosis"))
        elif fact is not None:
            measured = text_of(fact.record, "measurement")
            self._compare(measured, measured, fact.record)
        elif mark is None:
            self._explain()
        self._add_contents(launch, fact)

    def _compare(self, expected: str, reported: str, record: Record) -> None:
        section = Section(self.tr("Launch measurement"))
        section.header.addWidget(ExplainButton("launch-measurement"))
        comparison = DigestComparison(self.tr("measurement"))
        comparison.compare(_bytes(expected), _bytes(reported))
        section.body.addWidget(comparison)
        others = len(list_of(record, "expected")) - 1
        if others > 0:
            words = self.tr("Nor does it match the others that you approved: {n}.").format(n=others)
            section.body.addWidget(TextLabel(words, quiet=True))
        firmware = Row(
            self.tr("Processor's firmware"), text_of(record, "firmware"), term="api-and-build"
        )
        section.body.addWidget(KeyValueTable([firmware]))
        self.body.addWidget(section)

    def _add_diagnosis(self, diagnosis: Record) -> None:
        if not diagnosis:
            return
        section = Section(self.tr("Why it may differ"))
        matches = [match for match in list_of(diagnosis, "matches") if isinstance(match, list)]
        ways = remedies(diagnosis)
        for number, match in enumerate(matches):
            if number:
                section.body.addWidget(TextLabel(self.tr("Or:"), quiet=True))
            for deviation in match:
                self._add_deviation(section, deviation)
            if number < len(ways):
                panel = RemedyPanel(ways[number])
                panel.chosen.connect(self.remedyChosen)
                section.body.addWidget(panel)
        if matches:
            words = self.tr("This explains the refusal. It does not lift it: start a new launch.")
            section.body.addWidget(TextLabel(words, bold=True))
        else:
            self._add_tried(section, diagnosis)
        self.body.addWidget(section)

    def _add_deviation(self, section: Section, deviation: Record) -> None:
        alarm = bool(deviation.get("alarm"))
        icon, tone = ("bad", Tone.BAD) if alarm else ("warn", Tone.WARN)
        section.body.addWidget(Line(icon, tone, text_of(deviation, "text"), bold=True))
        section.body.addWidget(Line("forward", Tone.NEUTRAL, text_of(deviation, "remedy")))

    def _add_tried(self, section: Section, diagnosis: Record) -> None:
        words = self.tr("None of {n} usual mistakes explains it.").format(
            n=text_of(diagnosis, "variants_tried")
        )
        section.body.addWidget(Line("bad", Tone.BAD, words, bold=True))
        last = list_of(diagnosis, "lines")[-1:]
        section.body.addWidget(TextLabel("".join(map(str, last))))
        tried = Foldable(self.tr("What was tried"))
        for line in list_of(diagnosis, "tried"):
            tried.body.addWidget(TextLabel(f"• {line}", quiet=True))
        section.body.addWidget(tried)

    def _add_contents(self, launch: Launch, fact: Fact | None) -> None:
        guest = launch.facts.get("guest")
        if guest is None:
            return
        matched = "" if fact is None else text_of(fact.record, "launch_digest")
        contents = Foldable(self.tr("What goes into it"))
        contents.body.addWidget(KeyValueTable(digest_rows(guest.record, matched)))
        self.body.addWidget(contents)

    def _explain(self) -> None:
        section = Section(self.tr("What will happen"))
        for icon, text in (
            ("measurement", self.tr("Watchword asks the host for the processor's measurement.")),
            ("check", self.tr("It works out its own, from what you approved, and compares them.")),
            ("secret", self.tr("Nothing secret is sent. If they differ, the launch ends here.")),
        ):
            section.body.addWidget(Line(icon, Tone.NEUTRAL, text))
        self.body.addWidget(section)


def _bytes(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""
