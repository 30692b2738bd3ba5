# SPDX-License-Identifier: Apache-2.0
"""Documents are what other tools check: securesystemslib's own API, and DSSE done by hand."""

from __future__ import annotations

import json

import pytest
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from watchword.core.evidence.verify import verify_evidence

from . import made
from .made import trust


def test_securesystemslib_checks_it_with_nothing_but_the_public_key(plain_document):
    envelope = Envelope.from_dict(json.loads(plain_document))
    assert envelope.payload_type == "application/vnd.in-toto+json"
    owner = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(made.raw_public_key(made.SEED)))
    assert list(envelope.verify([owner], 1)) == [owner.keyid]
    other = made.raw_public_key(made.OTHER_SEED)
    stranger = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(other), owner.keyid)
    with pytest.raises(VerificationError):
        envelope.verify([stranger], 1)


def test_a_few_lines_of_cryptography_check_it(plain_document):
    envelope = json.loads(plain_document)
    payload = made.payload_of(plain_document)
    signature = made.base64.b64decode(envelope["signatures"][0]["sig"])
    key = Ed25519PublicKey.from_public_bytes(made.raw_public_key(made.SEED))
    key.verify(signature, made.pae(payload))
    with pytest.raises(InvalidSignature):
        key.verify(signature, made.pae(payload + b" "))


def test_the_payload_is_a_canonical_in_toto_statement(es_document):
    payload = made.payload_of(es_document)
    statement = json.loads(payload)
    assert rfc8785.dumps(statement) == payload
    assert set(statement) == {"_type", "subject", "predicateType", "predicate"}
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "urn:watchword:sev-launch:1"
    contents = statement["predicate"]["contents"]
    assert statement["subject"] == [
        {"name": "firmware", "digest": {"sha256": contents["firmware"]["sha256"]}},
        {"name": "launch-digest", "digest": {"sha256": contents["launch_digest"]}},
    ]


def test_what_another_dsse_signer_makes_is_read_here(plain_document, keys):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    envelope = Envelope(made.payload_of(plain_document), made.PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(Ed25519PrivateKey.from_private_bytes(made.SEED)))
    assert verify_evidence(json.dumps(envelope.to_dict()).encode(), trust(keys))
    assert verify_evidence(made.seal_by_hand(made.payload_of(plain_document)), trust(keys))
