# SPDX-License-Identifier: Apache-2.0
"""Jobs: what the owner signed is what the worker does; anything else is refused."""

from __future__ import annotations

import base64
import copy
import json
import os
import pickle
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watchword.core.batch.intent import BatchOrder, Phase
from watchword.core.errors import BadInput, UsageError, VerificationRefused, WatchwordError
from watchword.core.evidence.signing_key import new_signing_key, signer_fingerprint
from watchword.core.ledger.canonical import canonical
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.workers import signed_job
from watchword.core.workers.enrolment import ENROLMENT
from watchword.core.workers.envelope import open_document, sign_document, signed_bytes
from watchword.core.workers.signed_job import JOB, LARGEST_PACKAGE, guest_key
from watchword.core.workers.signed_result import RESULT
from watchword.core.workers.verified_job import VerifiedJob, open_job

from .support import HOST, LATER, NOW, Owner, Worker

SECRET = b"correct horse battery staple, for jobs"


@pytest.fixture
def owner(tmp_path):
    return Owner(tmp_path / "owner")


@pytest.fixture
def worker():
    return Worker()


def refused(call, *values, **more):
    with pytest.raises(WatchwordError) as caught:
        call(*values, **more)
    return caught.value.code


def envelope_of(package):
    return json.loads(package)["job"].encode()


def sealed_job(owner, worker):
    sealed = {"web/disk": (EntryKind.DISK_SECRET, Secret(SECRET))}
    return owner.sign(worker, sealed=sealed)


def signed_again(owner, job, **changes):
    """A job with other words under a good signature: what a mistaken owner would sign."""
    document = {**json.loads(job.job.model_dump_json()), **changes}
    envelope = sign_document(JOB, document, owner.seed)
    return canonical({"job": envelope.decode(), "sealed": []})


def test_a_worker_reads_the_launch_that_the_owner_signed(owner, worker, tmp_path):
    planned = owner.planned()
    signed = owner.sign(worker, planned=planned)
    job = worker.open(signed.package, owner)
    assert job.digest == signed.digest
    there = job.planned(tmp_path / "jobs", signed.files)
    assert there == replace(planned, folder=there.folder)
    assert tmp_path / "jobs" in there.folder.parents
    assert (job.job.turn, job.job.host) == (1, HOST)
    assert job.guest_key == guest_key(owner.fingerprint, "web", HOST)


