# SPDX-License-Identifier: Apache-2.0
"""Redacted documents: nothing of what was taken out is left, and the rest still verifies."""

from __future__ import annotations

import base64
import hashlib
import json
import os

import pytest

from watchword.core.errors import ExitStatus, VerificationRefused
from watchword.core.evidence.digest_recheck import OwnFiles
from watchword.core.evidence.facts import LaunchEnd
from watchword.core.evidence.html_page import evidence_page
from watchword.core.evidence.redaction import opens, redact
from watchword.core.evidence.verify import verify_evidence
from watchword.core.secret import Secret

from . import made
from .conftest import CMDLINE
from .made import trust


def key(seed=made.SEED):
    return Secret(seed)


GUEST, PROFILE = "payroll-frontend", "payroll-profile"


@pytest.fixture(scope="module")
def es_document(es):
    """With names that stand nowhere by chance."""
    return es.document(guest=GUEST, profile_name=PROFILE)


@pytest.fixture
def names(es):
    """All that has to go."""
    chip = es.launch.facts["platform"].record["chip_id"]
    assert chip
    return [chip, made.HOST, "kvm17.lab.example", CMDLINE, GUEST, PROFILE, made.ENTRY, "5e" * 32]


@pytest.fixture
def redacted(es_document):
    return redact(es_document, key(), os.urandom)


def spellings(text):
    raw = text.encode()
    ways = {raw, raw.hex().encode(), raw.hex().upper().encode(), raw.upper()}
    for lead in range(3):
        ways.add(base64.b64encode(bytes(lead) + raw)[4:-4])
    if len(text) == 128:  # a chip id: its bytes too
        data = bytes.fromhex(text)
        ways |= {data, *(base64.b64encode(bytes(lead) + data)[4:-4] for lead in range(3))}
    return ways


def test_nothing_of_what_was_taken_out_is_left(redacted, es_document, names, keys):
    verdict = verify_evidence(redacted.envelope, trust(keys))
    places = [
        redacted.envelope,
        made.payload_of(redacted.envelope),
        evidence_page(verdict).encode(),
        json.dumps(verdict.as_json()).encode(),
        repr(redacted).encode(),
    ]
    original = es_document + made.payload_of(es_document)
    for name in names:
        assert any(way in original for way in spellings(name))
        for place in places:
            assert not [way for way in spellings(name) if way in place]


def test_a_redacted_document_verifies_as_the_original_did(redacted, es_document, keys, image):
    files = OwnFiles((image,), (hashlib.sha256(b"a kernel").digest(),))
    verdict = verify_evidence(redacted.envelope, trust(keys), files)
    assert verdict.status is ExitStatus.OK
    before = verify_evidence(es_document, trust(keys), files)
    assert [(f.basis, f.subject) for f in verdict.findings if f.subject != "command line"] == [
        (f.basis, f.subject) for f in before.findings if f.subject != "command line"
    ]
    redaction = verdict.predicate.redaction
    assert redaction.original_sha256 == hashlib.sha256(es_document).hexdigest()
    assert any("CEK" in note for note in redaction.notes)
    assert "REDACTED" in verdict.summary()[-1]


def test_every_commitment_is_opened_by_its_salt_and_text_alone(redacted):
    predicate = made.predicate_of(redacted.envelope)
    assert {opening.place for opening in redacted.openings} == set(predicate["redaction"]["fields"])
    assert {opening.place for opening in redacted.openings} >= {
        "host",
        "guest",
        "platform.chip_id",
        "contents.cmdline",
        "profile.name",
        "secrets[0].entry",
    }
    by_place = {opening.place: opening for opening in redacted.openings}
    host = by_place["host"]
    commitment = predicate["host"]["commitment"]
    # As the salts' file says that it is checked.
    assert hashlib.sha256(host.salt + made.HOST.encode()).hexdigest() == commitment
    assert opens(commitment, host.salt, host.text)
    assert not opens(commitment, host.salt, host.text + "x")
    assert not opens(commitment, bytes(32), host.text)
    assert not opens(commitment, host.salt + b"q", host.text[1:])
    assert len({opening.salt for opening in redacted.openings}) == len(redacted.openings)
    assert made.HOST not in repr(host)
    assert host.salt.hex() not in repr(host)


def test_equal_texts_have_different_commitments(es):
    redacted = redact(es.document(guest="web1", profile_name="web1"), key(), os.urandom)
    predicate = made.predicate_of(redacted.envelope)
    assert predicate["guest"] != predicate["profile"]["name"]


def test_free_texts_that_name_one_of_them_go_as_a_whole(plain, keys):
    error = VerificationRefused(
        "some-refusal", "Title", f"The host {made.HOST} said something else.", "Remedy."
    )
    document = plain.document(end=LaunchEnd.REFUSED, error=error)

    def add(predicate):
        predicate["waivers"] = {"guest": "because WEB1 is mine", "x": "nothing in it"}
        predicate["warnings"] = ["kvm17.lab.example is slow", "web10 is another one"]
        predicate["secrets"][0]["name"] = "passphrase of web1/disk-unlock"

    redacted = redact(made.forged(document, add), key(), os.urandom)
    predicate = made.predicate_of(redacted.envelope)
    hidden = [
        predicate["error"]["message"],
        predicate["waivers"]["guest"],
        predicate["warnings"][0],
        predicate["secrets"][0]["name"],
    ]
    assert all(set(value) == {"commitment"} for value in hidden)
    assert predicate["waivers"]["x"] == "nothing in it"
    assert predicate["warnings"][1] == "web10 is another one"
    assert verify_evidence(redacted.envelope, trust(keys))


def test_free_texts_with_a_path_of_the_owners_go_too(plain, keys):
    kept = ["SEV/ES is off", "API 1.49 and/or build 6", "half / half"]
    gone = ["firmware /home/ann/OVMF.fd: It may be cut.", "see “/srv/x”"]

    def add(predicate):
        predicate["warnings"] = [*kept, *gone]

    redacted = redact(made.forged(plain.document(), add), key(), os.urandom)
    warnings = made.predicate_of(redacted.envelope)["warnings"]
    assert warnings[: len(kept)] == kept
    assert all(set(value) == {"commitment"} for value in warnings[len(kept) :])
    assert verify_evidence(redacted.envelope, trust(keys))


def test_only_the_owner_redacts_and_only_once(es_document, redacted):
    with pytest.raises(VerificationRefused) as caught:
        redact(es_document, key(made.OTHER_SEED), os.urandom)
    assert caught.value.code == "not-your-evidence"
    with pytest.raises(VerificationRefused) as caught:
        redact(redacted.envelope, key(), os.urandom)
    assert caught.value.code == "evidence-contradiction"


def test_a_document_without_names_can_be_redacted_too(plain, keys):
    bare = plain.document(guest=None, profile_name=None, profile_sha256=None, entries={})
    redacted = redact(bare, key(), os.urandom)
    assert verify_evidence(redacted.envelope, trust(keys))
