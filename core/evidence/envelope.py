# SPDX-License-Identifier: Apache-2.0
"""The DSSE envelope around a statement: sealed with the owner's key, opened strictly.

``securesystemslib`` makes and checks the signature, so that what is signed here is what
other tools check. Its signer takes a key that is in memory: no file and no variable of
the environment is involved. Only the JSON is read here: its own reader takes what is
said twice, and base64 in two alphabets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import rfc8785
from pydantic import ValidationError

from ..bounded_json import parse_json
from ..errors import BadInput, VerificationRefused
from ..secret import Secret
from .document import PREDICATE_TYPE, Statement, bad_evidence, decode, misfit, read_statement
from .signing_key import key_fingerprint, load_signing_key

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
LARGEST_ENVELOPE: Final = 1 << 20
"""Bytes that a document may have."""
_DEEPEST: Final = 12


@dataclass(frozen=True, slots=True)
class OpenedEnvelope:
    """A document whose signature holds, by a key that is known from the document alone.

    ``fingerprint``  SHA-256 (hex) of that key: who it is must be known from elsewhere
    ``sha256``       of the envelope, in hex
    """

    statement: Statement
    fingerprint: str
    sha256: str


def sign_statement(statement: Mapping[str, Any], signing_key: Secret) -> bytes:
    """The envelope (JSON, canonical, at most 1 MiB) of a statement, signed by the owner's key.

    ``signing_key`` is an Ed25519 seed of 32 bytes. Raises BadInput ``bad-signing-key``,
    or ``bad-evidence`` for a statement that can't be of this form.
    """
    from securesystemslib.dsse import Envelope  # noqa: PLC0415 - large, and for the few
    from securesystemslib.signer import (  # type: ignore[attr-defined]  # noqa: PLC0415
        CryptoSigner,
    )

    private_key = load_signing_key(signing_key)
    key = private_key.public_key().public_bytes_raw()
    signer = {"algorithm": "ed25519", "public_key": key.hex()}
    whole = {**statement, "predicate": {**statement["predicate"], "signer": signer}}
    envelope = Envelope(_payload(whole), PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(private_key))
    sealed = rfc8785.dumps(envelope.to_dict())
    if len(sealed) > LARGEST_ENVELOPE:
        raise _too_large("the evidence")
    return sealed


def _payload(statement: Mapping[str, Any]) -> bytes:
    """Canonical JSON of a statement that whoever reads it will take."""
    try:
        payload = rfc8785.dumps(statement)
    except (rfc8785.CanonicalizationError, UnicodeError):
        raise bad_evidence("the evidence", "It has a value that JSON can't hold.") from None
    try:
        Statement.model_validate_json(payload)
    except ValidationError as error:
        raise misfit("the evidence", error) from None
    return payload


def open_envelope(data: bytes, field: str = "the evidence") -> OpenedEnvelope:
    """Read a document and check its signature against the key that it names itself.

    Raises BadInput ``evidence-too-large``, ``bad-evidence`` or ``other-evidence``, and
    VerificationRefused ``evidence-signature``.
    """
    if len(data) > LARGEST_ENVELOPE:
        raise _too_large(field)
    payload, signature, key_id = _take_apart(data, field)
    value = _parse(payload, field)
    if not isinstance(value, dict) or value.get("predicateType") != PREDICATE_TYPE:
        raise _other_evidence(field)
    key = _claimed_key(value, field)
    _check_signature(payload, signature, key_id, key)
    # One statement has one spelling; it also leaves no room for names that are there twice.
    if _canonical(value) != payload:
        raise bad_evidence(field, "Its statement is not canonical JSON (RFC 8785).")
    statement = read_statement(payload, field)
    return OpenedEnvelope(statement, key_fingerprint(key), hashlib.sha256(data).hexdigest())


def _take_apart(data: bytes, field: str) -> tuple[bytes, bytes, str]:
    """Payload, signature and key id of an envelope with one signature."""
    envelope = _parse(data, field)
    if not isinstance(envelope, dict) or set(envelope) != {"payload", "payloadType", "signatures"}:
        raise bad_evidence(field, "It is no DSSE envelope.")
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise _other_evidence(field)
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise bad_evidence(field, "It must have one signature, the owner's.")
    entry = signatures[0]
    if not isinstance(entry, dict) or set(entry) != {"keyid", "sig"}:
        raise bad_evidence(field, "Its signature is not of the form that DSSE has.")
    texts = (envelope["payload"], entry["sig"], entry["keyid"])
    if not all(isinstance(text, str) for text in texts):
        raise bad_evidence(field, "Its parts are not text.")
    payload, signature, key_id = texts
    return decode(payload, field), decode(signature, field), key_id


def _parse(data: bytes, field: str) -> object:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise bad_evidence(field, "It is not text in UTF-8.") from None
    value = parse_json(text, field, deepest=_DEEPEST)
    try:
        json.loads(text, object_pairs_hook=_each_once)
    except ValueError:
        raise bad_evidence(field, "It names something twice.") from None
    return value


def _each_once(pairs: list[tuple[str, object]]) -> None:
    """Programs differ in which of two equal names counts."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError


def _claimed_key(statement: Mapping[str, object], field: str) -> bytes:
    predicate = statement.get("predicate")
    signer = predicate.get("signer") if isinstance(predicate, dict) else None
    text = signer.get("public_key") if isinstance(signer, dict) else None
    if isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef"):
        return bytes.fromhex(text)
    raise bad_evidence(field, "It does not name the key that signed it.")


def _check_signature(payload: bytes, signature: bytes, key_id: str, key: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - for the few
        Ed25519PublicKey,
    )
    from securesystemslib.dsse import Envelope  # noqa: PLC0415
    from securesystemslib.exceptions import VerificationError  # noqa: PLC0415
    from securesystemslib.signer import (  # type: ignore[attr-defined]  # noqa: PLC0415
        Signature,
        SSlibKey,
    )

    public = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(key))
    signed: Envelope = Envelope(payload, PAYLOAD_TYPE, {key_id: Signature(key_id, signature.hex())})
    try:
        signed.verify([public], 1)
    except VerificationError:
        raise VerificationRefused(
            "evidence-signature",
            "The signature of this evidence does not hold",
            "The document was altered after it was signed, or never signed by the key it names.",
            "Don't rely on it. Get the document again from whoever made it.",
        ) from None


def _canonical(value: object) -> bytes:
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # JSON was just parsed into it
    except (rfc8785.CanonicalizationError, UnicodeError):
        return b""


def _too_large(field: str) -> BadInput:
    return BadInput(
        "evidence-too-large",
        field,
        f"It has more than {LARGEST_ENVELOPE >> 20} MiB; no document of a launch does.",
        "Name the document that `watchword evidence export` wrote.",
    )


def _other_evidence(field: str) -> BadInput:
    return BadInput(
        "other-evidence",
        field,
        "It is a signed document, but not about a launch, or of a form of another version.",
        "Name a document that `watchword evidence export` wrote; a newer version of Watchword may"
        " know its form.",
    )