def test_certificates_travel_by_hash_and_are_held_against_it(owner, worker, tmp_path):
    file = tmp_path / "chain.cert"
    file.write_bytes(b"certificates")
    planned = replace(owner.planned(), certificates=(file,))
    signed = owner.sign(worker, planned=planned)
    job = worker.open(signed.package, owner)
    assert list(signed.files) == list(job.needs)
    there = job.planned(tmp_path / "jobs", signed.files)
    assert [path.read_bytes() for path in there.certificates] == [b"certificates"]
    for wrong in ({}, {job.needs[0]: b"other"}):
        assert refused(job.planned, tmp_path / "jobs", wrong) == "job-file-missing"


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_every_flipped_bit_of_a_job_is_refused(owner, worker, step):
    package = bytearray(sealed_job(owner, worker).package)
    worker.open(bytes(package), owner)
    for bit in range(0, 8 * len(package), step):
        package[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises((VerificationRefused, BadInput)):
            worker.open(bytes(package), owner)
        package[bit // 8] ^= 1 << (bit % 8)


@given(data=st.binary(max_size=300))
@example(data=b'{"job":"{}","sealed":[]}')
@example(data=b'{"job":' + b"[" * 5000 + b"]" * 5000 + b',"sealed":[]}')
@example(data=b'{"job":"","sealed":[' + b"1" * 5000 + b"]}")
def test_whatever_comes_from_the_queue_is_refused_in_words(data):
    for reading in (
        lambda: open_job(data, owner="0" * 64, worker="1" * 64, now=NOW),
        lambda: open_document(RESULT, data, "it", "0" * 64),
        lambda: open_document(ENROLMENT, data, "it"),
    ):
        with pytest.raises(BadInput):
            reading()


def test_every_bit_of_the_signature_counts(owner, worker):
    envelope = json.loads(envelope_of(owner.sign(worker).package))
    signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    for bit in range(8 * len(signature)):
        signature[bit // 8] ^= 1 << (bit % 8)
        envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
        package = canonical({"job": canonical(envelope).decode(), "sealed": []})
        assert refused(worker.open, package, owner) == "job-signature"
        signature[bit // 8] ^= 1 << (bit % 8)


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -100])
def test_a_job_that_was_cut_or_lengthened_is_refused(owner, worker, cut):
    package = owner.sign(worker).package
    assert refused(worker.open, package[:cut], owner) == "job-unreadable"
    assert refused(worker.open, package + b" " * (cut % 7 + 1), owner) == "job-unreadable"
    assert refused(worker.open, b" " * (LARGEST_PACKAGE + 1), owner) == "job-too-large"


def test_a_job_written_otherwise_is_refused_though_its_signature_holds(owner, worker):
    package = owner.sign(worker).package
    spaced = json.dumps(json.loads(package)).encode()
    assert spaced != package
    assert refused(worker.open, spaced, owner) == "job-unreadable"
    envelope = json.dumps(json.loads(envelope_of(package)))
    respelled = canonical({"job": envelope, "sealed": []})
    assert refused(worker.open, respelled, owner) == "job-unreadable"


def test_another_owners_job_is_refused(owner, worker, tmp_path):
    stranger = Owner(tmp_path / "stranger")
    assert refused(worker.open, stranger.sign(worker).package, owner) == "job-of-another-owner"
    document = {**json.loads(owner.sign(worker).job.model_dump_json())}
    envelope = sign_document(JOB, document, stranger.seed)  # in the first one's name
    package = canonical({"job": envelope.decode(), "sealed": []})
    assert refused(worker.open, package, owner) == "job-of-another-owner"
    assert refused(worker.open, package, stranger) == "job-unreadable"


def test_another_workers_job_is_refused(owner, worker):
    other = Worker("rack2")
    assert refused(other.open, owner.sign(worker).package, owner) == "job-for-another-worker"


@pytest.mark.parametrize("now", [LATER, LATER + timedelta(days=9), NOW - timedelta(minutes=6)])
def test_a_job_is_good_in_its_time_alone(owner, worker, now):
    package = owner.sign(worker).package
    assert refused(worker.open, package, owner, now) == "job-expired"
    worker.open(package, owner, LATER - timedelta(seconds=1))
    worker.open(package, owner, NOW - timedelta(minutes=4))


def test_a_signature_under_another_kind_of_document_is_none_under_a_job(owner, worker):
    body = json.loads(owner.sign(worker).job.model_dump_json())
    for kind in (ENROLMENT, RESULT):
        envelope = sign_document(replace(kind, largest=JOB.largest), body, owner.seed)
        package = canonical({"job": envelope.decode(), "sealed": []})
        assert refused(worker.open, package, owner) == "job-unreadable"
        # Nor does it help to call it a job.
        relabelled = canonical({**json.loads(envelope), "payloadType": JOB.media_type})
        package = canonical({"job": relabelled.decode(), "sealed": []})
        assert refused(worker.open, package, owner) == "job-signature"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("profile_sha256", "0" * 64),
        ("guest", "other"),
        ("host", "QMP+unix:///run/web1"),
        ("host", "exchange:///media/usb"),
        ("ceks", []),
        ("ceks", ["cd" * 32]),
        ("oca", "cd" * 32),
        ("secrets", []),
        ("secrets", [{"entry": "web/other", "kind": None, "sealed": None}]),
        ("turn", 0),
        ("turn", "1"),
        ("worker_name", "rack1\n"),
        ("not_after", "2026-13-45T00:00:00Z"),
        ("phase", "some"),
        ("surprise", 1),
        ("start", []),
    ],
)
def test_a_job_that_does_not_belong_together_is_refused(owner, worker, field, value):
    package = signed_again(owner, owner.sign(worker), **{field: value})
    assert refused(worker.open, package, owner) == "job-unreadable"


def test_a_secret_named_as_sealed_has_to_come_along(owner, worker):
    secrets = [{"entry": "web/disk", "kind": "disk-secret", "sealed": "0" * 64}]
    package = signed_again(owner, owner.sign(worker), secrets=secrets)
    assert refused(worker.open, package, owner) == "sealed-entry-refused"
    secrets[0]["sealed"] = None
    package = signed_again(owner, owner.sign(worker), secrets=secrets)
    assert refused(worker.open, package, owner) == "job-unreadable"


def test_another_ciphertext_in_the_sealed_ones_place_is_refused(owner, worker):
    one, other = sealed_job(owner, worker), sealed_job(owner, worker)
    mixed = {**json.loads(one.package), "sealed": json.loads(other.package)["sealed"]}
    assert refused(worker.open, canonical(mixed), owner) == "sealed-entry-refused"
    for sealed in ([], 2 * json.loads(one.package)["sealed"]):
        mixed = {**json.loads(one.package), "sealed": sealed}
        assert refused(worker.open, canonical(mixed), owner) == "sealed-entry-refused"


def test_nothing_but_the_workers_key_finds_the_secret_in_a_job(owner, worker):
    package = sealed_job(owner, worker).package
    for form in (SECRET, SECRET.hex().encode(), base64.b64encode(SECRET)[:-4]):
        assert form not in package
        assert form not in b"".join(map(base64.b64decode, json.loads(package)["sealed"]))


def test_a_verified_job_is_made_by_verifying_alone(owner, worker):
    job = worker.open(owner.sign(worker).package, owner)
    with pytest.raises(TypeError):
        VerifiedJob(None, job.job, job.digest, job.profile, job.not_after, ())
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copied(job)
    with pytest.raises(TypeError):
        job.digest = "0" * 64


