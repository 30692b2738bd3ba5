# SPDX-License-Identifier: Apache-2.0
"""What can be done about the vault's key: open, close, a new one, its recovery code, a restore."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from watchword.core.secret import Secret
from watchword.core.vault.header import OpenWith

from ..widgets.fonts import SMALL
from .confirm_dialog import ConfirmDialog
from .page_dialogs import PageDialogs
from .page_work import PageWork
from .vault_dialogs import PassphraseDialog, RecoveryDialog
from .vault_given import Given
from .vault_key_dialogs import RestoreDialog, RotateDialog, TokenDialog
from .vault_service import VaultService, VaultState, VaultView

_BY_HAND = (OpenWith.PASSPHRASE, OpenWith.PKCS11)


class VaultKeys(QWidget):
    """A row of buttons; ``changed`` comes with the vault as it stands afterwards."""

    changed = Signal(object)

    def __init__(
        self, service: VaultService, work: PageWork, dialogs: PageDialogs, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._service = service
        self._work = work
        self._dialogs = dialogs
        self._view: VaultView | None = None
        self.opening = QPushButton(self.tr("&Open the vault…"))
        self.opening.setProperty("primary", True)
        self.by_code = QPushButton(self.tr("Use the &recovery code…"))
        self.recovery = QPushButton(self.tr("Make a &recovery code…"))
        self.rotating = QPushButton(self.tr("Change its &key…"))
        self.closing = QPushButton(self.tr("&Close the vault"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, SMALL, 0, 0)
        row.setSpacing(SMALL)
        for button, do in (
            (self.opening, self._ask_to_open),
            (self.by_code, self._ask_code),
            (self.recovery, self._ask_recovery),
            (self.rotating, self._ask_rotation),
            (self.closing, self._close),
        ):
            button.setAutoDefault(True)
            button.clicked.connect(do)
            row.addWidget(button)
        row.addStretch(1)

    def show_view(self, view: VaultView) -> None:
        """Offer what can be done about the vault as it stands."""
        self._view = view
        is_open = view.state is VaultState.OPEN
        kept = is_open and view.open_with is not OpenWith.SESSION_ONLY
        shut = view.state in (VaultState.CLOSED, VaultState.UNUSABLE)
        self.opening.setVisible(view.state is VaultState.CLOSED and view.open_with in _BY_HAND)
        self.by_code.setVisible(shut and view.recovery_made is not None)
        self.recovery.setVisible(kept)
        self.rotating.setVisible(kept)
        self.closing.setVisible(kept and view.open_with in _BY_HAND)
        row = (self.opening, self.by_code, self.recovery, self.rotating, self.closing)
        self.setVisible(not all(button.isHidden() for button in row))

    def _show(self, view: VaultView) -> None:
        self.changed.emit(view)

    # -- opening, closing ----------------------------------------------------------------

    @Slot()
    def _ask_to_open(self) -> None:
        if self._view is not None and self._view.open_with is OpenWith.PKCS11:
            dialog = TokenDialog(self._view.token or "", self)
            dialog.agreed.connect(lambda: self._unlock(dialog.take()))
            self._dialogs.open(dialog)
            return
        asking = PassphraseDialog(self)
        asking.agreed.connect(
            lambda: self._unlock(Given(open_with=OpenWith.PASSPHRASE, passphrase=asking.take()))
        )
        self._dialogs.open(asking)

    def _unlock(self, given: Given) -> None:
        call = partial(self._service.unlock_with, given)
        self._dialogs.do(self.tr("Opening the vault…"), call, self._show)

    @Slot()
    def _close(self) -> None:
        def closed() -> VaultView:
            self._service.close()
            return self._service.look()

        self._work.start(self.tr("Closing the vault…"), closed, self._show)

    # -- a copy, or the code ---------------------------------------------------------------

    @Slot()
    def ask_restore(self) -> None:
        """Put a copy in place where there is no vault."""
        self._open_restoring(RestoreDialog(self))

    @Slot()
    def _ask_code(self) -> None:
        if self._view is not None:
            self._open_restoring(RestoreDialog(self, path=self._view.path))

    def _open_restoring(self, dialog: RestoreDialog) -> None:
        def restore() -> None:
            given, code = dialog.take()
            older = dialog.accept_older.isChecked()
            source = dialog.file.path
            call = partial(self._service.restore, source, given, code, accept_older=older)
            self._dialogs.do(self.tr("Restoring the vault…"), call, self._show)

        dialog.agreed.connect(restore)
        self._dialogs.open(dialog)

    # -- a new key -------------------------------------------------------------------------

    @Slot()
    def _ask_rotation(self) -> None:
        view = self._view
        if view is None or view.open_with is None:
            return
        dialog = RotateDialog(view.open_with, self, has_code=view.recovery_made is not None)

        def rotate() -> None:
            call = partial(self._service.rotate, dialog.take())
            self._dialogs.do(self.tr("Sealing everything anew…"), call, self._show_code)

        dialog.agreed.connect(rotate)
        self._dialogs.open(dialog)

    # -- recovery --------------------------------------------------------------------------

    @Slot()
    def _ask_recovery(self) -> None:
        if self._view is None or self._view.recovery_made is None:
            self._make_code()
            return
        dialog = ConfirmDialog(
            self.tr("Make another recovery code?"),
            self.tr(
                "The code of {day} opens the vault no longer, once there is a new one; it still"
                " opens copies of the vault file that were made until now."
            ).format(day=self._view.recovery_made),
            self.tr("&Make a new one"),
            self,
        )
        dialog.agreed.connect(self._make_code)
        self._dialogs.open(dialog)

    @Slot()
    def _make_code(self) -> None:
        words = self.tr("Making a recovery code…")
        self._dialogs.do(words, self._service.make_recovery_code, self._show_code)

    def _show_code(self, made: tuple[Secret | None, VaultView]) -> None:
        code, view = made
        self._show(view)
        if code is not None:
            self._dialogs.open(RecoveryDialog(code, self))
