# SPDX-License-Identifier: Apache-2.0
"""The ledger's copy of what worker's store and owner's assignments must never forget.

The two files have no anchor of their own, the ledger has: the keyring knows its head. So the
ledger is told of each turn, and that is noted before a packet, a statement or a job leaves.
Where one of the files is an older copy, or gone, the ledger brings back what it lacks.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import VerificationRefused
from ..ledger.anchor import newest_head
from ..ledger.entries import EntryKind
from .small_database import SmallDatabase

if TYPE_CHECKING:
    from pathlib import Path

    from ..ledger.entries import LedgerEntry
    from ..ledger.ledger import Ledger
    from ..vault.vault import Vault

AT_WORKERS: Final = (EntryKind.JOB_BEGUN, EntryKind.JOB_SEALING, EntryKind.JOB_GIVEN_UP)
AT_OWNERS: Final = (EntryKind.JOB_ASSIGNED,)


@dataclass(frozen=True, slots=True)
class NotedTurn:
    """What an entry says of a turn; ``launch_id`` of the launch that claimed it, if any did."""

    entry: LedgerEntry
    guest_key: str
    turn: int
    launch_id: str | None

    def text(self, name: str) -> str:
        """A text of the entry. Raises VerificationRefused ``job-entry-unreadable``."""
        value = self.entry.body.get(name)
        if not isinstance(value, str):
            raise _unreadable(self.entry)
        return value


class JobJournal:
    """What the ledger knows of jobs, for one thread; each thing is told to it once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._told: set[tuple[EntryKind, str, int]] = set()

    def noted(self, kinds: tuple[EntryKind, ...]) -> tuple[NotedTurn, ...]:
        """All that it was told, in order.

        Raises VerificationRefused ``ledger-broken``, ``job-entry-unreadable``.
        """
        found = tuple(_noted(entry) for entry in self._ledger.entries(kinds=kinds))
        self._told.update((one.entry.kind, one.guest_key, one.turn) for one in found)
        return found

    def tell(
        self,
        kind: EntryKind,
        guest_key: str,
        turn: int,
        *,
        launch_id: str | None = None,
        **more: str,
    ) -> None:
        """Have the ledger know it, on the disk when this returns; again is nothing."""
        mark = kind, guest_key, turn
        if mark not in self._told:
            body: dict[str, object] = {"guest_key": guest_key, "turn": turn, **more}
            self._ledger.append(kind, launch_id, body)
            self._told.add(mark)


class RememberedDatabase(SmallDatabase):
    """A small file of which the ledger knows what is never to be forgotten.

    Subclasses say of which ``KINDS``, and how a row is brought back.
    """

    KINDS: tuple[EntryKind, ...]

    _journal: JobJournal | None = None

    def stand_by(self, journal: JobJournal) -> int:
        """Have the ledger know all that comes, and bring back what it knows; how many rows.

        Raises VerificationRefused ``worker-store-otherwise`` where the two contradict each
        other, and as JobJournal.noted.
        """
        brought = 0
        with self._writing() as connection:
            for noted in journal.noted(self.KINDS):
                try:
                    brought += self._bring_back(connection, noted)
                except sqlite3.IntegrityError:
                    raise _contradicted(self.WORD, self.path, noted) from None
        self._journal = journal
        return brought

    def _bring_back(self, connection: sqlite3.Connection, noted: NotedTurn) -> int:
        """How many rows were missing; sqlite3.IntegrityError where there is another one."""
        raise NotImplementedError


def note_head(ledger: Ledger, vault: Vault) -> None:
    """Have the keyring know the ledger's head, where there is a keyring.

    Before anything leaves that rests on what the ledger was told. Raises as
    ``Vault.write_anchor`` and ``newest_head``.
    """
    head = ledger.head()
    if head is not None and head.text != vault.ledger_head:
        vault.write_anchor(lambda noted: newest_head(ledger, noted))


def _contradicted(word: str, path: Path, noted: NotedTurn) -> VerificationRefused:
    """VerificationRefused ``worker-store-otherwise``: the file says otherwise than the ledger."""
    return VerificationRefused(
        "worker-store-otherwise",
        "The ledger remembers another course of events",
        f"Entry {noted.entry.sequence} of the ledger tells of launch {noted.turn} of"
        f" {noted.text('guest')} at {noted.text('host')}, and {word} ({path}) says otherwise: it is"
        " an older copy that was gone on with, or somebody has changed it.",
        "Nothing was begun. Put the newest copy of the file back. If there is none, have the owner"
        " look whether the guest runs, and begin anew with a home (WATCHWORD_HOME) and keys of its"
        " own.",
        {"path": str(path), "sequence": noted.entry.sequence},
    )


def brought_back(word: str, path: Path, rows: int) -> str:
    """The warning that a file was an older copy."""
    things = "one thing" if rows == 1 else f"{rows} things"
    return (
        f"{word} ({path}) was an older copy, or new: the ledger knew {things} of jobs that it did"
        " not, and has brought them back. Find out who has put it there."
    )


def _noted(entry: LedgerEntry) -> NotedTurn:
    key, turn = entry.body.get("guest_key"), entry.body.get("turn")
    if not isinstance(key, str) or type(turn) is not int:
        raise _unreadable(entry)
    return NotedTurn(entry, key, turn, entry.launch_id)


def _unreadable(entry: LedgerEntry) -> VerificationRefused:
    return VerificationRefused(
        "job-entry-unreadable",
        "The ledger tells of a job in a form that is not ours",
        f"Entry {entry.sequence} lacks what belongs to it.",
        "Verify the ledger: `watchword ledger verify`.",
        {"sequence": entry.sequence},
    )
