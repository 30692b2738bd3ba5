# SPDX-License-Identifier: Apache-2.0
"""One guest profile: what a check of it says, changed files first, and what is in it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from watchword.core.guest.approvals import ExaminedFile, FileState
from watchword.core.guest.lint import Finding

from ..widgets.banner import Banner
from ..widgets.digest_comparison import DigestComparison
from ..widgets.explained import ExplainButton
from ..widgets.fonts import NORMAL, SMALL
from ..widgets.icon_mark import IconMark
from ..widgets.icons import icon
from ..widgets.key_value_table import KeyValueTable
from ..widgets.layouts import empty_out
from ..widgets.policy_view import PolicyView
from ..widgets.section import Section
from ..widgets.state_badge import StateBadge
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .guests_service import Guest, Verdict
from .guests_words import (
    component_name,
    profile_rows,
    severity_look,
    verdict_look,
    verdict_sentence,
)


class GuestView(QWidget):
    """Shows one guest; what is done to it is asked of the page."""

    backWanted = Signal()
    editWanted = Signal()
    duplicateWanted = Signal()
    exportWanted = Signal()
    removeWanted = Signal()
    approveWanted = Signal()
    rehearseWanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.guest: Guest | None = None
        self.back = self._button(self.tr("&All guests"), self.backWanted)
        self.back.setIcon(icon("back"))
        self.rehearse = self._button(self.tr("Re&hearse this guest…"), self.rehearseWanted)
        self.edit = self._button(self.tr("&Edit…"), self.editWanted)
        self.duplicate = self._button(self.tr("&Duplicate…"), self.duplicateWanted)
        self.export = self._button(self.tr("E&xport…"), self.exportWanted)
        self.remove = self._button(self.tr("&Remove…"), self.removeWanted)
        self.approve = self._button(self.tr("Look at it and &approve…"), self.approveWanted)
        self.badge = StateBadge(verdict_look(Verdict.UNREADABLE))
        self._sentence = TextLabel()
        self.files = Section(self.tr("Not what you approved"))
        self.alarm = Banner()
        self._pending = QVBoxLayout()
        self._findings = QVBoxLayout()
        self._facts = KeyValueTable()
        self.policy = PolicyView()
        self._lay_out()

    def _button(self, words: str, signal: object) -> QPushButton:
        button = QPushButton(words)
        button.setAutoDefault(True)
        button.clicked.connect(signal)
        return button

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.back)
        row.addStretch(1)
        for button in (self.edit, self.duplicate, self.export, self.remove):
            row.addWidget(button)
        column.addLayout(row)
        column.addWidget(self.alarm)
        column.addWidget(self._verdict_section())
        self._pending.setSpacing(NORMAL)
        self.files.body.addLayout(self._pending)
        self.approve.setProperty("primary", True)
        self.files.body.addWidget(self.approve, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.files)
        self._about = Section(self.tr("What shall run, and where"))
        self._about.header.addWidget(ExplainButton("profile"))
        self._about.body.addWidget(self._facts)
        column.addWidget(self._about)
        self._rules = Section(self.tr("Policy"))
        self._rules.header.addWidget(ExplainButton("policy"))
        self._rules.body.addWidget(self.policy)
        column.addWidget(self._rules)

    def _verdict_section(self) -> Section:
        section = Section()
        section.setAccessibleName(self.tr("Verdict"))
        heading = QHBoxLayout()
        heading.setSpacing(NORMAL)
        heading.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        heading.addWidget(self._sentence, 1)
        section.body.addLayout(heading)
        self._findings.setSpacing(SMALL)
        section.body.addLayout(self._findings)
        self.rehearse.setIcon(icon("simulated"))
        section.body.addWidget(self.rehearse, 0, Qt.AlignmentFlag.AlignLeft)
        return section

    # -- what is shown -----------------------------------------------------------------

    def show_guest(self, guest: Guest) -> None:
        """Show another guest, or the same one after a change."""
        self.guest = guest
        self.badge.show_look(verdict_look(guest.verdict))
        self._sentence.say(verdict_sentence(guest))
        readable = guest.profile is not None
        whole = (self.edit, self.duplicate, self.export, self.rehearse, self._about, self._rules)
        for widget in whole:
            widget.setVisible(readable)
        self._show_pending(guest)
        self._show_findings(guest)
        if guest.profile is not None:
            self._facts.set_rows(tuple(profile_rows(guest.profile)))
            self.policy.show_policy(guest.profile.policy)

    def _show_pending(self, guest: Guest) -> None:
        empty_out(self._pending)
        for file in guest.pending:
            self._pending.addWidget(PendingFile(file))
        self.alarm.clear()
        self.files.heading.say(self.tr("Not approved yet"))
        if guest.verdict is Verdict.CHANGED:
            self.files.heading.say(self.tr("Not what you approved"))
            self.alarm.show_message(
                Tone.BAD,
                self.tr("A file is not the one that you approved"),
                self.tr("Nothing can be launched with it. Both hashes stand below."),
            )
        self.files.setVisible(bool(guest.pending))

    def _show_findings(self, guest: Guest) -> None:
        empty_out(self._findings)
        if guest.error is not None:
            self._findings.addWidget(TextLabel(f"{guest.error.message} {guest.error.remedy}"))
        said = {"approved-file-changed", "not-approved"} if guest.pending else set()
        findings = () if guest.report is None else guest.report.findings
        for finding in findings:
            if finding.code not in said:
                self._findings.addWidget(_finding_line(finding))


class PendingFile(QWidget):
    """A file that is not approved: the approved hash above the one that it has now."""

    def __init__(self, file: ExaminedFile, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        title = f"{component_name(file.component)} {file.entry.label}"
        column.addWidget(TextLabel(title, bold=True))
        if file.entry.path is None:
            column.addWidget(TextLabel(self.tr("The profile names it by its hash alone.")))
        elif file.found.sha256 is None:
            problem = file.found.problem
            said = problem.message if problem is not None else self.tr("It is not here.")
            column.addWidget(TextLabel(said))
        elif file.entry.sha256 is None:
            column.addWidget(TextLabel(f"SHA-256 {file.found.sha256}"))
        else:
            changed = file.state is FileState.CHANGED
            before = self.tr("Approved") if changed else self.tr("Claimed")
            comparison = DigestComparison(title, before, self.tr("Now"))
            comparison.compare(bytes.fromhex(file.entry.sha256), bytes.fromhex(file.found.sha256))
            column.addWidget(comparison)


def _finding_line(finding: Finding) -> QWidget:
    look = severity_look(finding.severity)
    line = QWidget()
    line.setAccessibleName(f"{look.word}: {finding.text}")
    row = QHBoxLayout(line)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(SMALL)
    row.addWidget(IconMark(look.icon, look.tone), 0, Qt.AlignmentFlag.AlignTop)
    word = TextLabel(look.word, bold=True, tone=look.tone)
    word.setWordWrap(False)
    row.addWidget(word, 0, Qt.AlignmentFlag.AlignTop)
    row.addWidget(TextLabel(finding.text), 1)
    return line
