# SPDX-License-Identifier: Apache-2.0
"""Reads the stored entries: each held against its own hash, and all against each other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

from .canonical import NotCanonical
from .entries import LARGEST_RECORD, NO_PREVIOUS, EntryKind, LedgerEntry, hash_of
from .ledger_errors import broken

# What is too large to be a record is not even read.
COLUMNS: Final = f"""
sequence,
case when typeof(record) = 'blob' and length(record) <= {LARGEST_RECORD} then record end,
case when typeof(hash) = 'text' and length(hash) = 64 then cast(hash as blob) end
"""
"""What :func:`read_row` takes, from the table ``ledger``."""

Row = tuple[int, bytes | None, bytes | None]


def read_row(row: Row) -> LedgerEntry:
    """The entry of a row that agrees with itself; says nothing of the rows around it.

    Raises VerificationRefused ``ledger-broken`` and BadInput ``ledger-newer``.
    """
    sequence, _ = read_tip(row)
    try:
        entry = LedgerEntry.parse(row[1] or b"")
    except NotCanonical:
        raise broken(sequence, "its record is not as this program writes records") from None
    if entry.sequence != sequence:
        raise broken(sequence, f"what stands there is entry {entry.sequence}")
    return entry


def read_tip(row: Row) -> tuple[int, str]:
    """Sequence and hash of a row whose record has that hash: enough to append to it.

    Raises VerificationRefused ``ledger-broken``.
    """
    sequence, record, stored = row
    if record is None:
        raise broken(sequence, "its record is gone, or no record of an entry")
    digest = hash_of(record)
    if stored != digest.encode():
        raise broken(sequence, "its record and its hash don't belong together")
    return sequence, digest


def walk(connection: sqlite3.Connection) -> Iterator[tuple[LedgerEntry, bytes]]:
    """All entries and their records in order, each of which continues the one before.

    Raises VerificationRefused ``ledger-broken`` at the first one that does not, and
    BadInput ``ledger-newer``. Read it to the end inside one ``reading`` block.
    """
    previous, expected = NO_PREVIOUS, 1
    for row in connection.execute(f"select {COLUMNS} from ledger order by sequence"):  # noqa: S608 - our own words
        if row[0] != expected:
            raise broken(expected, _why_not_there(row[0], expected))
        entry = read_row(row)
        if entry.previous != previous:
            raise broken(
                expected,
                "it does not continue the entry before it; one of the two was changed",
                previous=expected - 1,
            )
        if (entry.kind is EntryKind.LEDGER_BEGUN) != (expected == 1):
            raise broken(expected, "a ledger begins once, with its first entry")
        yield entry, row[1]
        previous, expected = entry.hash, expected + 1


def _why_not_there(found: object, expected: int) -> str:
    if isinstance(found, int) and found > expected:
        return f"it was removed; entry {found} comes next"
    return "before it stands a row that doesn't belong there"
