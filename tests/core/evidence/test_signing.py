# SPDX-License-Identifier: Apache-2.0
"""The signing key: made from randomness, used from memory alone, and in nothing that is made."""

from __future__ import annotations

import base64
import hashlib
import logging
import os

import pytest

from watchword.core.errors import BadInput, UsageError
from watchword.core.evidence.envelope import open_envelope, sign_statement
from watchword.core.evidence.signing_key import new_signing_key, public_key, signer_fingerprint
from watchword.core.evidence.statement import statement
from watchword.core.secret import Secret

from . import made


def test_a_new_key_is_32_bytes_of_the_given_randomness():
    asked = []

    def random(size):
        asked.append(size)
        return bytes(range(size))

    key = new_signing_key(random)
    assert asked == [32]
    assert public_key(key) == made.raw_public_key(bytes(range(32)))


def test_the_fingerprint_is_the_hash_of_the_raw_public_key():
    expected = hashlib.sha256(made.raw_public_key(made.SEED)).hexdigest()
    assert signer_fingerprint(Secret(made.SEED)) == expected


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_of_another_size_is_refused(size):
    with pytest.raises(BadInput) as caught:
        signer_fingerprint(Secret(bytes(size)))
    assert caught.value.code == "bad-signing-key"


def test_a_wiped_key_signs_nothing(plain):
    key = Secret(made.SEED)
    key.wipe()
    with pytest.raises((BadInput, UsageError)):
        sign_statement(statement(plain.facts()), key)


def test_signing_touches_no_file_and_no_environment(plain, monkeypatch, caplog):
    document = sign_statement(statement(plain.facts()), Secret(made.SEED))  # imports are done
    caplog.set_level(logging.DEBUG)

    def refuse(*arguments, **options):
        raise AssertionError("a file or a variable was touched")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os.environ, "get", refuse)
    again = sign_statement(statement(plain.facts()), Secret(made.SEED))
    monkeypatch.undo()
    assert again == document
    assert open_envelope(document).fingerprint == made.fingerprint(made.SEED)
    for seen in (document, made.payload_of(document), caplog.text.encode()):
        for way in (made.SEED, made.SEED.hex().encode(), base64.b64encode(made.SEED)):
            assert way not in seen


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["predicate"].update(host=1.5),
        lambda s: s["predicate"].update(host="\ud800"),
        lambda s: s["predicate"].update(tik="00"),
        lambda s: s["predicate"]["policy"].update(value=1 << 60),
        lambda s: s.update(subject=[]),
    ],
)
def test_what_could_not_be_read_back_is_not_signed(plain, change):
    made_up = statement(plain.facts())
    change(made_up)
    with pytest.raises(BadInput) as caught:
        sign_statement(made_up, Secret(made.SEED))
    assert caught.value.code == "bad-evidence"


def test_hosts_words_of_any_kind_and_length_fit_into_a_document(plain):
    error = UsageError("x", "t" * 9000, "\ud800\x00\U0001f600" * 5000, "r")
    document = plain.document(host="h" * 9000, error=error, end=made.LaunchEnd.ABANDONED)
    assert len(made.predicate_of(document)["host"]) == 4096
    assert len(document) < 1 << 20
