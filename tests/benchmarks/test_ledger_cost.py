# SPDX-License-Identifier: Apache-2.0
"""What the ledger costs: against a bare synced insert, and against bare hashing of its records."""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records

from .ratio import Ratio

ENTRIES = 10_000
APPENDED = 20
"""Entries that one round appends, each in a transaction of its own."""
BODY = {
    "guest": "vm1",
    "host": "qmp+unix:///run/vm1.sock",
    "platform": "verified",
    "generation": "milan",
    "cek_sha256": "c0" * 32,
    "pdh_sha256": "d1" * 32,
    "chip_id": "e2" * 64,
    "policy": 0x2F,
    "api_major": 1,
    "api_minor": 49,
    "build": 3,
    "firmware_sha256": ["f1" * 32],
    "launch_digest": "34" * 32,
    "measurement": "56" * 32,
    "nonce": "78" * 16,
    "secrets": [
        {
            "name": "disk-passphrase",
            "guid": "736869e5-84f0-4973-92ec-06879ce3da0b",
            "entry": "vm1/disk",
            "size": 45,
            "test": False,
        }
    ],
    "packet_sha256": "9a" * 32,
    "waivers": {},
    "error": None,
}
"""The largest of the usual bodies: a record of 1.2 KiB."""


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with Records.open(tmp_path / "home") as records:
        yield records


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A table of the same columns, in a file whose commits wait for the disk too."""
    connection = sqlite3.connect(tmp_path / "bare.sqlite3", isolation_level=None)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    connection.execute(
        "create table ledger"
        " (sequence integer primary key, record blob not null, hash text not null unique) strict"
    )
    yield connection
    connection.close()


def test_appending_costs_little_more_than_a_synced_insert_of_the_same_bytes(
    records: Records, bare: sqlite3.Connection, ratio: Ratio
) -> None:
    ledger = Ledger(records)
    record = ledger.append(EntryKind.PACKET_SEALED, "launch-1", BODY).build()
    digests = ((n, hashlib.sha256(b"%d" % n).hexdigest()) for n in itertools.count(1))

    def append() -> None:
        for _ in range(APPENDED):
            ledger.append(EntryKind.PACKET_SEALED, "launch-1", BODY)

    def insert() -> None:
        for number, digest in itertools.islice(digests, APPENDED):
            bare.execute("begin immediate")
            bare.execute("insert into ledger values (?, ?, ?)", (number, record, digest))
            bare.execute("commit")

    ratio("ledger append / bare synced insert", append, insert, 2.5)


def test_verifying_costs_a_multiple_of_reading_and_hashing_the_same_records(
    records: Records, ratio: Ratio
) -> None:
    ledger = Ledger(records)
    with records.writing():
        for _ in range(ENTRIES - 1):
            ledger.append(EntryKind.PACKET_SEALED, "launch-1", BODY)

    def verify() -> None:
        assert ledger.verify().entries == ENTRIES

    def hash_alone() -> None:
        with records.reading() as connection:
            rows = connection.execute("select record, hash from ledger order by sequence")
            assert all(hashlib.sha256(record).hexdigest() == found for record, found in rows)

    ratio("ledger verify / select and sha256", verify, hash_alone, 20, rounds=5)
