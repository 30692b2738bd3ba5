# SPDX-License-Identifier: Apache-2.0
"""The seal on records: made with a key of the vault's, and by two processes with the same one."""

from __future__ import annotations

import os

import pytest

from watchword.core.errors import UsageError, VaultError, VerificationRefused
from watchword.core.launch.record import SealedRecord, record_body
from watchword.core.launch.record_seal import RECORD_KEY_ENTRY, RecordSeal
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.vault import Vault

from .test_store import make_record


@pytest.fixture
def vault():
    with Vault.in_memory() as vault:
        yield vault


def sealed(vault, seal):
    record = make_record(vault_id=vault.header.vault_id.hex())
    body = record_body(record)
    return SealedRecord(record, body, seal.seal(body))


def code_of(error, seal, record):
    with pytest.raises(error) as caught:
        seal.check(record)
    return caught.value.code


def test_what_was_sealed_is_vouched_for_and_the_key_is_one_of_the_vaults(vault):
    seal = RecordSeal(vault, os.urandom)
    record = sealed(vault, seal)
    assert seal.check(record) is record.record
    assert vault.info(RECORD_KEY_ENTRY).kind is EntryKind.RECORD_KEY


@pytest.mark.parametrize("place", [0, 20, -1])
def test_any_other_body_or_seal_is_refused(vault, place):
    seal = RecordSeal(vault, os.urandom)
    good = sealed(vault, seal)
    body = bytearray(good.body)
    body[place] ^= 1
    digits = list(good.seal)
    digits[place] = "0" if digits[place] != "0" else "1"
    for bad in (
        SealedRecord(good.record, bytes(body), good.seal),
        SealedRecord(good.record, good.body, "".join(digits)),
        SealedRecord(good.record, good.body, ""),
        SealedRecord(good.record, good.body, "\u00e9" * 64),
    ):
        assert code_of(VerificationRefused, seal, bad) == "launch-record-changed"


def test_a_vault_that_never_sealed_anything_vouches_for_nothing(vault):
    with Vault.in_memory() as other:
        record = sealed(other, RecordSeal(other, os.urandom))
        assert code_of(UsageError, RecordSeal(vault, os.urandom), record) == (
            "launch-of-another-vault"
        )
    named = SealedRecord(make_record(vault_id=vault.header.vault_id.hex()), b"", "00" * 32)
    assert code_of(VerificationRefused, RecordSeal(vault, os.urandom), named) == (
        "launch-record-changed"
    )


def test_of_two_processes_that_begin_at_once_both_take_the_first_ones_key(vault, monkeypatch):
    honest, key = vault.add, b"k" * 32

    def other_was_first(name, kind, value):
        honest(name, kind, Secret(key))
        honest(name, kind, value)

    monkeypatch.setattr(vault, "add", other_was_first)
    seal = RecordSeal(vault, os.urandom)
    record = sealed(vault, seal)
    assert seal.check(record)
    with vault.get(RECORD_KEY_ENTRY).reveal() as view:
        assert bytes(view) == key


def test_a_vault_that_cannot_be_written_makes_no_seal(vault, monkeypatch):
    def full(*arguments):
        raise VaultError("vault-not-written", "Full", "The disk is full.", "…")

    monkeypatch.setattr(vault, "add", full)
    with pytest.raises(VaultError):
        RecordSeal(vault, os.urandom).seal(b"{}")
