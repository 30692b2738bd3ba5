# SPDX-License-Identifier: Apache-2.0
"""Seals entries and the index over them with AES-256-GCM, so that any change is noticed.

An entry is sealed by itself, with all that the index says of it as associated data:
vault id, entry id, generation, kind, name and time. The index lists every entry, has the
SHA-256 of all sealed entries together, and is sealed itself with the file's header as
associated data. So an entry that is flipped, cut, swapped, relabelled, removed or older
than the index knows does not open, nor does any of them with another vault's index.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..secret import Secret
from .damage import damaged
from .entries import EntryInfo
from .key_box import NONCE_SIZE, TAG_SIZE, derive_key

ENTRY_ID_SIZE: Final = 16
VAULT_ID_SIZE: Final = 16
KEY_ID_SIZE: Final = 16
SEALING_OVERHEAD: Final = NONCE_SIZE + TAG_SIZE

_ENTRY_MARK: Final = b"watchword vault entry\0"
_ENTRY_NUMBERS: Final = struct.Struct("<QBB")


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """What the index knows of one entry.

    ``info``        name, kind, time
    ``entry_id``    16 random bytes, new with each value
    ``generation``  the generation of the vault in which it was sealed
    ``size``        of its sealed form, in bytes
    """

    info: EntryInfo
    entry_id: bytes
    generation: int
    size: int

    def __hash__(self) -> int:
        # Looked up for each entry with each change of the vault: the id tells them apart.
        return hash(self.entry_id)


class _TakenOver(Secret):
    """A secret whose buffer was taken over, not copied: there is no second one to wipe."""

    __slots__ = ()

    def __init__(self, buffer: bytearray) -> None:
        self._data = buffer
        self._wiped = False


class SealingKeys:
    """The keys that a wrap key of 32 bytes stands for, in one vault.

    ``key_id``: 16 bytes that tell one wrap key from another and say nothing about it.
    """

    __slots__ = ("_derived", "_entries", "_index", "_mark", "key_id")

    def __init__(self, wrap_key: Secret, vault_id: bytes) -> None:
        entries = derive_key(wrap_key, vault_id, "watchword vault entries")
        index = derive_key(wrap_key, vault_id, "watchword vault index")
        # AESGCM may refer to the key instead of copying it: the derived keys live as long.
        self._derived = (entries, index)
        self._entries, self._index = _cipher(entries), _cipher(index)
        self._mark = _ENTRY_MARK + vault_id
        self.key_id = key_id(wrap_key, vault_id)

    def seal_entry(
        self, info: EntryInfo, generation: int, value: Secret
    ) -> tuple[SealedEntry, bytes]:
        """The entry for the index, and its sealed form: nonce (12), ciphertext, tag (16)."""
        random = os.urandom(ENTRY_ID_SIZE + NONCE_SIZE)
        entry_id, nonce = random[:ENTRY_ID_SIZE], random[ENTRY_ID_SIZE:]
        associated = self._associated(entry_id, generation, info)
        with value.reveal() as view:
            sealed = nonce + self._entries.encrypt(nonce, view, associated)
        return SealedEntry(info, entry_id, generation, len(sealed)), sealed

    def open_entry(self, entry: SealedEntry, sealed: bytes | memoryview) -> Secret:
        """The value of an entry. Raises VaultError ``vault-damaged``."""
        associated = self._associated(entry.entry_id, entry.generation, entry.info)
        if len(sealed) < SEALING_OVERHEAD:
            raise damaged("an entry is cut short")
        buffer = bytearray(len(sealed) - SEALING_OVERHEAD)
        try:
            self._entries.decrypt_into(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], associated, buffer)
        except InvalidTag:
            buffer[:] = bytes(len(buffer))
            raise damaged("an entry is not what was sealed") from None
        return _TakenOver(buffer)

    def _associated(self, entry_id: bytes, generation: int, info: EntryInfo) -> bytes:
        """Mark (22), vault id (16), entry id (16), generation (8), lengths of kind and name in
        characters (1 each), kind, name, time; little-endian.
        """
        text = info.kind + info.name + info.created
        numbers = _ENTRY_NUMBERS.pack(generation, len(info.kind), len(info.name))
        return self._mark + entry_id + numbers + text.encode()

    def seal_index(self, index: bytes, header: bytes) -> bytes:
        """The sealed index: nonce (12), ciphertext, tag (16); the header is associated data."""
        nonce = os.urandom(NONCE_SIZE)
        return nonce + self._index.encrypt(nonce, index, header)

    def open_index(self, sealed: bytes, header: bytes) -> bytes:
        """The index. Raises VaultError ``vault-damaged`` if it or the header was changed."""
        if len(sealed) < SEALING_OVERHEAD:
            raise damaged("its index is cut short")
        try:
            return self._index.decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], header)
        except InvalidTag:
            raise damaged("its index or header is not what was sealed") from None

    def wipe(self) -> None:
        """Overwrite the keys; nothing can be sealed or opened afterwards."""
        for key in self._derived:
            key.wipe()
        # OpenSSL overwrites a cipher's key when it frees the cipher.
        del self._entries, self._index


def key_id(wrap_key: Secret, vault_id: bytes) -> bytes:
    """16 bytes by which a wrap key is recognised in its vault; nothing can be learnt from them."""
    derived = derive_key(wrap_key, vault_id, "watchword vault key id", KEY_ID_SIZE)
    with derived.reveal() as view:
        return bytes(view)


def _cipher(key: Secret) -> AESGCM:
    with key.reveal() as view:
        return AESGCM(view)
