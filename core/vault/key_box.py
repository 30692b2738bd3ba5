# SPDX-License-Identifier: Apache-2.0
"""Derives keys from keys, and locks the wrap key of a vault up under another key."""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..secret import Secret

KEY_SIZE: Final = 32
NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
BOX_SIZE: Final = NONCE_SIZE + KEY_SIZE + TAG_SIZE


def new_wrap_key() -> Secret:
    """32 random bytes: the one key on which a vault rests."""
    return Secret(os.urandom(KEY_SIZE))


def derive_key(source: Secret, salt: bytes, purpose: str, size: int = KEY_SIZE) -> Secret:
    """A key of ``size`` bytes for one purpose: HKDF-SHA256 (RFC 5869) of a high-entropy source."""
    derived = bytearray(size)
    try:
        with source.reveal() as view:
            HKDF(hashes.SHA256(), size, salt, purpose.encode()).derive_into(view, derived)
        return Secret(derived)
    finally:
        derived[:] = bytes(size)


def lock_up(wrap_key: Secret, under: Secret, vault_id: bytes, purpose: str) -> bytes:
    """The 60-byte box: nonce (12), the wrap key under AES-256-GCM (32), tag (16).

    Vault id and purpose are associated data: a box of another vault, or one made for
    another way to open it, does not open.
    """
    nonce = os.urandom(NONCE_SIZE)
    with wrap_key.reveal() as key, under.reveal() as outer:
        return nonce + AESGCM(outer).encrypt(nonce, key, associated_data(vault_id, purpose))


def unlock(box: bytes, under: Secret, vault_id: bytes, purpose: str) -> Secret | None:
    """The wrap key of a box that :func:`lock_up` made, or None if it does not open."""
    buffer = bytearray(KEY_SIZE)
    nonce, sealed = box[:NONCE_SIZE], box[NONCE_SIZE:]
    try:
        with under.reveal() as outer:
            AESGCM(outer).decrypt_into(nonce, sealed, associated_data(vault_id, purpose), buffer)
        return Secret(buffer)
    except InvalidTag:
        return None
    finally:
        buffer[:] = bytes(KEY_SIZE)


def associated_data(vault_id: bytes, purpose: str) -> bytes:
    """What a box is bound to: its vault and the way to open it."""
    return b"watchword vault box\0" + vault_id + purpose.encode()
