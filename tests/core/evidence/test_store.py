# SPDX-License-Identifier: Apache-2.0
"""Documents in the records: kept as they were signed, found by launch, number or hash."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import UTC, datetime

import pytest

from watchword.core.errors import BadInput, UsageError
from watchword.core.evidence.store import EvidenceStore
from watchword.core.records.database import Records


@pytest.fixture
def records(tmp_path):
    with Records.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def store(records):
    return EvidenceStore(records, lambda: datetime(2026, 11, 23, 14, 0, tzinfo=UTC))


def test_a_document_comes_back_as_it_was_signed(store):
    stored = store.add("launch-1", b"one")
    assert (stored.number, stored.launch_id, stored.made) == (
        1,
        "launch-1",
        "2026-11-23T14:00:00Z",
    )
    assert stored.sha256 == hashlib.sha256(b"one").hexdigest()
    assert store.envelope(stored) == b"one"


def test_the_same_document_twice_is_one(store):
    assert store.add("launch-1", b"one") == store.add("launch-1", b"one")
    assert len(store.list()) == 1


def test_documents_are_listed_by_age_and_launch(store):
    for launch, data in (("a", b"1"), ("b", b"2"), ("a", b"3")):
        store.add(launch, data)
    assert [entry.number for entry in store.list()] == [1, 2, 3]
    assert [entry.number for entry in store.list("a")] == [1, 3]
    assert store.list("c") == ()


def test_a_launchs_newest_document_a_number_or_a_hash_finds_it(store):
    store.add("a", b"1")
    store.add("a", b"2")
    store.add("3", b"3")
    assert store.envelope(store.find("a")) == b"2"
    assert store.envelope(store.find("1")) == b"1"
    assert store.envelope(store.find(hashlib.sha256(b"2").hexdigest().upper())) == b"2"
    # A launch may be called as a document is numbered.
    assert store.envelope(store.find("3")) == b"3"


@pytest.mark.parametrize("name", ["", "9", "zzz", "0" * 64, "x" * 4000, "a' or 1=1 --", "\udcff"])
def test_what_is_not_there_is_told_so(store, name):
    store.add("a", b"1")
    with pytest.raises(UsageError) as caught:
        store.find(name)
    assert caught.value.code == "evidence-missing"


def test_a_document_that_was_exchanged_in_the_file_is_noticed(store, tmp_path):
    stored = store.add("a", b"1")
    raw = sqlite3.connect(tmp_path / "records.sqlite3")
    raw.execute("drop trigger evidence_not_changed")
    raw.execute("update evidence set envelope = ?", (b"2",))
    raw.commit()
    raw.close()
    with pytest.raises(BadInput) as caught:
        store.envelope(stored)
    assert caught.value.code == "records-damaged"


def add_and_fail(store, records):
    with records.writing():
        store.add("a", b"1")
        raise RuntimeError


def test_a_document_is_part_of_the_surrounding_transaction(store, records):
    with pytest.raises(RuntimeError):
        add_and_fail(store, records)
    assert store.list() == ()


def test_a_document_that_is_too_large_is_not_kept(store):
    with pytest.raises(BadInput) as caught:
        store.add("a", bytes((1 << 20) + 1))
    assert caught.value.code == "evidence-too-large"
    assert store.list() == ()
