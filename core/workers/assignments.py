# SPDX-License-Identifier: Apache-2.0
"""The owner's own memory of whose turn it is: one turn, one worker, until the turn is closed.

It is what protects where the queue's database lies: a second worker gets a guest only in a
new turn, and that is signed only once the turn before is closed: done, given up by the
first worker's signed statement, or declared lost by the owner in his own words. It lies
beside the owner's records, whose ledger brings back turns that an older copy of it lacks;
nothing in it is secret.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from ..errors import AnswerPending, UsageError
from ..launch.surroundings import now_utc
from ..ledger.entries import EntryKind
from .job_journal import AT_OWNERS, NotedTurn, RememberedDatabase
from .models import time_text
from .signed_job import Assignment, SignedJob, guest_key
from .signed_result import VerifiedResult

_SCHEMA: Final = """
create table turns (
    guest_key text not null,
    turn integer not null,
    job_id text not null unique,
    batch text not null,
    name text not null,
    guest text not null,
    host text not null,
    worker text not null,
    assigned text not null,
    digest text,
    package blob,
    result blob,
    closed text,
    why text,
    primary key (guest_key, turn)
) strict;
create unique index one_open_turn on turns (guest_key) where closed is null;
create trigger turns_not_removed before delete on turns
begin select raise(abort, 'rows of turns are kept'); end;
create trigger turns_not_reopened before update on turns
when old.closed is not null and new.closed is not old.closed
begin select raise(abort, 'a closed turn stays closed'); end;
create trigger turns_not_reassigned before update of guest_key, turn, job_id, worker on turns
begin select raise(abort, 'a turn keeps its worker'); end;
"""
_ASSIGNMENT: Final = "job_id, batch, name, guest, host, worker, turn"
LONGEST_REASON: Final = 500


class Assignments(RememberedDatabase):
    """The owner's assignments, for one thread; several processes may share the file."""

    FILE_NAME = "assignments.sqlite3"
    SCHEMA = _SCHEMA
    WORD = "the owner's assignments"
    KINDS = AT_OWNERS

    clock: Callable[[], datetime] = staticmethod(now_utc)

    def _bring_back(self, connection: sqlite3.Connection, noted: NotedTurn) -> int:
        return _bring_back(connection, noted)

    def _told(self, key: str, one: Assignment) -> Assignment:
        """The turn, once the ledger knows it."""
        if self._journal is not None:
            self._journal.tell(
                EntryKind.JOB_ASSIGNED,
                key,
                one.turn,
                job=one.job_id,
                batch=one.batch,
                name=one.name,
                guest=one.guest,
                host=one.host,
                worker=one.worker,
            )
        return one

    def newest(self, owner: str, guest: str, host: str) -> int:
        """The newest turn of a guest at a host; 0 where there was none."""
        rows = self._all(
            "select max(turn) from turns where guest_key = ?", guest_key(owner, guest, host)
        )
        return int(str(rows[0][0] or 0))

    def open_turn(self, owner: str, guest: str, host: str) -> Assignment | None:
        """The turn that is not closed, if there is one."""
        rows = self._all(
            f"select {_ASSIGNMENT} from turns where guest_key = ? and closed is null",  # noqa: S608 - our own words
            guest_key(owner, guest, host),
        )
        return _assignment(rows[0]) if rows else None

    def open_at(self, guest: str, host: str) -> Assignment | None:
        """The turn of a guest at a host that is not closed, whichever owner's key has signed."""
        rows = self._all(
            f"select {_ASSIGNMENT} from turns where guest = ? and host = ? and closed is null"  # noqa: S608 - our own words
            " limit 1",
            guest,
            host,
        )
        return _assignment(rows[0]) if rows else None

    def latest(self, owner: str, guest: str, host: str) -> tuple[Assignment, bool] | None:
        """The newest turn, and whether it is open; None where there was none."""
        rows = self._all(
            f"select {_ASSIGNMENT}, closed is null from turns where guest_key = ?"  # noqa: S608 - our own words
            " order by turn desc limit 1",
            guest_key(owner, guest, host),
        )
        return (_assignment(rows[0][:-1]), bool(rows[0][-1])) if rows else None

    def assign(
        self,
        owner: str,
        guest: str,
        host: str,
        *,
        worker: str,
        batch: str,
        name: str,
        known: int | None = None,
    ) -> Assignment:
        """Give a worker the next turn of a guest, or the open one if it is that worker's.

        ``owner``, ``worker``  fingerprints
        ``batch``  32 hex digits
        ``known``  the newest turn when the batch began: a later one is another batch's
        On the disk when this returns. Raises AnswerPending ``launched-elsewhere``, and
        UsageError ``turn-not-closed`` where another worker has the open turn.
        """
        key = guest_key(owner, guest, host)
        with self._writing() as connection:
            row = connection.execute(
                f"select {_ASSIGNMENT}, closed from turns where guest_key = ?"  # noqa: S608 - our own words
                " order by turn desc limit 1",
                (key,),
            ).fetchone()
            earlier = None if row is None else _assignment(row[:-1])
            if earlier is not None and known is not None and earlier.turn > known:
                raise _elsewhere(earlier)
            if earlier is not None and row[-1] is None:
                if earlier.worker != worker:
                    raise _not_closed(earlier)
                made = earlier
            else:
                turn = 1 if earlier is None else earlier.turn + 1
                made = Assignment(os.urandom(16).hex(), batch, name, guest, host, worker, turn)
                _insert(connection, key, made, time_text(self.clock()), None)
        return self._told(key, made)

    def signed(self, job: SignedJob) -> None:
        """Keep the newest document of a turn, to be put into the queue again as it is."""
        with self._writing() as connection:
            connection.execute(
                "update turns set digest = ?, package = ? where job_id = ?",
                (job.digest, job.package, job.job.job),
            )

    def package(self, job_id: str) -> bytes | None:
        """The newest document of a turn with what is sealed for it."""
        rows = self._all("select package from turns where job_id = ?", job_id)
        found = rows[0][0] if rows else None
        return found if isinstance(found, bytes) else None

    def heard(self, job_id: str, said: VerifiedResult, envelope: bytes) -> None:
        """Keep the worker's signed word; it closes the turn if nothing more comes of it."""
        now = time_text(self.clock())
        why = f"{said.result.outcome.value}, {said.sealed.value}"
        with self._writing() as connection:
            connection.execute("update turns set result = ? where job_id = ?", (envelope, job_id))
            if said.closes:
                connection.execute(
                    "update turns set closed = ?, why = ? where job_id = ? and closed is null",
                    (now, why, job_id),
                )

    def result(self, job_id: str) -> bytes | None:
        """The newest signed result of a turn: to be verified again before it is believed."""
        rows = self._all("select result from turns where job_id = ?", job_id)
        found = rows[0][0] if rows else None
        return found if isinstance(found, bytes) else None

    def words(self) -> Iterator[tuple[str, bytes]]:
        """Workers (by fingerprint) and the newest signed result of each turn of theirs."""
        for worker, result in self._all("select worker, result from turns where result not null"):
            if isinstance(result, bytes):
                yield str(worker), result

    def declare_lost(self, assignment: Assignment, reason: str) -> None:
        """Close an open turn on the owner's own word, though its worker has said nothing.

        Should that worker come back, the guard in the database refuses it once the next turn
        is sealed; nothing else does. Raises UsageError ``bad-reason``.
        """
        if not reason.strip() or len(reason) > LONGEST_REASON or not reason.isprintable():
            raise _bad_reason()
        with self._writing() as connection:
            connection.execute(
                "update turns set closed = ?, why = ? where job_id = ? and closed is null",
                (time_text(self.clock()), f"declared lost: {reason}", assignment.job_id),
            )


