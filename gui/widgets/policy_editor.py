# SPDX-License-Identifier: Apache-2.0
"""A guest policy to change: a check box and an explanation for every bit, and what is weak."""

from __future__ import annotations

from contextlib import ExitStack

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from watchword.core.errors import UsageError
from watchword.core.sev.policy import DEFAULT_POLICY, Policy, PolicyFlag, parse_policy

from .explained import ExplainButton
from .findings import Findings
from .fonts import LARGE, NORMAL, SMALL, TIGHT
from .policy_words import FLAGS, bit_words, glossary_key
from .problem_line import ProblemLine
from .text_label import TextLabel

_WITHOUT_ES = Policy(DEFAULT_POLICY.value & ~int(PolicyFlag.ES))


class PolicyEditor(QWidget):
    """Emits ``policyChanged`` with the value whenever a person has changed it to a valid one."""

    # An int of Qt's ends below the highest bit of a minimum API.
    policyChanged = Signal(object)

    def __init__(self, policy: Policy = DEFAULT_POLICY, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._policy = policy
        self.boxes: dict[PolicyFlag, QCheckBox] = {}
        self._sentences: dict[PolicyFlag, TextLabel] = {}
        self.findings = Findings()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        column.addLayout(self._number_row())
        column.addWidget(self._problem)
        for flag in FLAGS:
            column.addLayout(self._bit(flag))
        column.addLayout(self._minimum_row())
        column.addSpacing(TIGHT)
        column.addWidget(self.findings)
        self._show()

    @property
    def policy(self) -> Policy:
        """The policy as it stands."""
        return self._policy

    def set_policy(self, policy: Policy) -> None:
        """Show another policy; emits nothing."""
        self._policy = policy
        self._show()

    # -- parts -----------------------------------------------------------------

    def _number_row(self) -> QHBoxLayout:
        self.presets = QComboBox()
        self.presets.setAccessibleName(self.tr("Ready-made policies"))
        self.presets.addItem(self.tr("Default"), DEFAULT_POLICY.value)
        self.presets.addItem(self.tr("Default without SEV-ES"), _WITHOUT_ES.value)
        self.presets.addItem(self.tr("Own choice"), None)
        self.presets.activated.connect(self._preset_chosen)
        self.number = QLineEdit()
        self.number.setAccessibleName(self.tr("Policy as a number or as names"))
        self.number.setMaxLength(80)
        self.number.editingFinished.connect(self._number_entered)
        self._problem = ProblemLine(self.number)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.presets)
        row.addWidget(self.number, 1)
        row.addWidget(ExplainButton("policy"))
        return row

    def _bit(self, flag: PolicyFlag) -> QVBoxLayout:
        words = bit_words(flag, self._policy)
        box = QCheckBox(f"{words.title} ({words.name})")
        box.toggled.connect(self._edited)
        sentence = TextLabel(quiet=True)
        sentence.setContentsMargins(LARGE, 0, 0, 0)
        heading = QHBoxLayout()
        heading.setSpacing(TIGHT)
        heading.addWidget(box)
        heading.addWidget(ExplainButton(glossary_key(flag)))
        heading.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addLayout(heading)
        column.addWidget(sentence)
        self.boxes[flag] = box
        self._sentences[flag] = sentence
        return column

    def _minimum_row(self) -> QHBoxLayout:
        label = QLabel(self.tr("&Oldest firmware API"))
        self.major, self.minor = QSpinBox(), QSpinBox()
        for spin, name in (
            (self.major, self.tr("Oldest firmware API, major number")),
            (self.minor, self.tr("Oldest firmware API, minor number")),
        ):
            spin.setRange(0, 255)
            spin.setAccessibleName(name)
            spin.valueChanged.connect(self._edited)
        label.setBuddy(self.major)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        for widget in (label, self.major, QLabel("."), self.minor, ExplainButton("policy-min-api")):
            row.addWidget(widget)
        row.addStretch(1)
        row.setContentsMargins(0, NORMAL, 0, 0)
        return row

    # -- changes ---------------------------------------------------------------

    def _edited(self) -> None:
        value = sum(int(flag) for flag, box in self.boxes.items() if box.isChecked())
        value |= self.major.value() << 16 | self.minor.value() << 24
        self._change(Policy(value))

    def _preset_chosen(self, index: int) -> None:
        value = self.presets.itemData(index)
        if value is not None:
            self._change(Policy(value))
        else:
            self._show()

    def _number_entered(self) -> None:
        text = self.number.text()
        if text == self._written():
            self._problem.say("")
            return
        try:
            policy = parse_policy(text)
        except UsageError as error:
            self._problem.say(f"{error.message} {error.remedy}")
            return
        self._change(policy)

    def _change(self, policy: Policy) -> None:
        changed = policy != self._policy
        self._policy = policy
        self._show()
        if changed:
            self.policyChanged.emit(policy.value)

    def _written(self) -> str:
        return f"0x{self._policy.value:x}"

    def _show(self) -> None:
        """Show the policy in all its forms, none of which is a change by a person."""
        silent = [*self.boxes.values(), self.major, self.minor, self.number, self.presets]
        with ExitStack() as stack:
            for widget in silent:
                stack.enter_context(QSignalBlocker(widget))
            self._fill_in()
        self._problem.say("")
        self.findings.show_findings(self._policy.findings())

    def _fill_in(self) -> None:
        for flag, box in self.boxes.items():
            box.setChecked(flag in self._policy.flags)
            words = bit_words(flag, self._policy)
            self._sentences[flag].say(words.sentence)
            box.setAccessibleDescription(words.sentence)
        self.major.setValue(self._policy.minimum_api[0])
        self.minor.setValue(self._policy.minimum_api[1])
        self.number.setText(self._written())
        index = self.presets.findData(self._policy.value)
        self.presets.setCurrentIndex(index if index >= 0 else self.presets.count() - 1)
