# SPDX-License-Identifier: Apache-2.0
"""The page of the ledger: what happened, whether it is whole, and a copy of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.heads import LedgerHead
from watchword.core.ledger.verification import LedgerVerdict

from ..bridge import Bridge
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.copy_button import CopyButton
from ..widgets.empty_state import EmptyState
from ..widgets.explained import Explained
from ..widgets.fonts import NORMAL, SMALL, monospace
from ..widgets.page_frame import PageFrame
from ..widgets.path_field import PathField, PathKind
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .ledger_service import MOST_SHOWN, LedgerService, LedgerView
from .ledger_table import EntryView, LedgerTable
from .ledger_words import kind_look, verdict_remedy, verdict_sentence
from .page_dialog import PageDialog
from .page_work import PageWork, lay_out_now

T = TypeVar("T")

_TYPING: Final = 300
"""Milliseconds after the last key before entries are looked for."""


class SaveDialog(PageDialog):
    """Asks for a new file."""

    def __init__(self, title: str, sentence: str, parent: QWidget) -> None:
        super().__init__(title, sentence, self.tr("Save"), parent)
        self.file = PathField(self.tr("&New file"), PathKind.SAVE, purpose="ledger")
        self.file.pathChanged.connect(lambda path: self.set_allowed(bool(path.strip())))
        self.body.addWidget(self.file)
        self.set_allowed(False)


class LedgerPage(PageFrame):
    """Shows what the service says; nothing here writes to the ledger."""

    def __init__(
        self, bridge: Bridge, service: LedgerService, parent: QWidget | None = None
    ) -> None:
        title = self.tr("Ledger")
        super().__init__(
            title, self.tr("The record of every launch, which nobody can alter unseen."), parent
        )
        self.title, self.icon = title, "ledger"
        self._service = service
        self.dialog: SaveDialog | None = None
        self.banner, self._line = Banner(), BusyLine()
        self.work = PageWork(bridge, self._line, self.banner, self)
        self.empty = EmptyState(
            "ledger",
            self.tr("Nothing was recorded yet"),
            self.tr("The ledger begins with your first launch, also with a rehearsal."),
        )
        self.launch, self.kinds = QLineEdit(), QComboBox()
        self.table, self.entry = LedgerTable(), EntryView()
        self._none = TextLabel(quiet=True)
        self.known = PathField(self.tr("A &head from earlier (optional)"), purpose="ledger")
        self.verifying = self._button(self.tr("&Verify now"), self._verify)
        self.verifying.setProperty("primary", True)
        self.exporting = self._button(self.tr("E&xport…"), self._ask_export)
        self.saving = self._button(self.tr("&Save the head…"), self._ask_head)
        self.verdict = Banner()
        self._head = TextLabel()
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING)
        self._typing.timeout.connect(self.refresh)
        self._lay_out()
        self.work.busyChanged.connect(self._follow_work)

    def widget(self) -> QWidget:
        """Itself."""
        return self

    @Slot()
    def refresh(self) -> None:
        """Look at the ledger again, as the filter has it."""
        self._typing.stop()
        if self.work.busy:
            self._typing.start()
            return
        data = self.kinds.currentData()
        kind = EntryKind(data) if data else None
        call = partial(self._service.look, self.launch.text().strip(), kind)
        words = self.tr("Reading the ledger…")
        self.work.start(words, call, self.show_view, failed=self._not_read, can_cancel=True)

    @Slot()
    def _typed(self) -> None:
        self._typing.start()

    # -- parts -------------------------------------------------------------------------

    def _button(self, words: str, do: Callable[[], None]) -> QPushButton:
        button = QPushButton(words)
        button.setAutoDefault(True)
        button.clicked.connect(do)
        return button

    def _lay_out(self) -> None:
        for widget in (self.banner, self._line, self.empty):
            self.content.addWidget(widget)
        self.recorded = QWidget()
        column = QVBoxLayout(self.recorded)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        column.addLayout(self._filter())
        column.addWidget(self.table)
        column.addWidget(self._none)
        column.addWidget(self.entry)
        column.addWidget(self._check_section())
        self.content.addWidget(self.recorded)
        self.empty.hide()
        self.recorded.hide()
        self.table.chosen.connect(self.entry.show_entry)

    def _filter(self) -> QHBoxLayout:
        self.launch.setPlaceholderText(self.tr("Launch"))
        self.launch.setAccessibleName(self.tr("Only entries of this launch"))
        self.launch.setClearButtonEnabled(True)
        self.launch.textChanged.connect(self._typed)
        self.kinds.setAccessibleName(self.tr("Only entries of this kind"))
        self.kinds.addItem(self.tr("Everything"), "")
        for kind in EntryKind:
            self.kinds.addItem(kind_look(kind).word, kind.value)
        self.kinds.currentIndexChanged.connect(self.refresh)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.launch, 1)
        row.addWidget(self.kinds, 1)
        row.addWidget(self.exporting)
        return row

    def _check_section(self) -> Section:
        section = Section(self.tr("Is it whole?"))
        section.body.addWidget(
            TextLabel(
                self.tr("Every entry is held against its hash, and against the one before it."),
                quiet=True,
            )
        )
        section.body.addWidget(self.known)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        for button in (self.verifying, self.saving):
            row.addWidget(button)
        row.addStretch(1)
        section.body.addLayout(row)
        section.body.addWidget(self.verdict)
        self._head_row = QWidget()
        head = QHBoxLayout(self._head_row)
        head.setContentsMargins(0, 0, 0, 0)
        head.setSpacing(SMALL)
        head.addWidget(Explained("ledger-head", self.tr("Head"), quiet=True))
        self._head.setFont(monospace(self._head.font()))
        head.addWidget(self._head, 1)
        self.copying = CopyButton("", self.tr("head of the ledger"))
        head.addWidget(self.copying, 0, Qt.AlignmentFlag.AlignTop)
        self._head_row.hide()
        section.body.addWidget(self._head_row)
        return section

    # -- what is shown -------------------------------------------------------------------

    def show_view(self, view: LedgerView) -> None:
        """Show the entries that were found."""
        self.empty.setVisible(not view.begun)
        self.recorded.setVisible(view.begun)
        if view.entries != self.table.entries:
            self.table.show_entries(view.entries)
            self.entry.show_entry(None)
        words = "" if view.entries else self.tr("There is no such entry.")
        if view.more:
            words = self.tr(
                "Only the newest {n} are shown; choose a kind or a launch to see older ones."
            ).format(n=MOST_SHOWN)
        self._none.say(words)
        self._none.setVisible(bool(words))

    def _not_read(self, error: WatchwordError) -> None:
        self.banner.show_error(error)
        if error.code != "bad-launch-id":
            self.recorded.show()
            lay_out_now()

    @Slot(bool)
    def _follow_work(self, busy: bool) -> None:
        for button in (self.verifying, self.exporting, self.saving):
            button.setEnabled(not busy)
        if self.dialog is not None:
            self.dialog.set_busy(busy)

    # -- verifying -----------------------------------------------------------------------

    @Slot()
    def _verify(self) -> None:
        self.verdict.clear()
        self._head_row.hide()
        words = self.tr("Verifying the whole ledger…")
        call = partial(self._service.verify, self.known.path)
        self.work.start(
            words, call, self._show_verdict, failed=self.verdict.show_error, can_cancel=True
        )

    def _show_verdict(self, verdict: LedgerVerdict) -> None:
        title = self.tr("The ledger is whole")
        remedy = verdict_remedy(verdict)
        self.verdict.show_message(Tone.OK, title, verdict_sentence(verdict), remedy)
        if verdict.head is not None:
            self._show_head(verdict.head)

    def _show_head(self, head: LedgerHead) -> None:
        self._head.say(head.text)
        self.copying.set_text_to_copy(head.text)
        self._head_row.show()

    # -- files ---------------------------------------------------------------------------

    @Slot()
    def _ask_export(self) -> None:
        dialog = SaveDialog(
            self.tr("Export the ledger"),
            self.tr("Each entry as a line of JSON with its hash, which anybody can check."),
            self,
        )

        def done(verdict: LedgerVerdict, path: str) -> None:
            words = self.tr("{n} entries are written to {path}.")
            text = words.format(n=verdict.entries, path=path)
            self.banner.show_message(Tone.OK, self.tr("The ledger is exported"), text)

        self._open(dialog, self._service.export, done)

    @Slot()
    def _ask_head(self) -> None:
        dialog = SaveDialog(
            self.tr("Save the head"),
            self.tr(
                "Keep it where nobody who can change this computer's files reaches it: held against"
                " it later, entries that were cut off are noticed."
            ),
            self,
        )

        def done(head: LedgerHead, path: str) -> None:
            self._show_head(head)
            self.verdict.show_message(Tone.OK, self.tr("The head is saved"), path)

        self._open(dialog, self._service.export_head, done)

    def _open(
        self, dialog: SaveDialog, save: Callable[[str], T], done: Callable[[T, str], None]
    ) -> None:
        def failed(error: WatchwordError) -> None:
            if dialog is self.dialog:
                dialog.show_error(error)
            else:
                self.banner.show_error(error)

        def start() -> None:
            path = dialog.file.path

            def saved(result: T) -> None:
                done(result, path)
                if dialog is self.dialog:
                    dialog.accept()

            call = partial(save, path)
            self.work.start(self.tr("Writing the file…"), call, saved, failed=failed)

        self.dialog = dialog
        dialog.agreed.connect(start)
        dialog.finished.connect(self._forget_dialog)
        dialog.open()

    @Slot()
    def _forget_dialog(self) -> None:
        if self.sender() is self.dialog:
            self.dialog = None
