# SPDX-License-Identifier: Apache-2.0
"""Opens a vault with the wrap key that the operating system's keyring holds."""

from __future__ import annotations

import hmac
from typing import ClassVar

from ..secret import Secret
from .header import Header, KeyringSlot, Slot
from .keyring_access import Anchor, KeyringAccess
from .keyring_errors import keyring_key_missing
from .sealed_entries import key_id
from .ways import Way, other_way


class KeyringWay(Way):
    """The wrap key itself is a keyring item: service "watchword", user = the vault's id in hex.

    A new key is stored beside it as ``ID/next`` first. A crash before it takes the other's
    place leaves both; which one the file is sealed under is told by the header's key id.
    The anchor is ``ID/anchor``.
    """

    anchors: ClassVar[bool] = True

    def __init__(self, access: KeyringAccess) -> None:
        self._access = access

    def keep(self, vault_id: bytes, wrap_key: Secret) -> Slot:
        """Store a new key beside the present one. Raises as KeyringAccess does."""
        keyring = self._access.name()
        self._access.write_key(keyring, _next_user(vault_id), wrap_key)
        return KeyringSlot(keyring)

    def settle(self, vault_id: bytes, wrap_key: Secret, slot: Slot) -> None:
        """Let the new key take the place of the present one. Raises as KeyringAccess does."""
        keyring = _keyring(slot)
        self._access.write_key(keyring, vault_id.hex(), wrap_key)
        self._access.delete(keyring, _next_user(vault_id))

    def drop(self, vault_id: bytes, slot: Slot) -> None:
        """Delete the new key. Raises as KeyringAccess does."""
        self._access.delete(_keyring(slot), _next_user(vault_id))

    def fetch(self, header: Header) -> Secret:
        """The key that the file is sealed under, whichever step the last change got to.

        Raises VaultError ``keyring-key-missing`` where the keyring has none that fits, and
        as KeyringAccess does.
        """
        keyring, user = _keyring(header.slot), header.vault_id.hex()
        key = self._read_fitting(header, keyring, user)
        if key is not None:
            return key
        key = self._read_fitting(header, keyring, _next_user(header.vault_id))
        if key is None:
            raise keyring_key_missing()
        self.settle(header.vault_id, key, header.slot)
        return key

    def read_anchor(self, header: Header) -> Anchor | None:
        """The anchor in the keyring, or None. Raises as KeyringAccess does."""
        return self._access.read_anchor(_keyring(header.slot), _anchor_user(header.vault_id))

    def write_anchor(self, header: Header, anchor: Anchor) -> None:
        """Store the anchor in the keyring. Raises as KeyringAccess does."""
        user = _anchor_user(header.vault_id)
        self._access.write_anchor(_keyring(header.slot), user, anchor)

    def _read_fitting(self, header: Header, keyring: str, user: str) -> Secret | None:
        """The key of that user if the file is sealed under it."""
        # Another process may have changed the key since it was first read.
        for again in (False, True):
            key = self._access.read_key(keyring, user, again=again)
            if key is None:
                return None
            if hmac.compare_digest(key_id(key, header.vault_id), header.key_id):
                return key
            key.wipe()
        return None


def _keyring(slot: Slot) -> str:
    if not isinstance(slot, KeyringSlot):
        raise other_way(slot.WAY)
    return slot.keyring


def _next_user(vault_id: bytes) -> str:
    return f"{vault_id.hex()}/next"


def _anchor_user(vault_id: bytes) -> str:
    return f"{vault_id.hex()}/anchor"
