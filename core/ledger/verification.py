# SPDX-License-Identifier: Apache-2.0
"""Walks a whole ledger, and holds it against heads that were known earlier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .entries import LedgerEntry
from .heads import ExportedHead, LedgerHead
from .ledger_errors import cut, other_ledger, rewritten

KnownHead = LedgerHead | ExportedHead


@dataclass(frozen=True, slots=True)
class LedgerVerdict:
    """A ledger whose chain holds from the first entry to the last.

    ``ledger_id``    32 hex digits, None for an empty ledger
    ``entries``      how many there are
    ``simulated``    how many of them tell of simulated platforms
    ``head``         of the last entry, None for an empty ledger
    ``first_time``, ``last_time``  of the first and the last entry
    ``known_heads``  how many heads from earlier it was held against. With none, entries
    that are missing at its end can't be noticed
    """

    ledger_id: str | None
    entries: int
    simulated: int
    head: LedgerHead | None
    first_time: str | None
    last_time: str | None
    known_heads: int

    def as_json(self) -> dict[str, object]:
        """The verdict with stable field names."""
        return {
            "ledger_id": self.ledger_id,
            "entries": self.entries,
            "simulated": self.simulated,
            "head": self.head.as_json() if self.head else None,
            "first_time": self.first_time,
            "last_time": self.last_time,
            "known_heads": self.known_heads,
        }


def verify_entries(
    entries: Iterable[LedgerEntry], known_heads: Sequence[KnownHead] = ()
) -> LedgerVerdict:
    """Take the entries as chain.walk gives them to their end, and compare known heads.

    Raises VerificationRefused ``ledger-cut`` and ``ledger-rewritten``, and what the walk
    raises.
    """
    wanted = {_head(known).sequence for known in known_heads}
    found: dict[int, LedgerHead] = {}
    first: LedgerEntry | None = None
    last: LedgerEntry | None = None
    count = simulated = 0
    for entry in entries:
        first, last = first or entry, entry
        count += 1
        simulated += entry.simulated
        if entry.sequence in wanted:
            found[entry.sequence] = LedgerHead(entry.sequence, entry.hash)
    ledger_id = str(first.body["ledger_id"]) if first else None
    for known in known_heads:
        _hold_against(known, ledger_id, found, count)
    return LedgerVerdict(
        ledger_id,
        count,
        simulated,
        LedgerHead(last.sequence, last.hash) if last else None,
        first.time if first else None,
        last.time if last else None,
        len(known_heads),
    )


def _head(known: KnownHead) -> LedgerHead:
    return known.head if isinstance(known, ExportedHead) else known


def _hold_against(
    known: KnownHead, ledger_id: str | None, found: dict[int, LedgerHead], length: int
) -> None:
    head = _head(known)
    if isinstance(known, ExportedHead) and ledger_id not in (None, known.ledger_id):
        raise other_ledger(known.ledger_id, str(ledger_id), head)
    if head.sequence not in found:
        raise cut(head, length)
    if found[head.sequence] != head:
        raise rewritten(head, found[head.sequence])
