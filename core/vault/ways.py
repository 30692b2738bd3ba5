# SPDX-License-Identifier: Apache-2.0
"""What a way to open a vault does, and the two ways that need nothing but this process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from ..errors import VaultError
from ..secret import Secret
from .header import Header, OpenWith, SessionSlot, Slot
from .keyring_access import Anchor


class Way(ABC):
    """Keeps a vault's wrap key and brings it back.

    A new key is kept in three steps, so that a crash between them loses nothing:
    :meth:`keep` makes it safe, the vault file is written, :meth:`settle` makes it the
    only one. Where the file could not be written, :meth:`drop` takes the first step back.
    """

    anchors: ClassVar[bool] = False
    """Whether there is a place outside the vault's folder where its newest state is noted."""

    def prepare(self) -> None:  # noqa: B027 - most ways have nothing to do
        """Ask whom must be asked, before the vault is locked for others. Raises VaultError."""

    @abstractmethod
    def keep(self, vault_id: bytes, wrap_key: Secret) -> Slot:
        """Keep a new wrap key; the slot goes into the header. Raises VaultError."""

    @abstractmethod
    def fetch(self, header: Header) -> Secret:
        """The wrap key of a vault of this way. Raises VaultError."""

    def settle(self, vault_id: bytes, wrap_key: Secret, slot: Slot) -> None:
        """The vault file is sealed under this key now; raises VaultError."""
        del vault_id, wrap_key, slot

    def drop(self, vault_id: bytes, slot: Slot) -> None:
        """The vault file could not be written: forget what :meth:`keep` kept."""
        del vault_id, slot

    def close(self) -> None:  # noqa: B027 - most ways remember nothing
        """Forget what was asked for."""

    def read_anchor(self, header: Header) -> Anchor | None:
        """The newest state that is remembered outside the vault's folder, or None."""
        del header
        return None

    def write_anchor(self, header: Header, anchor: Anchor) -> None:
        """Remember the newest state, where ``anchors`` is true."""
        del header, anchor


class SessionWay(Way):
    """The wrap key is in the memory of the process and nowhere else."""

    def keep(self, vault_id: bytes, wrap_key: Secret) -> Slot:
        """The slot; nothing is kept."""
        del vault_id, wrap_key
        return SessionSlot()

    def fetch(self, header: Header) -> Secret:
        """Raises VaultError ``session-only-vault``."""
        del header
        raise session_only()


def other_way(way: OpenWith) -> VaultError:
    """VaultError ``vault-opens-otherwise``: the vault opens in a way that is not offered here."""
    return VaultError(
        "vault-opens-otherwise",
        "The vault is not opened like this",
        f"When it was made, “{way.value}” was chosen; another way is never taken by itself.",
        f"Give what “{way.value}” needs; `watchword vault status` shows how a vault is opened.",
        {"open_with": way.value},
    )


def session_only() -> VaultError:
    """VaultError ``session-only-vault``."""
    return VaultError(
        "session-only-vault",
        "This vault lasts only as long as a program runs",
        "“session-only” was chosen when it was made: nothing is ever written to disk, so a"
        " single command can neither find nor leave anything in it.",
        "To keep secrets, remove that vault file and make another with"
        " `watchword vault init --open-with keyring` or `--open-with passphrase`.",
    )
