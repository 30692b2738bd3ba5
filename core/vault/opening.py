# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a vault file to its wrap key, and from the key to its contents."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from ..errors import VaultError
from ..secret import Secret
from .contents import Contents
from .damage import damaged
from .entries import now
from .header import Header, RecoverySlot, SessionSlot
from .key_box import lock_up, unlock
from .keyring_access import Anchor
from .layout import VaultLayout
from .recovery_code import recovery_key
from .sealed_entries import KEY_ID_SIZE, VAULT_ID_SIZE, SealingKeys, key_id
from .vault_errors import key_changed, rolled_back
from .vault_file import Storage
from .ways import Way

_ATTEMPTS = 3
_RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Opened:
    """A vault that was opened: its key, its state, what the keyring remembers of it."""

    wrap_key: Secret
    contents: Contents
    anchor: Anchor | None


def read_header(data: bytes) -> Header:
    """The header of a vault file; nothing vouches for it yet.

    Raises VaultError ``vault-damaged``, ``vault-too-new`` or ``vault-parameters``.
    """
    header = Header.parse(VaultLayout.parse(data).header)
    if isinstance(header.slot, SessionSlot) and data != session_file():
        raise damaged("a session-only vault holds nothing")
    return header


def session_file() -> bytes:
    """The file that says that a session-only vault was chosen; nothing else is in it."""
    header = Header(bytes(VAULT_ID_SIZE), bytes(KEY_ID_SIZE), SessionSlot())
    return VaultLayout(header.build(), b"", b"").build()


def open_storage(storage: Storage, way: Way, header: Header) -> Opened:
    """Open what is in storage, whose header was read.

    Where another process gives the vault a new key meanwhile, it is read again. Raises
    VaultError as the way does, and as :func:`load` does.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _open_once(storage, way, header)
        except VaultError:
            newer = read_header(storage.read())
            if newer.key_id == header.key_id or newer.slot.WAY is not header.slot.WAY:
                raise
            header = newer
    raise key_changed()


def _open_once(storage: Storage, way: Way, header: Header) -> Opened:
    wrap_key = checked(way.fetch(header), header)
    keys = SealingKeys(wrap_key, header.vault_id)
    try:
        anchor = way.read_anchor(header)
        contents = load(storage, keys, anchor.generation if anchor else 0)
    except VaultError:
        wrap_key.wipe()
        raise
    finally:
        keys.wipe()
    return Opened(wrap_key, contents, anchor)


def checked(wrap_key: Secret, header: Header) -> Secret:
    """The wrap key, if it is the one that the file is sealed under.

    Raises VaultError ``vault-damaged``.
    """
    if hmac.compare_digest(key_id(wrap_key, header.vault_id), header.key_id):
        return wrap_key
    wrap_key.wipe()
    raise damaged("its key does not belong to it")


def load(storage: Storage, keys: SealingKeys, least_generation: int) -> Contents:
    """The state in storage, of that generation or a later one.

    Raises VaultError ``vault-key-changed``, ``vault-rolled-back``, or as Contents.open does.
    """
    data = storage.read()
    if Header.parse(VaultLayout.parse(data).header).key_id != keys.key_id:
        raise key_changed()
    contents = Contents.open(data, keys)
    if contents.generation < least_generation:
        raise rolled_back(contents.generation, least_generation)
    return contents


def recovery_slot(code: Secret, wrap_key: Secret, vault_id: bytes) -> RecoverySlot:
    """The wrap key, locked up under a recovery code."""
    key = recovery_key(code, vault_id)
    try:
        return RecoverySlot(now()[:10], lock_up(wrap_key, key, vault_id, _RECOVERY))
    finally:
        key.wipe()


def fetch_by_code(code: Secret, header: Header) -> Secret:
    """The wrap key by the recovery code.

    Raises VaultError ``no-recovery-code``, ``recovery-code-mistyped``,
    ``recovery-code-wrong`` or ``vault-damaged``.
    """
    if header.recovery is None:
        raise VaultError(
            "no-recovery-code",
            "The vault has no recovery code",
            "None had been made when this copy of the file was written.",
            f"Open it with “{header.slot.WAY.value}”, or take a newer copy.",
        )
    key = recovery_key(code, header.vault_id)
    try:
        wrap_key = unlock(header.recovery.box, key, header.vault_id, _RECOVERY)
    finally:
        key.wipe()
    if wrap_key is None:
        raise VaultError(
            "recovery-code-wrong",
            "The recovery code is another one's",
            "It is a recovery code, but it does not open this copy of this vault:"
            f" the one that does was made on {header.recovery.made}.",
            "Look for the paper of that day. A new code voids the one before it.",
        )
    return checked(wrap_key, header)
