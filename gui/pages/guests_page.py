# SPDX-License-Identifier: Apache-2.0
"""The page of the guests: the list, one of them, or the form for one, in the same place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QWidget

from watchword.core.errors import WatchwordError
from watchword.core.handover.firmware_descriptors import JudgedDescriptor

from ..bridge import Bridge
from ..host_look import HostDraft
from ..launch_service import LaunchService
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.page_frame import PageFrame
from ..widgets.tones import Tone
from ..wizard.connection_tester import ConnectionTester
from ..wizard.wanted import Wanted
from .confirm_dialog import ConfirmDialog
from .guests_dialogs import ApproveDialog, DuplicateDialog, ExportDialog, ImportDialog
from .guests_document import Document
from .guests_fields import Field
from .guests_firmware import FirmwareDialog
from .guests_form import GuestForm
from .guests_list import GuestList
from .guests_service import Guest, GuestService
from .guests_view import GuestView
from .page_dialog import PageDialog
from .page_work import PageWork, lay_out_now


class GuestsPage(PageFrame):
    """Shows what the service says; every change goes through it, over the bridge.

    ``rehearseWanted``  with the name of a guest
    ``buildWanted``     an encrypted image is to be built
    ``launches``        gives what asks hosts, once somebody wants it
    """

    rehearseWanted = Signal(str)
    buildWanted = Signal()

    def __init__(
        self,
        bridge: Bridge,
        service: GuestService,
        launches: Callable[[], LaunchService],
        parent: QWidget | None = None,
    ) -> None:
        title = self.tr("Guests")
        super().__init__(title, "", parent)
        self.title, self.icon = title, "guests"
        self._service = service
        self.dialog: PageDialog | None = None
        self.banner, self._line = Banner(), BusyLine()
        self.work = PageWork(bridge, self._line, self.banner, self)
        self.list, self.view, self.form = GuestList(), GuestView(), GuestForm()
        host = self.form.host
        self.tester = ConnectionTester(
            bridge,
            launches,
            host.url,
            host.connection,
            wanted=lambda: Wanted(guest="", host=host.url.url),
            owner=self,
        )
        self._shown: QWidget = self.list
        self._editing: Guest | None = None
        self._pending: HostDraft | None = None
        for widget in (self.banner, self._line, self.list, self.view, self.form):
            self.content.addWidget(widget)
        self._connect()
        self._show_part(self.list, title, self._purpose())
        self.list.hide()  # until it is known whether there are any

    def _connect(self) -> None:
        self.work.busyChanged.connect(self._follow_work)
        self.list.chosen.connect(self.show_guest)
        self.list.newWanted.connect(self._new)
        self.list.importWanted.connect(self._ask_import)
        self.list.buildWanted.connect(self.buildWanted)
        self.view.backWanted.connect(self.show_list)
        self.view.editWanted.connect(self._edit)
        self.view.duplicateWanted.connect(self._ask_duplicate)
        self.view.exportWanted.connect(self._ask_export)
        self.view.removeWanted.connect(self._ask_removal)
        self.view.approveWanted.connect(self._ask_approval)
        self.view.rehearseWanted.connect(self._ask_rehearsal)
        self.form.saveWanted.connect(self._save)
        self.form.cancelWanted.connect(self._leave_form)
        self.form.installedWanted.connect(self._find_firmware)
        self.form.unsound.connect(self._show_field)
        self.tester.drafted.connect(self._show_draft)

    def widget(self) -> QWidget:
        """Itself."""
        return self

    def refresh(self) -> None:
        """Look at the profiles and their files again; a form that is filled in stays."""
        if self._shown is self.list:
            self.show_list()
        elif self._shown is self.view and self.view.guest is not None:
            self._check(self.view.guest.name)

    def _purpose(self) -> str:
        return self.tr("What you agreed should run, and where.")

    # -- the list ----------------------------------------------------------------------

    @Slot()
    def show_list(self) -> None:
        """Show all guests, each held against its files as they are now."""
        words = self.tr("Holding the guests against their files…")
        self.work.start(words, self._service.all, self._show_all, can_cancel=True)

    def _show_all(self, guests: tuple[Guest, ...]) -> None:
        self.list.show_guests(guests)
        self._show_part(self.list, self.title, self._purpose())

    def _show_part(self, part: QWidget, title: str, subtitle: str = "") -> None:
        if part is not self._shown:
            self.scroll_to_top()
            self.tester.forget()
        self._shown = part
        for one in (self.list, self.view, self.form):
            one.setVisible(one is part)
        self.set_title(title, subtitle)
        lay_out_now()

    # -- one guest ---------------------------------------------------------------------

    @Slot(object)
    def show_guest(self, guest: Guest) -> None:
        """Show one guest."""
        self.view.show_guest(guest)
        description = guest.profile.description if guest.profile is not None else ""
        came = self._shown is not self.view
        self._show_part(self.view, guest.name, description)
        if came:
            self.view.back.setFocus(Qt.FocusReason.OtherFocusReason)

    def _check(self, name: str) -> None:
        words = self.tr("Holding {name} against its files…").format(name=name)
        call = partial(self._service.one, name)
        self.work.start(words, call, self.show_guest, can_cancel=True)

    @Slot()
    def _ask_approval(self) -> None:
        guest = self.view.guest
        if guest is None or guest.stored is None:
            return
        stored, dialog = guest.stored, ApproveDialog(guest.name, guest.pending, self)

        def approve() -> None:
            keep = dialog.keep_old.isChecked()
            call = partial(self._service.approve, stored, dialog.shown, keep_old=keep)
            self._do(self.tr("Approving…"), call, self.show_guest)

        self._open(dialog, approve)

    @Slot()
    def _ask_duplicate(self) -> None:
        guest = self.view.guest
        if guest is None:
            return
        dialog = DuplicateDialog(guest.name, self)

        def duplicate() -> None:
            call = partial(self._service.duplicate, guest.name, dialog.name)
            self._do(self.tr("Copying…"), call, self.show_guest)

        self._open(dialog, duplicate)

    @Slot()
    def _ask_removal(self) -> None:
        guest = self.view.guest
        if guest is None:
            return
        dialog = ConfirmDialog(
            self.tr("Remove {name}?").format(name=guest.name),
            self.tr(
                "The profile is removed, with all that was approved in it. Its files, its secrets"
                " in the vault and what the ledger says of its launches stay."
            ),
            self.tr("&Remove"),
            self,
        )
        call = partial(self._service.remove, guest.name)
        words = self.tr("Removing the guest…")
        self._open(dialog, lambda: self._do(words, call, self._show_all))

    @Slot()
    def _ask_rehearsal(self) -> None:
        if self.view.guest is not None:
            self.rehearseWanted.emit(self.view.guest.name)

    # -- from one owner to another --------------------------------------------------------

    @Slot()
    def _ask_export(self) -> None:
        guest = self.view.guest
        if guest is None:
            return
        dialog = ExportDialog(guest.name, self)

        def export() -> None:
            path, with_host = dialog.file.path, dialog.with_host.isChecked()
            call = partial(self._service.export, guest.name, path, with_host=with_host)
            self._do(self.tr("Writing the file…"), call, self._say_exported)

        self._open(dialog, export)

    def _say_exported(self, path: Path) -> None:
        self.banner.show_message(Tone.OK, self.tr("The guest is exported"), str(path))

    @Slot()
    def _ask_import(self) -> None:
        dialog = ImportDialog(self)

        def take_in() -> None:
            path, with_host = dialog.file.path, dialog.with_host.isChecked()
            call = partial(self._service.take_in, path, dialog.name, with_host=with_host)
            self._do(self.tr("Reading the file…"), call, self.show_guest)

        self._open(dialog, take_in)

    # -- the form ------------------------------------------------------------------------

    @Slot()
    def _new(self) -> None:
        self._show_form(None)

    @Slot()
    def _edit(self) -> None:
        self._show_form(self.view.guest)

    def new_from(self, draft: HostDraft) -> None:
        """The form for a new guest, with what a host says of a VM of its own."""
        if self.work.busy:  # whatever that shows at its end, the form comes after it
            self._pending = draft
            return
        self._pending = None
        if self._shown is not self.form or self._editing is not None:
            self._new()  # else a new guest is being filled in, and keeps what was typed
        self._show_draft(draft)

    @Slot()
    def _show_pending(self) -> None:
        if self._pending is not None:
            self.new_from(self._pending)

    @Slot(object)
    def _show_draft(self, draft: HostDraft) -> None:
        self.form.show_draft(draft)
        lay_out_now()
        self.show_widget(self.form.host.banner)

    def _show_form(self, guest: Guest | None) -> None:
        self._editing = guest
        self.tester.forget()
        self.banner.clear()
        self.form.show_profile(None if guest is None else guest.profile)
        title = self.tr("New guest")
        if guest is not None:
            title = self.tr("Edit {name}").format(name=guest.name)
        self._show_part(self.form, title)
        self.form.fields["name" if guest is None else "description"].widget.setFocus(
            Qt.FocusReason.OtherFocusReason
        )
        words = self.tr("Looking for names in the vault…")
        self.work.start(words, self._service.vault_names, self.form.secrets.set_known)

    @Slot(object)
    def _save(self, document: Document) -> None:
        before = None if self._editing is None else self._editing.stored
        if before is None:
            call = partial(self._service.add, document)
        else:
            call = partial(self._service.change, before, document)
        words = self.tr("Looking at the files, and keeping the profile…")
        self.work.start(words, call, self.show_guest, failed=self._not_saved)

    def _not_saved(self, error: WatchwordError) -> None:
        self.form.banner.show_error(error)
        self.show_widget(self.form.banner)

    @Slot()
    def _leave_form(self) -> None:
        if self._editing is not None:
            self._check(self._editing.name)
        else:
            self.show_list()

    @Slot(object)
    def _show_field(self, field: Field) -> None:
        self.show_widget(field)
        field.widget.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot()
    def _find_firmware(self) -> None:
        words = self.tr("Looking into the installed firmware…")
        call = self._service.installed_firmware
        self.work.start(words, call, self._propose_firmware, can_cancel=True)

    def _propose_firmware(self, judged: tuple[JudgedDescriptor, ...]) -> None:
        dialog = FirmwareDialog(judged, self)
        dialog.chosen.connect(lambda path: self.form.files["firmware"].add_paths([path]))
        self._open(dialog, lambda: None)

    # -- dialogs -------------------------------------------------------------------------

    def _open(self, dialog: PageDialog, do: Callable[[], None]) -> None:
        self.dialog = dialog
        dialog.agreed.connect(do)
        dialog.finished.connect(self._forget_dialog)
        dialog.open()

    @Slot()
    def _forget_dialog(self) -> None:
        if self.sender() is self.dialog:
            self.dialog = None

    @Slot(bool)
    def _follow_work(self, busy: bool) -> None:
        self.form.saving.setEnabled(not busy)
        if not busy and self._pending is not None:
            QTimer.singleShot(0, self, self._show_pending)
        if self.dialog is not None:
            self.dialog.set_busy(busy)

    def _do(
        self,
        words: str,
        call: Callable[[], object],
        then: Callable[..., None],
    ) -> None:
        """Do what the open dialog asks for; it closes when that is done."""
        dialog = self.dialog

        def done(result: object) -> None:
            if dialog is not None and dialog is self.dialog:
                dialog.accept()
            then(result)

        def failed(error: WatchwordError) -> None:
            if dialog is not None and dialog is self.dialog:
                dialog.show_error(error)
            else:
                self.banner.show_error(error)

        self.work.start(words, call, done, failed=failed)
