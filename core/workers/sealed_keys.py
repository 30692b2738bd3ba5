# SPDX-License-Identifier: Apache-2.0
"""Secrets sealed to a worker's key: HPKE (RFC 9180), X25519, HKDF-SHA-256, AES-256-GCM.

Base mode says nothing of the sender: the job, which the owner has signed, names each
ciphertext by its SHA-256. The other way round the ciphertext is bound (HPKE's ``info``) to
owner, worker, job, guest, turn, entry and kind, so that it opens for nothing else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from ..errors import VerificationRefused
from ..ledger.canonical import canonical
from ..secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.hpke import Suite

OVERHEAD: Final = 48
"""Bytes by which a ciphertext is longer: encapsulated key (32) and tag (16)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFor:
    """What a ciphertext is for; fingerprints and ids in hex."""

    owner: str
    worker: str
    job: str
    guest_key: str
    turn: int
    entry: str
    kind: str

    def info(self) -> bytes:
        """HPKE's ``info``."""
        return b"watchword sealed entry v1 " + canonical(asdict(self))


def seal_entry(secret: Secret, opening_key: bytes, bound: SealedFor) -> bytes:
    """The ciphertext of a secret for the worker with this raw X25519 public key (32 bytes)."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import (  # noqa: PLC0415 - for the few
        X25519PublicKey,
    )

    public = X25519PublicKey.from_public_bytes(opening_key)
    with secret.reveal() as view:
        return _suite().encrypt(view, public, bound.info())


def open_entry(ciphertext: bytes, key: X25519PrivateKey, bound: SealedFor) -> Secret:
    """The secret, which the caller wipes. Raises VerificationRefused ``sealed-entry-refused``."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - for the few

    try:
        return Secret(_suite().decrypt(ciphertext, key, bound.info()))
    except (InvalidTag, ValueError):
        raise VerificationRefused(
            "sealed-entry-refused",
            "A sealed secret does not open",
            f"What was sealed as “{bound.entry}” was altered, or sealed for another worker, job"
            " or guest.",
            "Nothing was begun. Dispatch the fleet again; if this machine has new keys, have it"
            " enrolled anew first.",
            {"entry": bound.entry},
        ) from None


def _suite() -> Suite:
    from cryptography.hazmat.primitives.hpke import (  # noqa: PLC0415 - for the few
        AEAD,
        KDF,
        KEM,
        Suite,
    )

    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
