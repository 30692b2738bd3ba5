# SPDX-License-Identifier: Apache-2.0
"""The page of the vault: how it stands and what to do about it, and what is in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from watchword.core.secret import Secret

from ..bridge import Bridge
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.empty_state import EmptyState
from ..widgets.explained import ExplainButton
from ..widgets.fonts import NORMAL
from ..widgets.key_value_table import KeyValueTable
from ..widgets.page_frame import PageFrame
from ..widgets.section import Section
from ..widgets.state_badge import Look, StateBadge
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .confirm_dialog import ConfirmDialog
from .page_dialog import PageDialog
from .page_dialogs import PageDialogs
from .page_work import PageWork
from .vault_add_dialog import AddDialog, Source
from .vault_entries import EntryList, EntryRow
from .vault_keys import VaultKeys
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
        self.banner, self._line = Banner(), BusyLine()
        self.work = PageWork(bridge, self._line, self.banner, self)
        self._dialogs = PageDialogs(self.work, self.banner, self)
        self.badge = StateBadge(Look("clock", self.tr("Looking…"), Tone.NEUTRAL))
        self._sentence = TextLabel()
        self._facts = KeyValueTable()
        self.keys = VaultKeys(service, self.work, self._dialogs, self)
        self.keys.changed.connect(self.show_view)
        self.opening, self.closing = self.keys.opening, self.keys.closing
        self.recovery = self.keys.recovery
        self.adding = self._button(self.tr("&Add a secret…"), self._ask_addition)
        self.adding.setProperty("primary", True)
        self.maker = VaultMaker()
        self.maker.wanted.connect(self._make)
        self.maker.restoreWanted.connect(self.keys.ask_restore)
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

    @property
    def dialog(self) -> PageDialog | None:
        """The dialog that is open over the page."""
        return self._dialogs.dialog

    @Slot()
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
        section.body.addWidget(self.keys)
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
        self.keys.show_view(view)
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
        if self.view is None:
            for widget in (self.maker, self.held, self.keys, self._facts):
                widget.hide()

    # -- making -----------------------------------------------------------------------

    @Slot()
    def _make(self) -> None:
        if self.work.busy:
            return
        call = partial(self._service.create_with, self.maker.take())
        self.work.start(self.tr("Making the vault…"), call, self.show_view)

    # -- entries ---------------------------------------------------------------------

    @Slot()
    def _ask_addition(self) -> None:
        dialog = AddDialog(self)
        dialog.agreed.connect(self._add)
        self._dialogs.open(dialog)

    @Slot()
    def _add(self) -> None:
        dialog = self.dialog
        if not isinstance(dialog, AddDialog) or self.work.busy:
            return
        name, kind, replace = dialog.name, dialog.kind, dialog.replace.isChecked()
        if dialog.source is Source.GENERATE:
            call = partial(self._service.generate, name, kind, replace=replace)
        elif dialog.source is Source.FILE:
            strip, path = dialog.strip.isChecked(), dialog.file.path
            add = partial(self._service.add_file, name, kind, path, replace=replace)
            call = partial(add, strip_newline=strip)
        else:
            call = partial(self._service.add, name, kind, dialog.take(), replace=replace)
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
        call = partial(self._service.remove, name)
        dialog.agreed.connect(lambda: self._do(self.tr("Erasing the entry…"), call))
        self._dialogs.open(dialog)

    def _do(self, words: str, call: Callable[[], VaultView]) -> None:
        self._dialogs.do(words, call, self.show_view)