def test_what_cant_be_a_job_is_not_signed(owner, worker, tmp_path):
    by_hand = replace(owner.planned(), host="exchange:///media/usb")
    assert refused(owner.sign, worker, planned=by_hand) == "job-by-hand"
    for end in (NOW, NOW + timedelta(days=32)):
        assert refused(owner.sign, worker, not_after=end) == "job-lasts-too-long"
    other = owner.assignment(Worker("rack2"))
    assert refused(owner.sign, worker, assignment=other) == "other-assignment"
    long = replace(owner.planned(), start=("x" * 5000,))
    assert refused(owner.sign, worker, planned=long) == "job-unfit"
    large = Secret(os.urandom(64 * 1024))
    many = {"web/disk": (EntryKind.DISK_SECRET, large)}
    owner.sign(worker, sealed=many)


def test_nothing_is_signed_or_sealed_for_a_worker_whose_enrolment_is_over(owner, worker):
    end = NOW + timedelta(days=365)
    last = {"now": end - timedelta(hours=1), "not_after": end}
    owner.sign(worker, **last)
    sealed = {"web/disk": (EntryKind.DISK_SECRET, Secret(SECRET))}
    late = {"now": end, "not_after": end + timedelta(hours=1), "sealed": sealed}
    assert refused(owner.sign, worker, **late) == "enrolment-expired"
    last["not_after"] += timedelta(seconds=1)
    assert refused(owner.sign, worker, **last) == "job-lasts-too-long"


def test_a_package_beyond_what_a_queue_carries_is_not_signed(owner, worker, monkeypatch):
    monkeypatch.setattr(signed_job, "LARGEST_PACKAGE", 1000)
    assert refused(owner.sign, worker) == "job-too-large"


def test_the_batchs_order_travels_along(owner, worker):
    order = BatchOrder(
        phase=Phase.COMPLETE, folder=owner.folder, environment={}, resume=True, retry_failed=True
    )
    job = worker.open(owner.sign(worker, order=order, most_at_once=3).package, owner).job
    assert (job.phase, job.resume, job.retry_failed, job.most_at_once) == (
        "complete",
        True,
        True,
        3,
    )


def test_openssl_agrees_that_the_owner_signed_what_stands_in_the_job(
    owner, worker, tmp_path, program
):
    """Not a mirror of ourselves: the envelope is taken apart by hand, and openssl verifies."""
    openssl = program("openssl", "openssl")
    envelope = json.loads(envelope_of(owner.sign(worker).package))
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    entry = envelope["signatures"][0]
    assert kind == b"application/vnd.watchword.job.v1+json"
    pae = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    spki = bytes.fromhex("302a300506032b6570032100") + bytes.fromhex(entry["keyid"])
    (tmp_path / "key.der").write_bytes(spki)
    (tmp_path / "sig").write_bytes(base64.b64decode(entry["sig"]))

    def verified(message):
        (tmp_path / "message").write_bytes(message)
        words = ["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der"]
        words += ["-rawin", "-in", "message", "-sigfile", "sig"]
        done = subprocess.run(
            [openssl, *words], cwd=tmp_path, capture_output=True, check=False, timeout=200
        )
        return done.returncode == 0

    assert verified(pae)
    assert not verified(pae.replace(b"web1", b"web2"))
    assert not verified(payload)


def test_a_known_signature_comes_out_the_same(owner):
    """RFC 8032, section 7.1, test 1: the seed and public key; DSSE's encoding by its own text."""
    seed = Secret(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    document = sign_document(JOB, {"a": 1}, seed)
    assert json.loads(document)["signatures"][0]["keyid"] == public
    assert open_document(JOB, document, "it", signer_fingerprint(seed)).payload == b'{"a":1}'
    assert signed_bytes(replace(JOB, word="x"), b"hello") == (
        b"DSSEv1 35 application/vnd.watchword.x.v1+json 5 hello"
    )


def test_a_strangers_key_is_no_owner(owner, worker):
    stranger = new_signing_key(os.urandom)
    document = sign_document(JOB, {"a": 1}, stranger)
    with pytest.raises(VerificationRefused) as caught:
        open_document(JOB, document, "it", owner.fingerprint)
    assert caught.value.code == "job-of-another-owner"


def test_sizes_are_bounded_before_anything_is_read(owner):
    with pytest.raises(BadInput) as caught:
        sign_document(ENROLMENT, {"a": "x" * 5000}, owner.seed)
    assert caught.value.code == "enrolment-too-large"
    with pytest.raises(BadInput) as caught:
        open_document(JOB, b"x" * (JOB.largest + 1), "it", owner.fingerprint)
    assert caught.value.code == "job-too-large"


def test_usage_errors_say_what_to_do():
    with pytest.raises(UsageError) as caught:
        Worker("Rack 1")
    assert caught.value.code == "bad-worker-name"
