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
from .pages.vault_service import VaultService, VaultState, VaultView


class VaultGate(QObject):
    """Calls what waits for the vault once it is open; one thing waits at a time.

    ``refused``  with a VaultError: it can't be opened, or there is none
    """

    refused = Signal(object)

    def __init__(self, bridge: Bridge, service: VaultService, window: QWidget) -> None:
        super().__init__(window)
        self._bridge = bridge
        self._service = service
        self._window = window
        self._then: Callable[[], object] | None = None
        self.dialog: PassphraseDialog | None = None

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
        elif view.state is VaultState.CLOSED and view.open_with is OpenWith.PASSPHRASE:
            self._ask()
        else:
            self._failed(_no_vault() if view.state is VaultState.ABSENT else _elsewhere())

    def _failed(self, problem: object) -> None:
        error = cast("WatchwordError", problem)
        if self.dialog is not None:
            self.dialog.show_error(error)
        else:
            self._then = None
            self.refused.emit(error)

    def _ask(self) -> None:
        if self.dialog is None:
            self.dialog = PassphraseDialog(self._window)
            self.dialog.agreed.connect(self._unlock)
            self.dialog.finished.connect(self._forget)
            self.dialog.open()

    @Slot()
    def _unlock(self) -> None:
        if self.dialog is not None:
            passphrase = self.dialog.take()
            self._submit(lambda: self._service.unlock(passphrase))

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


def _elsewhere() -> VaultError:
    return VaultError(
        "vault-opens-otherwise",
        "The vault is not opened in this way here",
        "It opens by something that this window does not ask for.",
        "Open it on the page Vault, or use the command line.",
    )