def _insert(
    connection: sqlite3.Connection, key: str, one: Assignment, assigned: str, closed: str | None
) -> None:
    connection.execute(
        "insert into turns (guest_key, turn, job_id, batch, name, guest, host, worker, assigned,"
        " closed) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(key, one.turn, one.job_id, one.batch, one.name, one.guest, one.host, one.worker),
            *(assigned, closed),
        ),
    )


def _bring_back(connection: sqlite3.Connection, noted: NotedTurn) -> int:
    """Whether the turn of an entry was missing; sqlite3.IntegrityError where it is another's.

    Turns before it were closed when it was signed. What closed them is forgotten; the last
    one is open, and its worker is asked again.
    """
    names = ("job", "batch", "name", "guest", "host", "worker")
    job_id, batch, name, guest, host, worker = map(noted.text, names)
    one = Assignment(job_id, batch, name, guest, host, worker, noted.turn)
    key, time = noted.guest_key, noted.entry.time
    held = connection.execute(
        "select job_id, worker from turns where guest_key = ? and turn = ?", (key, one.turn)
    ).fetchone()
    if held == (one.job_id, one.worker):
        return 0
    connection.execute(
        "update turns set closed = ?, why = 'the ledger has a later one'"
        " where guest_key = ? and turn < ? and closed is null",
        (time, key, one.turn),
    )
    later = connection.execute(
        "select 1 from turns where guest_key = ? and turn > ?", (key, one.turn)
    ).fetchone()
    _insert(connection, key, one, time, None if later is None else time)
    return 1


def _assignment(row: tuple[object, ...]) -> Assignment:
    job_id, batch, name, guest, host, worker = map(str, row[:6])
    return Assignment(job_id, batch, name, guest, host, worker, int(str(row[6])))


def _elsewhere(earlier: Assignment) -> AnswerPending:
    return AnswerPending(
        "launched-elsewhere",
        "Another batch launches this guest",
        f"Since this batch began another one has dispatched {earlier.guest} at {earlier.host}, as"
        f" launch {earlier.turn}.",
        "See what comes of that one; go on with --resume afterwards.",
        {"job": earlier.job_id},
    )


def _not_closed(earlier: Assignment) -> UsageError:
    return UsageError(
        "turn-not-closed",
        "Another worker has this guest",
        f"Launch {earlier.turn} of {earlier.guest} at {earlier.host} was given to the worker"
        f" {earlier.worker}, which has not said that it is done or given up.",
        "Let that worker finish. If it is gone for good, look whether the guest runs, and then say"
        " so with --lost-worker.",
        {"job": earlier.job_id, "worker": earlier.worker, "turn": earlier.turn},
    )


def _bad_reason() -> UsageError:
    return UsageError(
        "bad-reason",
        "A reason is needed",
        f"It is one line of 1 to {LONGEST_REASON} characters.",
        "Say why the worker will not come back.",
    )
