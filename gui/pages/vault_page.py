# SPDX-License-Identifier: Apache-2.0
"""The page of the vault: how it stands and what to do about it, and what is in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.secret import Secret
from watchword.core.vault.header import OpenWith

from ..bridge import Bridge
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.empty_state import EmptyState
from ..widgets.explained import ExplainButton
from ..widgets.fonts import NORMAL, SMALL
from ..widgets.key_value_table import KeyValueTable
from ..widgets.page_frame import PageFrame
from ..widgets.section import Section
from ..widgets.state_badge import Look, StateBadge
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .confirm_dialog import ConfirmDialog
from .page_work import PageWork
from .vault_add_dialog import AddDialog, Source
from .vault_dialogs import PassphraseDialog, RecoveryDialog
from .vault_entries import EntryList, EntryRow
from .vault_maker import VaultMaker
from .vault_service import OWN_KINDS, VaultService, VaultState, VaultView
from .vault_words import vault_look, vault_rows, vault_sentence


class VaultPage(PageFrame):
    """Shows what the service says; every change goes through it, over the bridge."""

    def __init__(
        self, bridge: Bridge, service: VaultService, parent: QWidget | None = None
    ) -> None:
        title = self.tr("Vault")
        super().__init__(
            title, self.tr("Your secrets, and the keys of launches, encrypted in one file."), parent
        )
        self.title, self.icon = title, "vault"
        self._service = service
        self.view: VaultView | None = None
        self.dialog: PassphraseDialog | AddDialog | ConfirmDialog | RecoveryDialog | None = None
        self.banner, self._line = Banner(), BusyLine()
        self.work = PageWork(bridge, self._line, self.banner, self)
        self.badge = StateBadge(Look("clock", self.tr("Looking…"), Tone.NEUTRAL))
        self._sentence = TextLabel()
        self._facts = KeyValueTable()
        self.opening = self._button(self.tr("&Open the vault…"), self._ask_passphrase)
        self.opening.setProperty("primary", True)
        self.recovery = self._button(self.tr("Make a &recovery code…"), self._ask_recovery)
        self.closing = self._button(self.tr("&Close the vault"), self._close)
        self.adding = self._button(self.tr("&Add a secret…"), self._ask_addition)
        self.adding.setProperty("primary", True)
        self.maker = VaultMaker()
        self.maker.wanted.connect(self._make)
        self.entries = EntryList()
        self.entries.revealWanted.connect(self._reveal)
        self.entries.copyWanted.connect(self._copy)
        self.entries.removeWanted.connect(self._ask_removal)
        self.empty = EmptyState("secret", self.tr("The vault is empty"), self._what_belongs_here())
        self._lay_out()
        self.work.busyChanged.connect(self._follow_work)
        self._follow_work(busy=False)

    def widget(self) -> QWidget:
        """Itself."""
        return self

    def refresh(self) -> None:
        """Look at the vault again."""
        words = self.tr("Looking at the vault; the keyring may ask for your login password…")
        self.work.start(words, self._service.look, self.show_view, can_cancel=True)

    # -- parts -----------------------------------------------------------------------

    def _what_belongs_here(self) -> str:
        return self.tr(
            "Put the disk passphrase of a guest here, under a name such as web1/disk; the guest's"
            " profile then names it."
        )

    def _button(self, words: str, do: Callable[[], None]) -> QPushButton:
        button = QPushButton(words)
        button.setAutoDefault(True)
        button.clicked.connect(do)
        return button

    def _lay_out(self) -> None:
        self.content.addWidget(self.banner)
        self.content.addWidget(self._line)
        self.content.addWidget(self._state_section())
        self.content.addWidget(self.maker)
        self.held = Section(self.tr("Entries"))
        self.held.header.addWidget(self.adding)
        self.held.body.addWidget(self.empty)
        self.held.body.addWidget(self.entries)
        self.content.addWidget(self.held)

    def _state_section(self) -> Section:
        section = Section()
        section.setAccessibleName(self.tr("State of the vault"))
        heading = QHBoxLayout()
        heading.setSpacing(NORMAL)
        heading.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        heading.addWidget(self._sentence, 1)
        heading.addWidget(ExplainButton("vault"), 0, Qt.AlignmentFlag.AlignTop)
        section.body.addLayout(heading)
        section.body.addWidget(self._facts)
        self._actions = QWidget()
        row = QHBoxLayout(self._actions)
        row.setContentsMargins(0, SMALL, 0, 0)
        row.setSpacing(SMALL)
        for button in (self.opening, self.recovery, self.closing):
            row.addWidget(button)
        row.addStretch(1)
        section.body.addWidget(self._actions)
        return section

    # -- what is shown ---------------------------------------------------------------

    def show_view(self, view: VaultView) -> None:
        """Show the vault as it stands."""
        self.view = view
        self.badge.show_look(vault_look(view))
        self._sentence.say(vault_sentence(view))
        self._facts.set_rows(vault_rows(view))
        self._facts.setVisible(view.state is not VaultState.ABSENT)
        is_open = view.state is VaultState.OPEN
        kept = is_open and view.open_with is not OpenWith.SESSION_ONLY
        by_passphrase = view.open_with is OpenWith.PASSPHRASE
        self.opening.setVisible(view.state is VaultState.CLOSED and by_passphrase)
        self.recovery.setVisible(kept)
        self.closing.setVisible(kept and by_passphrase)
        self._actions.setVisible(kept or not self.opening.isHidden())
        self.maker.setVisible(view.state is VaultState.ABSENT)
        self.held.setVisible(is_open)
        self.entries.show_entries(view.entries)
        self.empty.setVisible(not any(entry.kind not in OWN_KINDS for entry in view.entries))
        self._show_what_is_wrong(view)

    def _show_what_is_wrong(self, view: VaultView) -> None:
        if view.error is not None:
            self.banner.show_error(view.error)
            self.banner.add_action(self.tr("&Try again"), self.refresh)
        elif view.note:
            self.banner.show_message(
                Tone.WARN,
                self.tr("The keyring did not take note of the vault's newest state"),
                view.note,
                self.tr("The vault is in order; an older copy of it may go unnoticed until then."),
            )
        elif view.exposed:
            self.banner.show_message(
                Tone.WARN,
                self.tr("Other users of this computer may enter the vault's folder"),
                view.path,
                self.tr("Run `chmod 700` on its folder."),
            )

    @Slot(bool)
    def _follow_work(self, busy: bool) -> None:
        self.maker.set_busy(busy)
        if self.dialog is not None:
            self.dialog.set_busy(busy)
        if self.view is None:
            for widget in (self.maker, self.held, self._actions, self._facts):
                widget.hide()

    # -- making, opening, closing ------------------------------------------------------

    @Slot(object)
    def _make(self, way: OpenWith) -> None:
        if self.work.busy:
            return
        call = partial(self._service.create, way, self.maker.take_passphrase())
        self.work.start(self.tr("Making the vault…"), call, self.show_view)

    @Slot()
    def _ask_passphrase(self) -> None:
        dialog = PassphraseDialog(self)
        self._open(dialog)
        dialog.agreed.connect(self._unlock)

    @Slot()
    def _unlock(self) -> None:
        dialog = self.dialog
        if isinstance(dialog, PassphraseDialog) and not self.work.busy:
            call = partial(self._service.unlock, dialog.take())
            self._do(self.tr("Opening the vault…"), call)

    @Slot()
    def _close(self) -> None:
        def closed() -> VaultView:
            self._service.close()
            return self._service.look()

        self.work.start(self.tr("Closing the vault…"), closed, self.show_view)

    # -- entries ---------------------------------------------------------------------

    @Slot()
    def _ask_addition(self) -> None:
        dialog = AddDialog(self)
        self._open(dialog)
        dialog.agreed.connect(self._add)

    @Slot()
    def _add(self) -> None:
        dialog = self.dialog
        if not isinstance(dialog, AddDialog) or self.work.busy:
            return
        name, kind = dialog.name, dialog.kind
        if dialog.source is Source.GENERATE:
            call = partial(self._service.generate, name, kind)
        elif dialog.source is Source.FILE:
            strip, path = dialog.strip.isChecked(), dialog.file.path
            call = partial(self._service.add_file, name, kind, path, strip_newline=strip)
        else:
            call = partial(self._service.add, name, kind, dialog.take())
        self._do(self.tr("Storing the secret…"), call)

    @Slot(str)
    def _reveal(self, name: str) -> None:
        self._fetch(name, EntryRow.show_secret)

    @Slot(str)
    def _copy(self, name: str) -> None:
        self._fetch(name, EntryRow.copy_secret)

    def _fetch(self, name: str, use: Callable[[EntryRow, Secret], None]) -> None:
        def fetched(secret: Secret) -> None:
            row = self.entries.row_of(name)
            if row is None:
                secret.wipe()
            else:
                use(row, secret)

        call = partial(self._service.reveal, name)
        self.work.start(self.tr("Opening the entry…"), call, fetched)

    @Slot(str)
    def _ask_removal(self, name: str) -> None:
        dialog = ConfirmDialog(
            self.tr("Remove {name}?").format(name=name),
            self.tr(
                "The secret is erased from the vault, and can't be brought back from it. If"
                " nobody else has it, whatever it unlocks is lost.\n\nBackups and snapshots of the"
                " vault file that were made before still hold it; they open with the key,"
                " passphrase or recovery code of their time."
            ),
            self.tr("&Remove"),
            self,
        )
        self._open(dialog)
        call = partial(self._service.remove, name)
        dialog.agreed.connect(lambda: self._do(self.tr("Erasing the entry…"), call))

    # -- recovery --------------------------------------------------------------------

    @Slot()
    def _ask_recovery(self) -> None:
        if self.view is None or self.view.recovery_made is None:
            self._make_code()
            return
        dialog = ConfirmDialog(
            self.tr("Make another recovery code?"),
            self.tr(
                "The code of {day} opens the vault no longer, once there is a new one; it still"
                " opens copies of the vault file that were made until now."
            ).format(day=self.view.recovery_made),
            self.tr("&Make a new one"),
            self,
        )
        self._open(dialog)
        dialog.agreed.connect(self._make_code)

    @Slot()
    def _make_code(self) -> None:
        words = self.tr("Making a recovery code…")
        self.work.start(words, self._service.make_recovery_code, self._show_code)

    def _show_code(self, made: tuple[Secret, VaultView]) -> None:
        code, view = made
        if self.dialog is not None:
            self.dialog.accept()
        self.show_view(view)
        self._open(RecoveryDialog(code, self))

    # -- dialogs ---------------------------------------------------------------------

    def _open(self, dialog: PassphraseDialog | AddDialog | ConfirmDialog | RecoveryDialog) -> None:
        self.dialog = dialog
        dialog.finished.connect(self._forget_dialog)
        dialog.open()

    @Slot()
    def _forget_dialog(self) -> None:
        if self.sender() is self.dialog:
            self.dialog = None

    def _do(self, words: str, call: Callable[[], VaultView]) -> None:
        """Do what the open dialog asks for; it closes when that is done."""
        dialog = self.dialog

        def done(view: VaultView) -> None:
            if dialog is not None and dialog is self.dialog:
                dialog.accept()
            self.show_view(view)

        def failed(error: WatchwordError) -> None:
            if dialog is not None and dialog is self.dialog:
                dialog.show_error(error)
            else:
                self.banner.show_error(error)

        self.work.start(words, call, done, failed=failed)
