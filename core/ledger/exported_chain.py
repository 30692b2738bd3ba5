# SPDX-License-Identifier: Apache-2.0
"""Reads a ledger from the file that `ledger export` wrote, on whatever machine that was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..files import read_chunks
from .canonical import NotCanonical
from .entries import LARGEST_RECORD, NO_PREVIOUS, EntryKind, LedgerEntry, hash_of, is_hash
from .ledger_errors import broken

LARGEST_CHAIN: Final = 2 << 30
"""Bytes of such a file; it is read piece by piece."""
_HASH: Final = b'{"hash":"'
_RECORD: Final = b'","record":'
_HEAD: Final = len(_HASH) + 64 + len(_RECORD)
_LONGEST_LINE: Final = _HEAD + LARGEST_RECORD + 1


def read_chain(path: Path, field: str) -> Iterator[LedgerEntry]:
    """The entries of an exported ledger in order, each of which continues the one before.

    One line is in memory at a time. Raises VerificationRefused ``ledger-broken`` at the
    first that does not hold, BadInput ``ledger-newer`` and as read_chunks does.
    """
    previous = NO_PREVIOUS
    for sequence, line in enumerate(_lines(path, field), 1):
        entry = _entry(line, sequence)
        if entry.sequence != sequence:
            raise broken(sequence, f"what stands there is entry {entry.sequence}")
        if entry.previous != previous:
            why = "it does not continue the entry before it; one of the two was changed"
            raise broken(sequence, why, previous=sequence - 1)
        if (entry.kind is EntryKind.LEDGER_BEGUN) != (sequence == 1):
            raise broken(sequence, "a ledger begins once, with its first entry")
        yield entry
        previous = entry.hash


def _lines(path: Path, field: str) -> Iterator[bytes]:
    """The lines, without their ends; the last one has an end too."""
    left, count = b"", 0
    for chunk in read_chunks(path, field, limit=LARGEST_CHAIN):
        lines = (left + chunk).split(b"\n")
        left = lines.pop()
        for line in lines:
            count += 1
            yield line
        if len(left) > _LONGEST_LINE:
            raise broken(count + 1, "its line is longer than any entry's")
    if left:
        raise broken(count + 1, "its line has no end: the file was cut")


def _entry(line: bytes, sequence: int) -> LedgerEntry:
    stored = line[len(_HASH) : len(_HASH) + 64].decode("ascii", "replace")
    record = line[_HEAD:-1]
    form = b"%s%s%s%s}" % (_HASH, stored.encode(), _RECORD, record)
    if form != line or not is_hash(stored) or len(record) > LARGEST_RECORD:
        raise broken(sequence, "its line is not as `ledger export` writes lines")
    if hash_of(record) != stored:
        raise broken(sequence, "its record and its hash don't belong together")
    try:
        return LedgerEntry.parse(record)
    except NotCanonical:
        raise broken(sequence, "its record is not as this program writes records") from None
