# SPDX-License-Identifier: Apache-2.0
"""The owner's signing key: a seed of 32 bytes that only memory and the vault ever hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..errors import BadInput
from ..secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNING_KEY_ENTRY: Final = "evidence/signing-key"
"""What the vault calls it; its kind is ``signing-key``."""
SEED_SIZE: Final = 32


def new_signing_key(random: Callable[[int], bytes]) -> Secret:
    """A fresh Ed25519 seed (32 bytes) from a source such as ``os.urandom``."""
    return Secret(random(SEED_SIZE))


def public_key(seed: Secret) -> bytes:
    """The public key (32 bytes) of a seed; BadInput ``bad-signing-key``."""
    return load_signing_key(seed).public_key().public_bytes_raw()


def signer_fingerprint(seed: Secret) -> str:
    """What others know this owner by: SHA-256 (hex) of the raw public key."""
    return key_fingerprint(public_key(seed))


def key_fingerprint(key: bytes) -> str:
    """SHA-256 (hex) of a raw public key (32 bytes)."""
    return hashlib.sha256(key).hexdigest()


def load_signing_key(seed: Secret) -> Ed25519PrivateKey:
    """The private key for use, for as short as possible; BadInput ``bad-signing-key``.

    The cryptography library keeps a copy of its own for as long as the key lives.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - for the few
        Ed25519PrivateKey,
    )

    if len(seed) != SEED_SIZE:
        raise BadInput(
            "bad-signing-key",
            "the signing key",
            f"It has {len(seed)} bytes; the seed of an Ed25519 key has {SEED_SIZE}.",
            f"Take the vault's entry {SIGNING_KEY_ENTRY} as Watchword made it.",
        )
    with seed.reveal() as view:
        return Ed25519PrivateKey.from_private_bytes(view)
