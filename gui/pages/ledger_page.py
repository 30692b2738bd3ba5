# SPDX-License-Identifier: Apache-2.0
"""The page of the ledger: what happened, whether it is whole, whom a weakness concerns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from PySide6.QtCore import QSignalBlocker, QTimer, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.verification import LedgerVerdict

from ..bridge import Bridge
from ..vault_gate import VaultGate
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.empty_state import EmptyState
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL, SMALL
from ..widgets.page_frame import PageFrame
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .evidence_section import EvidenceSection
from .evidence_service import EvidenceService
from .ledger_affected import AffectedSearch
from .ledger_check import CheckSection
from .ledger_save import AcceptDialog, SaveDialog
from .ledger_service import MOST_SHOWN, Accepted, LedgerService, LedgerView, Sought
from .ledger_table import EntryView, LedgerTable
from .ledger_words import kind_look
from .page_dialog import PageDialog
from .page_dialogs import PageDialogs
from .page_work import PageWork, lay_out_now

T = TypeVar("T")

_TYPING: Final = 300
"""Milliseconds after the last key before entries are looked for."""


class LedgerPage(PageFrame):
    """Shows what the service says; all that is ever written is that an older copy counts."""

    def __init__(
        self, bridge: Bridge, service: LedgerService, parent: QWidget | None = None
    ) -> None:
        title = self.tr("Ledger")
        super().__init__(
            title, self.tr("The record of every launch, which nobody can alter unseen."), parent
        )
        self.title, self.icon = title, "ledger"
        self._service = service
        self._wanted: int | None = None
        self.banner, self._line = Banner(), BusyLine()
        self.work = PageWork(bridge, self._line, self.banner, self)
        self._dialogs = PageDialogs(self.work, self.banner, self)
        self.empty = EmptyState(
            "ledger",
            self.tr("Nothing was recorded yet"),
            self.tr("The ledger begins with your first launch."),
            self.tr("There should be &one…"),
        )
        self.empty.chosen.connect(self._look_for_lost)
        self.launch, self.kinds = QLineEdit(), QComboBox()
        self.table, self.entry = LedgerTable(), EntryView()
        self._none = TextLabel(quiet=True)
        self.check = CheckSection(with_keyring=service.vaults is not None)
        self.known, self.verdict = self.check.known, self.check.verdict
        self.verifying, self.saving = self.check.verifying, self.check.saving
        self.exporting = self._button(self.tr("E&xport…"), self._ask_export)
        self.affected = AffectedSearch()
        documents = EvidenceService(service.vaults, service.folder)
        self.evidence = EvidenceSection(bridge, documents, self.work, self._dialogs, self)
        self.gate = None if service.vaults is None else VaultGate(bridge, service.vaults, self)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING)
        self._typing.timeout.connect(self.refresh)
        self._lay_out()
        self._connect()

    def widget(self) -> QWidget:
        """Itself."""
        return self

    @property
    def dialog(self) -> PageDialog | None:
        """The dialog that is open over the page."""
        return self._dialogs.dialog

    @Slot()
    def refresh(self) -> None:
        """Look at the ledger again, as the filter has it."""
        self._typing.stop()
        if self.work.busy:
            self._typing.start()
            return
        data = self.kinds.currentData()
        kind = EntryKind(data) if data else None
        launch = self.launch.text().strip()
        call = partial(self._service.look, launch, kind, self._wanted)
        words = self.tr("Reading the ledger…")
        self.work.start(words, call, self.show_view, failed=self._not_read, can_cancel=True)

    def show_entry(self, sequence: int) -> None:
        """Show the entry of this number, whatever was looked for before."""
        for field in (self.launch, self.kinds):
            with QSignalBlocker(field):
                if isinstance(field, QLineEdit):
                    field.clear()
                else:
                    field.setCurrentIndex(0)
        self._wanted = sequence
        self.refresh()

    @Slot()
    def _typed(self) -> None:
        self._wanted = None
        self._typing.start()

    @Slot()
    def _kind_chosen(self) -> None:
        self._wanted = None
        self.refresh()

    @Slot()
    def _look_for_lost(self) -> None:
        """Nothing is here: a head from earlier, or the keyring, knows whether that is right."""
        self.empty.hide()
        self.recorded.show()
        self.list.hide()
        self._affected_card.hide()
        self.known.edit.setFocus()

    # -- parts -------------------------------------------------------------------------

    def _button(self, words: str, do: Callable[[], None]) -> QPushButton:
        button = QPushButton(words)
        button.setAutoDefault(True)
        button.clicked.connect(do)
        return button

    def _lay_out(self) -> None:
        for widget in (self.banner, self._line, self.empty):
            self.content.addWidget(widget)
        self.list = QWidget()
        entries = QVBoxLayout(self.list)
        entries.setContentsMargins(0, 0, 0, 0)
        entries.setSpacing(NORMAL)
        entries.addLayout(self._filter())
        for shown in (self.table, self._none, self.entry):
            entries.addWidget(shown)
        self.recorded = QWidget()
        column = QVBoxLayout(self.recorded)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        self._affected_card = self._card(self.affected)
        for part in (self.list, self.check, self._affected_card):
            column.addWidget(part)
        self.content.addWidget(self.recorded)
        self.content.addWidget(self._card(self.evidence))
        self.empty.hide()
        self.recorded.hide()

    def _connect(self) -> None:
        self.table.chosen.connect(self.entry.show_entry)
        self.check.verifyWanted.connect(self._verify)
        self.check.saveWanted.connect(self._ask_head)
        self.check.acceptWanted.connect(self._ask_reason)
        self.affected.searchWanted.connect(self._search)
        self.affected.entryWanted.connect(self.show_entry)
        self.work.busyChanged.connect(self._follow_work)
        if self.gate is not None:
            self.gate.refused.connect(self.check.show_refusal)

    def _card(self, part: Foldable) -> Section:
        card = Section()
        card.setAccessibleName(part.button.accessibleName())
        card.body.addWidget(part)
        return card

    def _filter(self) -> QHBoxLayout:
        self.launch.setPlaceholderText(self.tr("Launch"))
        self.launch.setAccessibleName(self.tr("Only entries of this launch"))
        self.launch.setClearButtonEnabled(True)
        self.launch.textChanged.connect(self._typed)
        self.kinds.setAccessibleName(self.tr("Only entries of this kind"))
        self.kinds.addItem(self.tr("Everything"), "")
        for kind in EntryKind:
            self.kinds.addItem(kind_look(kind).word, kind.value)
        self.kinds.currentIndexChanged.connect(self._kind_chosen)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.launch, 1)
        row.addWidget(self.kinds, 1)
        row.addWidget(self.exporting)
        return row

    # -- what is shown -------------------------------------------------------------------

    def show_view(self, view: LedgerView) -> None:
        """Show the entries that were found."""
        self.empty.setVisible(not view.begun)
        for widget in (self.recorded, self.list, self._affected_card):
            widget.setVisible(view.begun)
        if view.entries != self.table.entries:
            self.table.show_entries(view.entries)
            self.entry.show_entry(None)
        words = "" if view.entries else self.tr("There is no such entry.")
        if view.more:
            words = self.tr(
                "Only the newest {n} are shown; choose a kind or a launch to see older ones."
            ).format(n=MOST_SHOWN)
        if view.newer:
            words = self.tr("Newer entries are not shown; choose a filter to see all again.")
        self._none.say(words)
        self._none.setVisible(bool(words))
        self._select_wanted()

    def _select_wanted(self) -> None:
        wanted = self._wanted
        if wanted is not None and self.table.select_entry(wanted):
            lay_out_now()
            self.show_widget(self.entry)
            self.table.setFocus()

    def _not_read(self, error: WatchwordError) -> None:
        self._wanted = None
        self.banner.show_error(error)
        if error.code != "bad-launch-id":
            self.recorded.show()
            lay_out_now()

    @Slot(bool)
    def _follow_work(self, busy: bool) -> None:
        for button in (self.verifying, self.exporting, self.saving, self.affected.searching):
            button.setEnabled(not busy)

    # -- verifying, searching ------------------------------------------------------------

    @Slot()
    def _verify(self) -> None:
        self.check.clear()
        if self.gate is not None and self.check.anchor.isChecked():
            self.gate.open_then(partial(self._start_verifying, anchor=True))
        else:
            self._start_verifying(anchor=False)

    def _start_verifying(self, *, anchor: bool) -> None:
        self.work.start(
            self.tr("Verifying the whole ledger…"),
            partial(self._service.verify, self.known.path, anchor=anchor),
            self.check.show_check,
            failed=self.check.show_refusal,
            can_cancel=True,
        )

    @Slot(object)
    def _search(self, sought: Sought) -> None:
        self.affected.clear()
        self.work.start(
            self.tr("Searching the whole ledger…"),
            partial(self._service.affected, sought),
            self.affected.show_affected,
            failed=self.affected.answer.show_error,
            can_cancel=True,
        )

    # -- older records ---------------------------------------------------------------------

    @Slot()
    def _ask_reason(self) -> None:
        dialog = AcceptDialog(self)

        def accept() -> None:
            call = partial(self._service.accept_older, dialog.reason.text().strip())
            words = self.tr("Recording that these records count…")
            self._dialogs.do(words, call, self._show_accepted)

        dialog.agreed.connect(accept)
        self._dialogs.open(dialog)

    def _show_accepted(self, accepted: Accepted) -> None:
        title = self.tr("The older records count now, as entry {n} tells")
        message = self.tr("The keyring has noted it.")
        remedy = ""
        if accepted.open_launches:
            remedy = self.tr(
                "These launches are open in them. Abandon each that may have been completed"
                " since: {launches}"
            ).format(launches=", ".join(accepted.open_launches))
        words = title.format(n=accepted.entry.sequence)
        self.verdict.show_message(Tone.WARN, words, message, remedy)
        self.show_entry(accepted.entry.sequence)

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

        self._save(dialog, self._service.export, done)

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

        self._save(dialog, self._service.export_head, self.check.show_saved)

    def _save(
        self, dialog: SaveDialog, save: Callable[[str], T], done: Callable[[T, str], None]
    ) -> None:
        def start() -> None:
            path = dialog.file.path
            words = self.tr("Writing the file…")
            self._dialogs.do(words, partial(save, path), lambda result: done(result, path))

        dialog.agreed.connect(start)
        self._dialogs.open(dialog)
