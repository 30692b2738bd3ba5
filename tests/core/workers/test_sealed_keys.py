# SPDX-License-Identifier: Apache-2.0
"""Sealed secrets: one worker opens them, for one job; its vault has them while that lasts."""

from __future__ import annotations

import os
from dataclasses import fields, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from watchword.core.errors import VerificationRefused, WatchwordError
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.vault import Vault
from watchword.core.workers.lending import lend, take_all_back, take_back
from watchword.core.workers.sealed_keys import OVERHEAD, SealedFor, open_entry, seal_entry
from watchword.core.workers.worker_store import WorkerStore

from .support import Owner, Worker

SECRET = b"correct horse battery staple, for jobs"
BOUND = SealedFor(
    owner="0a" * 32,
    worker="0b" * 32,
    job="0c" * 16,
    guest_key="0d" * 32,
    turn=7,
    entry="web/disk",
    kind="disk-secret",
)


@pytest.fixture
def owner(tmp_path):
    return Owner(tmp_path / "owner")


@pytest.fixture
def worker():
    return Worker()


@pytest.fixture
def vault():
    with Vault.in_memory() as vault:
        yield vault


@pytest.fixture
def store(tmp_path):
    with WorkerStore.open(tmp_path / "worker") as store:
        yield store


def code_of(call, *values):
    with pytest.raises(WatchwordError) as caught:
        call(*values)
    return caught.value.code


def value_of(secret):
    with secret.reveal() as view:
        return bytes(view)


def job_with(owner, worker, secret=SECRET, turn=1, name="web1"):
    """A job that brings the secret of ``web/disk``."""
    assignment = owner.assignment(worker, turn, name, job_id=os.urandom(16).hex())
    sealed = {"web/disk": (EntryKind.DISK_SECRET, Secret(secret))}
    signed = owner.sign(worker, planned=owner.planned(name), assignment=assignment, sealed=sealed)
    return worker.open(signed.package, owner)


def test_what_is_sealed_opens_with_the_workers_key(worker):
    ciphertext = seal_entry(Secret(SECRET), worker.key.opening_public, BOUND)
    assert len(ciphertext) == len(SECRET) + OVERHEAD
    assert value_of(open_entry(ciphertext, worker.key.opening_key(), BOUND)) == SECRET
    assert seal_entry(Secret(SECRET), worker.key.opening_public, BOUND) != ciphertext


@pytest.mark.parametrize("name", [field.name for field in fields(SealedFor)])
def test_it_opens_for_nothing_but_what_it_was_sealed_for(worker, name):
    ciphertext = seal_entry(Secret(SECRET), worker.key.opening_public, BOUND)
    other = replace(BOUND, **{name: 8 if name == "turn" else "0e" * 16})
    assert code_of(open_entry, ciphertext, worker.key.opening_key(), other) == (
        "sealed-entry-refused"
    )


