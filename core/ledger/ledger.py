# SPDX-License-Identifier: Apache-2.0
"""The ledger: entries are appended, each with the hash of the one before, and never changed.

Whoever can write the records file can also write it anew from an entry on, hashes and
all. That is noticed by a head that he can't change: exported, or in the keyring.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Final

from ..errors import VerificationRefused
from ..records.database import Records
from .canonical import NotPlain, plain
from .chain import COLUMNS, Row, read_row, read_tip, walk
from .entries import (
    LARGEST_RECORD,
    LARGEST_SEQUENCE,
    LAUNCH_ID,
    NO_PREVIOUS,
    EntryKind,
    LedgerEntry,
)
from .heads import ExportedHead, LedgerHead
from .ledger_errors import bad_body, bad_launch_id, broken, too_large
from .verification import KnownHead, LedgerVerdict, verify_entries

LEDGER_ID_SIZE: Final = 16
_PAGE: Final = 64
"""Rows that are in memory at once: at most 16 MiB."""


def now_utc() -> datetime:
    """The time of the machine's clock."""
    return datetime.now(UTC)


class Ledger:
    """The ledger in a records file, for the thread that has opened that.

    ``clock``  gives the time, with its time zone
    Every method may raise what Records raises, VerificationRefused ``ledger-broken``
    for what it comes across, and BadInput ``ledger-newer``.
    """

    def __init__(self, records: Records, clock: Callable[[], datetime] = now_utc) -> None:
        self._records = records
        self._clock = clock

    def together(self) -> AbstractContextManager[object]:
        """A block of which the records get everything or nothing; see ``Records.writing``."""
        return self._records.writing()

    def append(
        self,
        kind: EntryKind,
        launch_id: str | None,
        body: Mapping[str, object],
        *,
        simulated: bool = False,
    ) -> LedgerEntry:
        """Append an entry: on the disk when this returns, or with the surrounding ``writing``.

        ``body`` is JSON without floats, in all 256 KiB at most, and never holds a secret.
        The first call begins the ledger. Raises UsageError ``bad-ledger-body``,
        ``bad-launch-id`` and ``ledger-entry-too-large``; nothing is written then.
        """
        if launch_id is not None and not LAUNCH_ID.fullmatch(launch_id):
            raise bad_launch_id()
        if kind is EntryKind.LEDGER_BEGUN:
            raise bad_body("a ledger begins by itself")
        kept = _plain_body(body)
        with self._records.writing() as connection:
            last = _last_row(connection)
            tip = self._begin(connection) if last is None else read_tip(last)
            return self._insert(connection, tip, kind, launch_id, kept, simulated=simulated)

    def _begin(self, connection: sqlite3.Connection) -> tuple[int, str]:
        body: dict[str, object] = {"ledger_id": os.urandom(LEDGER_ID_SIZE).hex()}
        start, kind = (0, NO_PREVIOUS), EntryKind.LEDGER_BEGUN
        first = self._insert(connection, start, kind, None, body, simulated=False)
        return first.sequence, first.hash

    def _insert(
        self,
        connection: sqlite3.Connection,
        tip: tuple[int, str],
        kind: EntryKind,
        launch_id: str | None,
        body: dict[str, object],
        *,
        simulated: bool,
    ) -> LedgerEntry:
        sequence, previous = tip[0] + 1, tip[1]
        if not 1 <= sequence <= LARGEST_SEQUENCE:
            raise broken(tip[0], "no entry of a ledger has this number")
        entry, record = LedgerEntry.make(
            sequence,
            previous,
            time=self._time(),
            kind=kind,
            launch_id=launch_id,
            simulated=simulated,
            body=body,
        )
        if len(record) > LARGEST_RECORD:
            raise too_large(len(record), LARGEST_RECORD)
        connection.execute(
            "insert into ledger (sequence, record, hash) values (?, ?, ?)",
            (sequence, record, entry.hash),
        )
        return entry

    def _time(self) -> str:
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def entries(
        self,
        *,
        launch_id: str | None = None,
        kinds: Collection[EntryKind] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        skip_damaged: bool = False,
        after: int | None = None,
    ) -> Iterator[LedgerEntry]:
        """The entries of a launch, of some kinds, or all, in order; those ``after`` a number.

        Each is held against its own hash; whether they belong together :meth:`verify`
        tells. Raises UsageError ``bad-launch-id``. What is appended meanwhile may be
        among them; ``skip_damaged`` leaves out what does not agree with its hash.
        """
        if launch_id is not None and not LAUNCH_ID.fullmatch(launch_id):
            raise bad_launch_id()
        left = -1 if limit is None else max(limit, 0)
        for row in self._rows(_marks(launch_id, kinds), newest_first=newest_first, after=after):
            if left == 0:
                return
            try:
                entry = read_row(row)
            except VerificationRefused:
                if skip_damaged:
                    continue
                raise
            # What the database has looked for may stand elsewhere in a record too.
            if launch_id in (None, entry.launch_id) and (kinds is None or entry.kind in kinds):
                left -= 1
                yield entry

    def _rows(
        self, marks: Sequence[Sequence[bytes]], *, newest_first: bool, after: int | None
    ) -> Iterator[Row]:
        """Rows whose records hold a mark of each group, a page at a time.

        No transaction is open while the caller works with a row: he may write.
        """
        beyond, order = ("<", "desc") if newest_first else (">", "asc")
        held = "".join(
            f" and ({' or '.join(['instr(record, ?)'] * len(group)) or 'false'})" for group in marks
        )
        words = (
            f"select {COLUMNS} from ledger where sequence {beyond} ?"  # noqa: S608 - our own
            f" and sequence > ?{held}"
            f" order by sequence {order} limit {_PAGE}"
        )
        least = -LARGEST_SEQUENCE if after is None else after
        last = LARGEST_SEQUENCE + 1 if newest_first else least
        sought = [mark for group in marks for mark in group]
        while True:
            with self._records.reading() as connection:
                page = connection.execute(words, (last, least, *sought)).fetchall()
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1][0]

    def head(self) -> LedgerHead | None:
        """The head as it is now; None where nothing was recorded yet."""
        with self._records.reading() as connection:
            last = _last_entry(connection)
        return None if last is None else LedgerHead(last.sequence, last.hash)

    def last_sequence(self) -> int:
        """The number of the newest entry, whatever is in it; 0 where there is none."""
        with self._records.reading() as connection:
            row = connection.execute("select max(sequence) from ledger").fetchone()
        return int(row[0] or 0)

    def exported_head(self) -> ExportedHead | None:
        """The head with the ledger's id and the time, for a file that is kept elsewhere."""
        with self._records.reading() as connection:
            first, last = _entry_at(connection, 1), _last_entry(connection)
        if last is None:
            return None
        if first is None or first.kind is not EntryKind.LEDGER_BEGUN:
            raise broken(1, "a ledger begins once, with its first entry")
        head = LedgerHead(last.sequence, last.hash)
        return ExportedHead(str(first.body["ledger_id"]), head, self._time())

    def hash_at(self, sequence: int) -> str | None:
        """The hash of an entry, computed from its record; None where there is no such entry."""
        with self._records.reading() as connection:
            entry = _entry_at(connection, sequence)
        return None if entry is None else entry.hash

    def verify(self, known_heads: Sequence[KnownHead] = ()) -> LedgerVerdict:
        """Walk the whole chain, and hold it against heads that were known earlier.

        Raises VerificationRefused ``ledger-broken`` (which names the first bad entry),
        ``ledger-cut`` and ``ledger-rewritten`` (which name the known head).
        """
        with self._records.reading() as connection:
            return verify_entries((entry for entry, _ in walk(connection)), known_heads)

    def export(self, write: Callable[[bytes], object]) -> LedgerVerdict:
        r"""Walk the whole chain, and write each entry as a line of JSON.

        A line is ``{"hash":"HEX","record":RECORD}``; the text of RECORD, up to the line's
        last brace, is what the SHA-256 was taken of. Raises as :meth:`verify` does; what
        was written until then is to be thrown away.
        """

        def written(connection: sqlite3.Connection) -> Iterator[LedgerEntry]:
            for entry, record in walk(connection):
                write(b'{"hash":"%s","record":%s}\n' % (entry.hash.encode(), record))
                yield entry

        with self._records.reading() as connection:
            return verify_entries(written(connection))


