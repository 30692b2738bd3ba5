# SPDX-License-Identifier: Apache-2.0
"""Workers: their keys stay in their vault, and only the owner's signature makes them workers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from watchword.core.errors import BadInput, UsageError, VerificationRefused, WatchwordError
from watchword.core.evidence.signing_key import signer_fingerprint
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.vault import Vault
from watchword.core.workers.enrolment import Workers, enrol, read_enrolment, read_request
from watchword.core.workers.envelope import sign_document
from watchword.core.workers.owner_key import OWNER_KEY_ENTRY, owner_key, pinned_owner
from watchword.core.workers.worker_key import REQUEST, make_worker_key, open_worker_key

from .support import NOW, Owner, Worker


@pytest.fixture
def owner(tmp_path):
    return Owner(tmp_path / "owner")


@pytest.fixture
def worker():
    return Worker()


def code_of(call, *values, **more):
    with pytest.raises(WatchwordError) as caught:
        call(*values, **more)
    return caught.value.code


def read(data, owner, now=NOW):
    return read_enrolment(data, owner.fingerprint, "the enrolment", now)


def test_the_owner_enrols_the_keys_that_the_worker_has_shown(owner, worker):
    enrolled = read(owner.enrolment_file(worker), owner)
    assert enrolled.worker == "rack1"
    assert enrolled.fingerprint == worker.fingerprint
    assert enrolled.opening_key == worker.key.opening_public


def test_every_flipped_bit_of_request_and_enrolment_is_refused(owner, worker):
    for data, reading in (
        (worker.request, lambda changed: read_request(changed, "the request")),
        (owner.enrolment_file(worker), lambda changed: read(changed, owner)),
    ):
        reading(data)
        changed = bytearray(data)
        for bit in range(8 * len(data)):
            changed[bit // 8] ^= 1 << (bit % 8)
            with pytest.raises((VerificationRefused, BadInput)):
                reading(bytes(changed))
            changed[bit // 8] ^= 1 << (bit % 8)


def test_a_request_for_somebody_elses_key_is_refused(worker):
    other = Worker("rack2")
    body = {
        "worker": "rack1",
        "signing_key": other.key.signing_public.hex(),
        "opening_key": worker.key.opening_public.hex(),
        "made": "2026-11-23T14:00:00Z",
    }
    forged = sign_document(REQUEST, body, worker.key.signing)
    assert code_of(read_request, forged, "it") == "worker-request-unreadable"


def test_another_owners_enrolment_is_refused(owner, worker, tmp_path):
    stranger = Owner(tmp_path / "stranger")
    data = stranger.enrolment_file(worker)
    assert code_of(read, data, owner) == "enrolment-of-another-owner"
    forged = enrol(
        read_request(worker.request, "it"),
        stranger.seed,
        owner_fingerprint=owner.fingerprint,
        serial="00" * 32,
        now=NOW,
    )
    assert code_of(read, forged, owner) == "enrolment-of-another-owner"
    assert code_of(read, forged, stranger) == "enrolment-unreadable"


def test_an_enrolment_holds_in_its_time_alone(owner, worker):
    data = owner.enrolment_file(worker, days=30)
    read(data, owner, NOW + timedelta(days=29))
    for now in (NOW + timedelta(days=30), NOW - timedelta(minutes=6)):
        assert code_of(read, data, owner, now) == "enrolment-expired"
    enrolled = read(data, owner)
    enrolled.check(NOW + timedelta(days=29))
    assert code_of(enrolled.check, NOW + timedelta(days=30)) == "enrolment-expired"
    for days in (0, 4000):
        assert code_of(owner.enrolment_file, worker, days) == "bad-enrolment-days"


def test_a_batch_knows_the_workers_of_the_files_it_was_given_and_no_others(owner, worker, tmp_path):
    other = Worker("rack2")
    paths = []
    for one in (worker, other):
        paths.append(tmp_path / f"{one.name}.enrolment")
        paths[-1].write_bytes(owner.enrolment_file(one))
    workers = Workers.from_files(paths, owner.fingerprint, NOW)
    assert [one.worker for one in workers] == ["rack1", "rack2"]
    assert len(workers) == 2
    assert workers.by_name("rack2").fingerprint == other.fingerprint
    # A file that is left out strikes its worker off.
    fewer = Workers.from_files(paths[:1], owner.fingerprint, NOW)
    assert code_of(fewer.by_name, "rack2") == "worker-not-enrolled"
    assert code_of(fewer.by_fingerprint, other.fingerprint) == "worker-not-enrolled"
    assert code_of(Workers.from_files, [], owner.fingerprint, NOW) == "no-workers"
    twice = [*paths, paths[0]]
    assert code_of(Workers.from_files, twice, owner.fingerprint, NOW) == "worker-twice"


def test_a_workers_keys_are_made_once_and_kept_in_its_vault():
    with Vault.in_memory() as vault:
        with pytest.raises(WatchwordError) as caught:
            open_worker_key(vault)
        assert caught.value.code == "worker-key-missing"
        with make_worker_key(vault) as made, open_worker_key(vault) as opened:
            assert opened.fingerprint == made.fingerprint
            assert opened.opening_public == made.opening_public
            assert made.fingerprint in repr(made)
        assert code_of(make_worker_key, vault) == "worker-key-exists"
        kinds = {entry.kind for entry in vault.list()}
        assert kinds == {EntryKind.SIGNING_KEY}
        assert made.signing.wiped


def test_the_owners_key_for_jobs_is_its_own_and_made_only_when_asked():
    with Vault.in_memory() as vault:
        assert code_of(owner_key, vault) == "owner-key-missing"
        first, again = owner_key(vault, make=True), owner_key(vault, make=True)
        assert signer_fingerprint(first) == signer_fingerprint(again)
        assert [entry.name for entry in vault.list()] == [OWNER_KEY_ENTRY]


def test_a_fingerprint_is_pinned_as_people_type_it(owner):
    digits = owner.fingerprint
    spaced = " ".join(digits[i : i + 8] for i in range(0, 64, 8)).upper()
    assert pinned_owner(spaced) == pinned_owner(digits) == digits
    for text in ("", digits[:-1], digits[:-1] + "g"):
        with pytest.raises(UsageError):
            pinned_owner(text)