def test_every_flipped_bit_of_a_ciphertext_is_refused(worker):
    ciphertext = bytearray(seal_entry(Secret(SECRET), worker.key.opening_public, BOUND))
    key = worker.key.opening_key()
    for bit in range(8 * len(ciphertext)):
        # The top bit of an X25519 public key counts for nothing in the curve, but HPKE hashes it.
        ciphertext[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(VerificationRefused):
            open_entry(bytes(ciphertext), key, BOUND)
        ciphertext[bit // 8] ^= 1 << (bit % 8)
    for cut in (0, 1, 31, 47, len(ciphertext) - 1):
        with pytest.raises(VerificationRefused):
            open_entry(bytes(ciphertext[:cut]), key, BOUND)
    other = X25519PrivateKey.generate()
    assert code_of(open_entry, bytes(ciphertext), other, BOUND) == "sealed-entry-refused"


def test_hpke_agrees_with_a_second_implementation(worker):
    """RFC 9180 by hand, from X25519, HMAC and AES-GCM alone: not a mirror of the library."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    ciphertext = seal_entry(Secret(SECRET), worker.key.opening_public, BOUND)
    enc, key = ciphertext[:32], worker.key.opening_key()
    kem, suite = b"KEM\0\x20", b"HPKE\0\x20\0\x01\0\x02"
    dh = key.exchange(X25519PublicKey.from_public_bytes(enc))
    shared = expand(
        extract(b"", b"HPKE-v1" + kem + b"eae_prk" + dh),
        b"\0\x20HPKE-v1" + kem + b"shared_secret" + enc + worker.key.opening_public,
        32,
    )
    context = b"\0" + extract(b"", b"HPKE-v1" + suite + b"psk_id_hash")
    context += extract(b"", b"HPKE-v1" + suite + b"info_hash" + BOUND.info())
    secret = extract(shared, b"HPKE-v1" + suite + b"secret")
    aead = expand(secret, b"\0\x20HPKE-v1" + suite + b"key" + context, 32)
    nonce = expand(secret, b"\0\x0cHPKE-v1" + suite + b"base_nonce" + context, 12)
    assert AESGCM(aead).decrypt(nonce, ciphertext[32:], b"") == SECRET


def extract(salt, key):
    import hmac

    return hmac.digest(salt or bytes(32), key, "sha256")


def expand(key, info, size):
    import hmac

    return hmac.digest(key, info + b"\x01", "sha256")[:size]


def test_a_lent_secret_is_in_the_vault_while_the_job_lasts(owner, worker, vault, store):
    job = job_with(owner, worker)
    for _ in range(2):  # a job may come twice
        lend(job, worker.key, vault, store)
        assert value_of(vault.get("web/disk")) == SECRET
        assert vault.info("web/disk").kind is EntryKind.DISK_SECRET
    for _ in range(2):
        take_back(job, vault, store)
        assert not vault.holds("web/disk")


def test_two_jobs_share_a_secret_until_both_are_over(owner, worker, vault, store):
    one, other = job_with(owner, worker), job_with(owner, worker, name="web2")
    lend(one, worker.key, vault, store)
    lend(other, worker.key, vault, store)
    take_back(one, vault, store)
    assert value_of(vault.get("web/disk")) == SECRET
    take_back(other, vault, store)
    assert not vault.holds("web/disk")


def test_two_jobs_cant_bring_different_secrets_of_one_name(owner, worker, vault, store):
    one = job_with(owner, worker)
    other = job_with(owner, worker, b"another secret", name="web2")
    lend(one, worker.key, vault, store)
    assert code_of(lend, other, worker.key, vault, store) == "entry-lent-otherwise"
    assert value_of(vault.get("web/disk")) == SECRET
    take_back(one, vault, store)
    lend(other, worker.key, vault, store)
    assert value_of(vault.get("web/disk")) == b"another secret"


def test_the_workers_own_secret_stays_its_own(owner, worker, vault, store):
    vault.add("web/disk", EntryKind.DISK_SECRET, Secret(b"the worker's own"))
    job = job_with(owner, worker)
    assert code_of(lend, job, worker.key, vault, store) == "entry-not-lent"
    take_back(job, vault, store)
    assert value_of(vault.get("web/disk")) == b"the worker's own"


def test_a_crash_between_note_and_secret_leaves_nothing_unknown(owner, worker, vault, store):
    job = job_with(owner, worker)
    store.lend("web/disk", job.digest)  # and then it died
    lend(job, worker.key, vault, store)
    assert value_of(vault.get("web/disk")) == SECRET
    take_back(job, vault, store)
    assert not vault.holds("web/disk")


def test_what_jobs_have_brought_is_taken_back_and_nothing_else(owner, worker, vault, store):
    vault.add("web/own", EntryKind.DISK_SECRET, Secret(b"the worker's own"))
    for name in ("web1", "web2"):
        lend(job_with(owner, worker, name=name), worker.key, vault, store)
    for _ in range(2):
        take_all_back(vault, store)
        assert [entry.name for entry in vault.list()] == ["web/own"]
        assert not store.is_lent("web/disk")


def test_nothing_secret_is_in_the_workers_store(owner, worker, vault, store):
    lend(job_with(owner, worker), worker.key, vault, store)
    files = store.path.parent.glob("worker.sqlite3*")
    assert all(SECRET not in path.read_bytes() for path in files)
    assert store.path.stat().st_mode & 0o777 == 0o600