def _plain_body(body: Mapping[str, object]) -> dict[str, object]:
    try:
        kept = plain(body, "body")
    except NotPlain as problem:
        raise bad_body(str(problem)) from None
    if not isinstance(kept, dict):
        raise bad_body("body is no object")
    return kept


def _last_row(connection: sqlite3.Connection) -> Row | None:
    found: Row | None = connection.execute(
        f"select {COLUMNS} from ledger order by sequence desc limit 1"  # noqa: S608 - our own
    ).fetchone()
    return found


def _last_entry(connection: sqlite3.Connection) -> LedgerEntry | None:
    found = _last_row(connection)
    return None if found is None else read_row(found)


def _entry_at(connection: sqlite3.Connection, sequence: int) -> LedgerEntry | None:
    found = connection.execute(
        f"select {COLUMNS} from ledger where sequence = ?",  # noqa: S608 - our own
        (sequence,),
    ).fetchone()
    return None if found is None else read_row(found)


def _marks(launch_id: str | None, kinds: Collection[EntryKind] | None) -> list[list[bytes]]:
    """What the record of such an entry holds for certain: a quick look before it is read."""
    marks = []
    if launch_id is not None:
        marks.append([b'"launch":"%s"' % launch_id.encode()])
    if kinds is not None:
        marks.append([b'"kind":"%s"' % kind.encode() for kind in kinds])
    return marks
