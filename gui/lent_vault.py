# SPDX-License-Identifier: Apache-2.0
"""The window's vault for somebody who holds on to it: each call takes its turn. Knows no Qt."""

from __future__ import annotations

from collections.abc import Sequence

from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryInfo, EntryKind
from watchword.core.vault.header import Header
from watchword.core.vault.vault import HeadFrom, RollbackCheck, Vault

from .pages.vault_service import VaultService


class LentVault(Vault):
    """What launches take for a vault; it is the one that VaultService holds open.

    A launch may be open for days, and the page *Vault* must work meanwhile. Raises
    VaultError ``vault-closed`` once it was closed by hand. To close this one closes nothing.
    """

    def __init__(self, service: VaultService) -> None:
        # Without the base class's: there are no keys in here.
        self._service = service
        self._puts_off = False
        self.put_off = False

    def close(self) -> None:
        """Nothing: whoever lends it closes it."""

    @property
    def header(self) -> Header:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.header

    @property
    def generation(self) -> int:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.generation

    @property
    def rollback(self) -> RollbackCheck:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.rollback

    @property
    def anchor_due(self) -> bool:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.anchor_due

    @property
    def ledger_head(self) -> str | None:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.ledger_head

    def put_notes_off(self) -> None:
        """From now on write nothing into the keyring, which may keep one waiting.

        Whether something was to be written stands in ``put_off`` afterwards.
        """
        self._puts_off = True

    def write_anchor(self, ledger_head: str | HeadFrom | None = None) -> bool:
        """See Vault; False too where it is put off."""
        if self._puts_off:
            self.put_off = True
            return False
        with self._service.opened() as vault:
            return vault.write_anchor(ledger_head)

    def list(self) -> tuple[EntryInfo, ...]:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.list()

    def holds(self, *names: str) -> bool:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.holds(*names)

    def info(self, name: str) -> EntryInfo:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.info(name)

    def get(self, name: str) -> Secret:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.get(name)

    def add(self, name: str, kind: EntryKind, value: Secret, *, replace: bool = False) -> EntryInfo:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.add(name, kind, value, replace=replace)

    def add_all(
        self, new: Sequence[tuple[str, EntryKind, Secret]], *, replace: bool = False
    ) -> tuple[EntryInfo, ...]:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.add_all(new, replace=replace)

    def exchange(self, remove: Sequence[str], new: Sequence[tuple[str, EntryKind, Secret]]) -> None:
        """See Vault."""
        with self._service.opened() as vault:
            vault.exchange(remove, new)

    def remove(self, *names: str) -> None:
        """See Vault."""
        with self._service.opened() as vault:
            vault.remove(*names)

    def rotate(self) -> Secret | None:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.rotate()

    def make_recovery_code(self) -> Secret:
        """See Vault."""
        with self._service.opened() as vault:
            return vault.make_recovery_code()
