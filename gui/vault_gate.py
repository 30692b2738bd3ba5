# SPDX-License-Identifier: Apache-2.0
"""Sees to it that the vault is open before a launch needs it, and asks for its passphrase."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QWidget

from watchword.core.errors import VaultError, WatchwordError
from watchword.core.vault.header import OpenWith

from .asking import ask
from .bridge import Bridge
from .pages.vault_dialogs import PassphraseDialog
from .pages.vault_given import Given
from .pages.vault_key_dialogs import TokenDialog
from .pages.vault_service import VaultService, VaultState, VaultView


class VaultGate(QObject):
    """Calls what waits for the vault once it is open; one thing waits at a time.

    ``refused``  with a VaultError: it can't be opened, or there is none
    ``dismissed``  nobody wants to open it now
    """

    refused = Signal(object)
    dismissed = Signal()

    def __init__(self, bridge: Bridge, service: VaultService, window: QWidget) -> None:
        super().__init__(window)
        self._bridge = bridge
        self._service = service
        self._window = window
        self._then: Callable[[], object] | None = None
        self.dialog: PassphraseDialog | TokenDialog | None = None

    def open_then(self, then: Callable[[], object]) -> None:
        """Have the vault opened, then do this; what waited before waits no longer."""
        self._then = then
        self._submit(self._service.look)

    def _submit(self, call: Callable[[], VaultView]) -> None:
        ask(self._bridge, self, call, self._looked, self._failed)

    def _looked(self, found: object) -> None:
        view = cast("VaultView", found)
        if view.state is VaultState.OPEN:
            self._close_dialog()
            then, self._then = self._then, None
            if then is not None:
                then()
        elif view.error is not None:
            self._failed(view.error)
        elif view.state is VaultState.ABSENT:
            self._failed(_no_vault())
        else:
            self._ask(view)

    def _failed(self, problem: object) -> None:
        error = cast("WatchwordError", problem)
        if self.dialog is not None:
            self.dialog.show_error(error)
        else:
            self._then = None
            self.refused.emit(error)

    def _ask(self, view: VaultView) -> None:
        if self.dialog is None:
            if view.open_with is OpenWith.PKCS11:
                self.dialog = TokenDialog(view.token or "", self._window)
            else:
                self.dialog = PassphraseDialog(self._window)
            self.dialog.agreed.connect(self._unlock)
            self.dialog.finished.connect(self._forget)
            self.dialog.rejected.connect(self.dismissed)
            self.dialog.open()

    @Slot()
    def _unlock(self) -> None:
        dialog = self.dialog
        if isinstance(dialog, TokenDialog):
            given = dialog.take()
        elif dialog is not None:
            given = Given(open_with=OpenWith.PASSPHRASE, passphrase=dialog.take())
        else:
            return
        self._submit(lambda: self._service.unlock_with(given))

    @Slot()
    def _forget(self) -> None:
        self.dialog = None

    def _close_dialog(self) -> None:
        if self.dialog is not None:
            self.dialog.accept()


def _no_vault() -> VaultError:
    return VaultError(
        "vault-missing",
        "There is no vault yet",
        "A launch keeps its keys in the vault, and takes the guest's secrets from there.",
        "Make one on the page Vault, and put the guest's secrets into it.",
    )
