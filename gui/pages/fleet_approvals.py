# SPDX-License-Identifier: Apache-2.0
"""What a watch that runs elsewhere asks its owner: each question with what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from watchword.core.watch.approvals import PendingApproval

from ..approval_service import answer, questions_of
from ..widgets.escape import shown_line
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL, SMALL
from ..widgets.key_value_table import KeyValueTable, Row
from ..widgets.layouts import empty_out
from ..widgets.path_field import PathField
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from .confirm_dialog import ConfirmDialog
from .launches_model import local_time
from .page_dialogs import PageDialogs
from .page_work import PageWork


class QuestionCard(Section):
    """One question; ``decided`` comes with the answer."""

    decided = Signal(bool)

    def __init__(self, question: PendingApproval, parent: QWidget | None = None) -> None:
        title = self.tr("{guest}: a firmware that no launch of yours has verified before")
        super().__init__(title.format(guest=shown_line(question.guest, 80)), "", parent)
        rows = [
            Row(self.tr("Firmware"), question.firmware_sha256, hex=True, copy=True),
            Row(self.tr("Host"), shown_line(question.host)),
            Row(self.tr("Launch"), shown_line(question.launch_id), copy=True),
            Row(self.tr("Asked"), local_time(question.asked)),
        ]
        self.body.addWidget(KeyValueTable(rows))
        self.allowing = QPushButton(self.tr("Allow…"))
        self.refusing = QPushButton(self.tr("Refuse"))
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        for button, words in (
            (self.allowing, self.tr("Allow this firmware for {guest}…")),
            (self.refusing, self.tr("Refuse this firmware for {guest}")),
        ):
            button.setAutoDefault(True)
            button.setAccessibleName(words.format(guest=shown_line(question.guest, 80)))
            row.addWidget(button)
        row.addStretch(1)
        self.body.addSpacing(SMALL)
        self.body.addLayout(row)
        self.allowing.clicked.connect(lambda _checked=False: self.decided.emit(True))
        self.refusing.clicked.connect(lambda _checked=False: self.decided.emit(False))


class WatchQuestions(Foldable):
    """The questions of the watch whose settings are chosen."""

    def __init__(
        self, work: PageWork, dialogs: PageDialogs, window: QWidget, parent: QWidget | None = None
    ) -> None:
        super().__init__(self.tr("Questions of a watch"), parent)
        self._work, self._dialogs, self._window = work, dialogs, window
        self.cards: list[QuestionCard] = []
        self._due = False
        self.settings = PathField(
            self.tr("Settings of the &watch, as in watchword --watch WATCH.toml"),
            purpose="watch",
            filters=(self.tr("Settings (*.toml)"),),
        )
        self._said = TextLabel(quiet=True)
        self._said.hide()
        self.again = QPushButton(self.tr("Look a&gain"))
        self.again.setAutoDefault(True)
        self.again.clicked.connect(self.look)
        self.again.hide()
        self._list = QVBoxLayout()
        self._list.setSpacing(NORMAL)
        self.body.setSpacing(NORMAL)
        self.body.addWidget(self.settings)
        self.body.addWidget(self._said)
        self.body.addLayout(self._list)
        self.body.addWidget(self.again, 0, Qt.AlignmentFlag.AlignLeft)
        self.settings.pathChanged.connect(self._path_changed)
        self.settings.edit.editingFinished.connect(self._path_typed)
        self.toggled.connect(self.look)
        self._work.busyChanged.connect(self._follow_work)

    @Slot()
    def look(self) -> None:
        """Look again at what waits for an answer, at once or when nothing else is under way."""
        path = self.settings.path
        if not self.opened or not path:
            return
        words, call = self.tr("Looking for questions…"), partial(questions_of, path)
        self._due = not self._work.start(words, call, partial(self._show_of, path))

    @Slot(bool)
    def _follow_work(self, busy: bool) -> None:
        for button in self._buttons():
            button.setEnabled(not busy)
        if self._due and not busy:
            self._due = False
            QTimer.singleShot(0, self, self.look)

    def _buttons(self) -> list[QPushButton]:
        return [self.again, *(one for card in self.cards for one in (card.allowing, card.refusing))]

    def _show_of(self, path: str, questions: Sequence[PendingApproval]) -> None:
        """Show what one watch asks, unless another one was chosen meanwhile."""
        if path == self.settings.path:
            self.show_questions(questions)
        else:
            self.look()

    def show_questions(self, questions: Sequence[PendingApproval]) -> None:
        """Show these in place of those before."""
        self.again.show()
        empty_out(self._list)
        self.cards = []
        for question in questions:
            card = QuestionCard(question)
            card.decided.connect(partial(self._decide, question))
            self._list.addWidget(card)
            self.cards.append(card)
        self._said.say("" if questions else self.tr("Nothing waits for a decision."))
        self._said.setVisible(not questions)

    @Slot(str)
    def _path_changed(self) -> None:
        self.show_questions(())
        for widget in (self._said, self.again):
            widget.hide()
        if not self.settings.edit.isModified():
            self.look()

    @Slot()
    def _path_typed(self) -> None:
        if not self.cards and self._said.isHidden():
            self.look()

    def _decide(self, question: PendingApproval, allow: bool) -> None:
        path = self.settings.path
        call = partial(answer, path, question.id, allow=allow)
        words, show = self.tr("Writing the decision…"), partial(self._show_of, path)
        if not allow:
            self._work.start(words, call, show)
            return
        dialog = ConfirmDialog(
            self.tr("Allow this firmware?"),
            self.tr(
                "The watch goes on with every VM of {guest} that was started with the firmware"
                " {sha256}. Its measurement is verified all the same before a secret is sent."
            ).format(guest=question.guest, sha256=question.firmware_sha256),
            self.tr("&Allow it"),
            self._window,
        )
        dialog.agreed.connect(lambda: self._dialogs.do(words, call, show))
        self._dialogs.open(dialog)
