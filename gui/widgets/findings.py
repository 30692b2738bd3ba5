# SPDX-License-Identifier: Apache-2.0
"""What was found, as sentences with an icon and a word: in a policy, or about anything else."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from watchword.core.sev.policy import PolicyFinding

from .fonts import SMALL, TIGHT
from .icon_mark import IconMark
from .layouts import empty_out
from .policy_words import finding_look
from .state_badge import Look
from .text_label import TextLabel
from .tones import Tone


class Findings(QWidget):
    """A list of findings, refusals first."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(SMALL)
        self._grid.setVerticalSpacing(TIGHT)
        self._grid.setColumnStretch(2, 1)
        self._sentences: list[str] = []

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is said, with the word before each sentence."""
        return tuple(self._sentences)

    def show_findings(self, findings: Sequence[PolicyFinding]) -> None:
        """Show what is weak in a policy, or that nothing is, in place of what was there."""
        rows = [(finding_look(finding), finding.text) for finding in findings]
        if not rows:
            good = Look("ok", self.tr("Good"), Tone.OK)
            rows = [(good, self.tr("Nothing is weak in this policy."))]
        self.show_rows(rows)

    def show_rows(self, rows: Sequence[tuple[Look, str]]) -> None:
        """Show these sentences, which may be foreign, in place of what was there."""
        self._sentences = []
        empty_out(self._grid)
        for look, text in rows:
            self._add(look, text)
        self.setAccessibleName(" ".join(self._sentences))

    def _add(self, look: Look, text: str) -> None:
        self._sentences.append(f"{look.word}: {text}")
        row = len(self._sentences)
        top = Qt.AlignmentFlag.AlignTop
        self._grid.addWidget(IconMark(look.icon, look.tone), row, 0, top)
        word = TextLabel(look.word, bold=True, tone=look.tone)
        word.setWordWrap(False)
        self._grid.addWidget(word, row, 1, top)
        self._grid.addWidget(TextLabel(text), row, 2)
