# SPDX-License-Identifier: Apache-2.0
"""A guest policy to read: the number, each bit in words, and what is weak in it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from watchword.core.sev.policy import Policy

from .copy_button import CopyButton
from .explained import ExplainButton
from .findings import Findings
from .fonts import NORMAL, SMALL, TIGHT
from .hex_text import HexText
from .icon_mark import IconMark
from .layouts import empty_out
from .policy_words import FLAGS, bit_words, glossary_key
from .text_label import TextLabel
from .tones import Tone


class PolicyView(QWidget):
    """Shows a policy; nothing in it can be changed."""

    def __init__(self, policy: Policy | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._number = HexText("", self.tr("Policy"))
        self._names = TextLabel(quiet=True)
        self._copy = CopyButton("", self.tr("policy"))
        heading = QHBoxLayout()
        heading.setSpacing(NORMAL)
        heading.addWidget(self._number)
        heading.addWidget(self._names, 1)
        heading.addWidget(self._copy)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(SMALL)
        self._grid.setVerticalSpacing(TIGHT)
        self._grid.setColumnStretch(2, 1)
        self.findings = Findings()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        column.addLayout(heading)
        column.addLayout(self._grid)
        column.addWidget(self.findings)
        if policy is not None:
            self.show_policy(policy)

    def show_policy(self, policy: Policy) -> None:
        """Show another policy."""
        number = f"0x{policy.value:x}"
        self._number.show_digits(number)
        self._names.say(policy.names().replace(",", ", "))
        self._copy.set_text_to_copy(number)
        empty_out(self._grid)
        for row, flag in enumerate(FLAGS):
            words = bit_words(flag, policy)
            self._add(row, words.name, words.sentence, glossary_key(flag), on=flag in policy.flags)
        self._add_minimum(len(FLAGS), policy)
        self.findings.show_findings(policy.findings())

    def _add_minimum(self, row: int, policy: Policy) -> None:
        sentence = policy.in_words()[-1]
        major, minor = policy.minimum_api
        text = sentence[0].upper() + sentence[1:] + "."
        name = f"API {major}.{minor}"
        self._add(row, name, text, "policy-min-api", on=(major, minor) != (0, 0))

    def _add(self, row: int, name: str, sentence: str, term: str, *, on: bool) -> None:
        top = Qt.AlignmentFlag.AlignTop
        mark = IconMark("check" if on else "blocked", Tone.OK if on else Tone.NEUTRAL)
        state = self.tr("set") if on else self.tr("not set")
        label = TextLabel(name, bold=on, quiet=not on)
        label.setWordWrap(False)
        label.setAccessibleName(f"{name}, {state}")
        self._grid.addWidget(mark, row, 0, Qt.AlignmentFlag.AlignVCenter)
        self._grid.addWidget(label, row, 1, Qt.AlignmentFlag.AlignVCenter)
        self._grid.addWidget(TextLabel(sentence, quiet=not on), row, 2)
        self._grid.addWidget(ExplainButton(term), row, 3, top)
