# SPDX-License-Identifier: Apache-2.0
"""Whether the ledger is whole: held against itself, a head from earlier, and the keyring's note."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.ledger.heads import LedgerHead

from ..widgets.banner import Banner
from ..widgets.copy_button import CopyButton
from ..widgets.explained import Explained
from ..widgets.fonts import SMALL, monospace
from ..widgets.path_field import PathField
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .ledger_service import LedgerCheck
from .ledger_words import verdict_remedy, verdict_sentence

_OLDER = ("ledger-rolled-back", "ledger-anchor-damaged")


class CheckSection(Section):
    """``verifyWanted`` and ``saveWanted`` by its buttons; ``acceptWanted`` once the ledger
    turned out to be an older copy, and the owner wants to go on with it.
    """

    verifyWanted = Signal()
    saveWanted = Signal()
    acceptWanted = Signal()

    def __init__(self, *, with_keyring: bool, parent: QWidget | None = None) -> None:
        super().__init__("", "", parent)
        title = self.tr("Is it whole?")
        self.setAccessibleName(title)
        self.body.addWidget(TextLabel(title, size=1.1, bold=True))
        self.known = PathField(self.tr("A &head from earlier (optional)"), purpose="ledger")
        self.anchor = QCheckBox(self.tr("Compare with what the ke&yring has noted"))
        self.anchor.setVisible(with_keyring)
        self.verifying = self._button(self.tr("&Verify now"))
        self.verifying.setProperty("primary", True)
        self.verifying.clicked.connect(self.verifyWanted)
        self.saving = self._button(self.tr("&Save the head…"))
        self.saving.clicked.connect(self.saveWanted)
        self.verdict = Banner()
        self._head = TextLabel()
        self.copying = CopyButton("", self.tr("head of the ledger"))
        self._lay_out()

    def _button(self, words: str) -> QPushButton:
        button = QPushButton(words)
        button.setAutoDefault(True)
        return button

    def _lay_out(self) -> None:
        sentence = self.tr("Every entry is held against its hash, and against the one before it.")
        self.body.addWidget(TextLabel(sentence, quiet=True))
        self.body.addWidget(self.known)
        self.body.addWidget(self.anchor)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        for button in (self.verifying, self.saving):
            row.addWidget(button)
        row.addStretch(1)
        self.body.addLayout(row)
        self.body.addWidget(self.verdict)
        self._head_row = QWidget()
        head = QHBoxLayout(self._head_row)
        head.setContentsMargins(0, 0, 0, 0)
        head.setSpacing(SMALL)
        head.addWidget(Explained("ledger-head", self.tr("Head"), quiet=True))
        self._head.setFont(monospace(self._head.font()))
        head.addWidget(self._head, 1)
        head.addWidget(self.copying, 0, Qt.AlignmentFlag.AlignTop)
        self._head_row.hide()
        self.body.addWidget(self._head_row)

    def clear(self) -> None:
        """What was found before is not known any more."""
        self.verdict.clear()
        self._head_row.hide()

    def show_check(self, check: LedgerCheck) -> None:
        """The ledger holds: say against what it was held."""
        verdict = check.verdict
        if verdict.head is None:
            title = self.tr("There is no ledger yet, and none is missing")
            self.verdict.show_message(Tone.INFO, title)
            return
        title = self.tr("The ledger is whole")
        remedy = verdict_remedy(verdict, check.rollback)
        self.verdict.show_message(Tone.OK, title, verdict_sentence(verdict), remedy)
        self.show_head(verdict.head)

    def show_refusal(self, error: WatchwordError) -> None:
        """It does not hold; an older copy may be accepted, a damaged one never."""
        self.verdict.show_error(error)
        if error.code in _OLDER:
            self.verdict.add_action(
                self.tr("&Go on with these older records…"), self.acceptWanted.emit
            )

    def show_saved(self, head: LedgerHead, path: str) -> None:
        """The head is in a file now."""
        self.show_head(head)
        self.verdict.show_message(Tone.OK, self.tr("The head is saved"), path)

    def show_head(self, head: LedgerHead) -> None:
        """The newest entry's number and hash."""
        self._head.say(head.text)
        self.copying.set_text_to_copy(head.text)
        self._head_row.show()
