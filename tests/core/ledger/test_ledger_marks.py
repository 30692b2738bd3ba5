# SPDX-License-Identifier: Apache-2.0
"""What the ledger says of launches for good is read once, and never forgotten."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from watchword.core.errors import VerificationRefused
from watchword.core.launch.ledger_marks import LedgerMarks
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import FILE_NAME

SEALED, ABANDONED = EntryKind.PACKET_SEALED, EntryKind.LAUNCH_ABANDONED


def damage(folder, sequence):
    """Flip a byte of an entry, as somebody does who can write the file."""
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute("drop trigger ledger_not_changed")
        record = connection.execute(
            "select record from ledger where sequence = ?", (sequence,)
        ).fetchone()[0]
        changed = record.replace(b'"n":1', b'"n":2')
        assert changed != record
        connection.execute("update ledger set record = ? where sequence = ?", (changed, sequence))
        connection.commit()


def test_what_is_appended_later_is_found(ledger):
    marks = LedgerMarks(ledger)
    assert marks.of("a") == frozenset()
    ledger.append(EntryKind.LAUNCH_PREPARED, "a", {"n": 1})
    ledger.append(SEALED, "a", {"n": 1})
    assert marks.of("a") == {SEALED}
    ledger.append(ABANDONED, "a", {"n": 1})
    ledger.append(SEALED, "b", {"n": 1})
    assert (marks.of("a"), marks.of("b")) == ({SEALED, ABANDONED}, {SEALED})


def test_each_entry_is_read_once(ledger, monkeypatch):
    for name in "abc":
        ledger.append(SEALED, name, {"n": 1})
    marks, read = LedgerMarks(ledger), []
    entries = Ledger.entries

    def counted(self, **words):
        for entry in entries(self, **words):
            read.append(entry)
            yield entry

    monkeypatch.setattr(Ledger, "entries", counted)
    for _ in range(5):
        marks.of("a")
    assert len(read) == 3


def test_a_damaged_entry_stops_its_own_launch_alone(ledger, folder):
    ledger.append(SEALED, "a", {"n": 1})
    ledger.append(SEALED, "b", {"n": 0})
    damage(folder, 2)
    marks = LedgerMarks(ledger)
    with pytest.raises(VerificationRefused) as caught:
        marks.of("a")
    assert caught.value.code == "ledger-broken"
    assert marks.of("b") == {SEALED}


def test_what_was_read_is_not_forgotten_when_it_is_removed(ledger, folder):
    ledger.append(SEALED, "a", {"n": 1})
    marks = LedgerMarks(ledger)
    assert marks.of("a") == {SEALED}
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute("drop trigger ledger_not_removed")
        connection.execute("delete from ledger where sequence = 2")
        connection.commit()
    assert marks.of("a") == {SEALED}


def test_what_was_appended_to_an_older_copy_is_found(ledger, folder):
    for name in "abc":
        ledger.append(SEALED, name, {"n": 1})
    marks = LedgerMarks(ledger)
    assert marks.of("c") == {SEALED}
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute("drop trigger ledger_not_removed")
        connection.execute("delete from ledger where sequence > 2")
        connection.commit()
    ledger.append(SEALED, "d", {"n": 1})
    assert marks.of("d") == {SEALED}
    assert marks.of("c") == {SEALED}
