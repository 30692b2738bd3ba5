# SPDX-License-Identifier: Apache-2.0
"""Signed documents between owner and workers: DSSE envelopes in the one spelling there is.

What is signed is DSSE's pre-authentication encoding, which begins with the document's
type: a signature under a job can't be taken for one under an enrolment, a result, or the
evidence of a launch. ``keyid`` is the signer's raw public key in hex, so that whoever has
pinned its fingerprint needs nothing else. Any other spelling of the same envelope is
refused: one document has one SHA-256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import BadInput, VerificationRefused
from ..evidence.signing_key import key_fingerprint, load_signing_key, public_key
from ..ledger.canonical import NotCanonical, canonical, parse_canonical, plain
from ..secret import Secret

_MEMBERS: Final = {"payload", "payloadType", "signatures"}
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class SignedKind:
    """What a signed document may be.

    ``word``     what it is called; error codes begin with it
    ``largest``  bytes of its envelope
    ``stranger`` error code for a signer other than the one who is pinned
    ``remedy``   what to do about one that is refused
    """

    word: str
    largest: int
    stranger: str
    remedy: str

    @property
    def media_type(self) -> str:
        """What the signature says that the document is."""
        return f"application/vnd.watchword.{self.word.replace(' ', '-')}.v1+json"

    @property
    def code(self) -> str:
        """How error codes begin."""
        return self.word.replace(" ", "-")

    def unreadable(self, field: str, why: str) -> BadInput:
        """BadInput ``WORD-unreadable``."""
        return BadInput(f"{self.code}-unreadable", field, why, self.remedy)


@dataclass(frozen=True, slots=True)
class OpenedDocument:
    """A document whose signature holds.

    ``payload``  canonical JSON, an object
    ``key``      the signer's raw Ed25519 public key (32 bytes)
    ``sha256``   of the envelope, in hex
    """

    payload: bytes
    key: bytes
    sha256: str

    @property
    def signer(self) -> str:
        """Fingerprint (SHA-256 in hex) of the signer's key."""
        return key_fingerprint(self.key)


def sign_document(kind: SignedKind, body: Mapping[str, object], seed: Secret) -> bytes:
    """The envelope of a document, signed with an Ed25519 seed (32 bytes).

    ``body`` is JSON without floats. Raises BadInput ``WORD-too-large``, and
    ``bad-signing-key`` as load_signing_key does.
    """
    payload = canonical(plain(body, kind.word))
    signature = load_signing_key(seed).sign(signed_bytes(kind, payload))
    envelope = canonical(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": kind.media_type,
            "signatures": [
                {"keyid": public_key(seed).hex(), "sig": base64.b64encode(signature).decode()}
            ],
        }
    )
    if len(envelope) > kind.largest:
        raise _too_large(kind, kind.word)
    return envelope


def signed_bytes(kind: SignedKind, payload: bytes) -> bytes:
    """What the signature is made over: DSSE's pre-authentication encoding."""
    media_type = kind.media_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(media_type), media_type, len(payload), payload)


def open_document(
    kind: SignedKind, data: bytes, field: str, signer: str | None = None
) -> OpenedDocument:
    """Read an envelope and check its signature, by the key of the fingerprint ``signer``.

    Without ``signer`` the document is known to be whole, and by whom it was signed is for
    the caller to judge. Raises BadInput ``WORD-too-large`` and ``WORD-unreadable``,
    VerificationRefused ``WORD-signature`` and ``kind.stranger``.
    """
    if len(data) > kind.largest:
        raise _too_large(kind, field)
    payload, key, signature = _take_apart(kind, data, field)
    if signer is not None and key_fingerprint(key) != signer:
        raise _stranger(kind, field, signer, key_fingerprint(key))
    _check_signature(kind, payload, key, signature, field)
    try:
        body = parse_canonical(payload)
    except NotCanonical:
        body = None
    if not isinstance(body, dict):
        raise kind.unreadable(field, "What was signed is not canonical JSON (RFC 8785).")
    return OpenedDocument(payload, key, hashlib.sha256(data).hexdigest())


def _take_apart(kind: SignedKind, data: bytes, field: str) -> tuple[bytes, bytes, bytes]:
    """Payload, public key (32 bytes) and signature (64) of an envelope with one signature."""
    damaged = kind.unreadable(field, f"It is no signed {kind.word}, or was cut or altered.")
    try:
        envelope = parse_canonical(data)
    except NotCanonical:
        raise damaged from None
    if not isinstance(envelope, dict) or envelope.keys() != _MEMBERS:
        raise damaged
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise damaged
    entry = signatures[0]
    if not isinstance(entry, dict) or entry.keys() != {"keyid", "sig"}:
        raise damaged
    if envelope["payloadType"] != kind.media_type:
        raise kind.unreadable(field, f"It is another document, and no {kind.word} of this form.")
    key, signature = entry["keyid"], decode_exactly(entry["sig"])
    payload = decode_exactly(envelope["payload"])
    if payload is None or signature is None or len(signature) != 64 or not is_hex(key, 32):
        raise damaged
    return payload, bytes.fromhex(key), signature


def _check_signature(
    kind: SignedKind, payload: bytes, key: bytes, signature: bytes, field: str
) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - for the few
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PublicKey,
    )

    try:
        public = Ed25519PublicKey.from_public_bytes(key)
        public.verify(signature, signed_bytes(kind, payload))
    except (InvalidSignature, ValueError):
        raise VerificationRefused(
            f"{kind.code}-signature",
            f"The signature of this {kind.word} does not hold",
            f"It ({field}) was altered after it was signed, or never signed by the key it names.",
            kind.remedy,
            {"field": field},
        ) from None


def decode_exactly(text: object) -> bytes | None:
    """The bytes of a base64 text in its one spelling; None for anything else."""
    if not isinstance(text, str) or not text.isascii():
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return data if base64.b64encode(data).decode() == text else None


def is_hex(text: object, size: int) -> bool:
    """Whether this is ``size`` bytes in lower-case hex."""
    return isinstance(text, str) and len(text) == 2 * size and _HEX.issuperset(text)


def _stranger(kind: SignedKind, field: str, wanted: str, found: str) -> VerificationRefused:
    return VerificationRefused(
        kind.stranger,
        f"Somebody else signed this {kind.word}",
        f"It ({field}) is signed by the key {found}, and {wanted} is the one that is pinned.",
        kind.remedy,
        {"field": field, "pinned": wanted, "signer": found},
    )


def _too_large(kind: SignedKind, field: str) -> BadInput:
    return BadInput(
        f"{kind.code}-too-large",
        field,
        f"It has more than {kind.largest >> 10} KiB; no {kind.word} does.",
        kind.remedy,
    )
