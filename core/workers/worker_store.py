# SPDX-License-Identifier: Apache-2.0
"""What a worker knows by itself of its jobs: begun, given up, sealed, settled, and lent secrets.

It refuses a second sealing whatever any database says. Nothing in it is secret; it lies
beside the records, whose ledger brings back what an older copy of it lacks.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from ..errors import VerificationRefused
from ..ledger.entries import EntryKind
from .job_journal import AT_WORKERS, NotedTurn, RememberedDatabase
from .models import time_text

if TYPE_CHECKING:
    from datetime import datetime

    from .verified_job import VerifiedJob

_SCHEMA: Final = """
create table turns (
    guest_key text not null,
    turn integer not null,
    guest text not null,
    host text not null,
    newest_before text not null,
    begun text not null,
    given_up text,
    primary key (guest_key, turn)
) strict, without rowid;
create table seals (
    guest_key text not null,
    turn integer not null,
    launch_id text not null unique,
    job text not null,
    claimed text not null,
    primary key (guest_key, turn)
) strict, without rowid;
create table results (
    job text primary key,
    result blob not null
) strict, without rowid;
create table lent (
    entry text not null,
    job text not null,
    primary key (entry, job)
) strict, without rowid;
create trigger seals_not_changed before update on seals
begin select raise(abort, 'rows of seals are kept as they were written'); end;
create trigger seals_not_removed before delete on seals
begin select raise(abort, 'rows of seals are kept as they were written'); end;
create trigger turns_not_removed before delete on turns
begin select raise(abort, 'rows of turns are kept'); end;
"""


_TURN: Final = (
    "insert into turns (guest_key, turn, guest, host, newest_before, begun, given_up)"
    " values (?, ?, ?, ?, ?, ?, ?) on conflict (guest_key, turn)"
    " do update set given_up = excluded.given_up"
    " where given_up is null and excluded.given_up is not null"
)
_SEAL: Final = "insert into seals (guest_key, turn, launch_id, job, claimed) values (?, ?, ?, ?, ?)"


class WorkerStore(RememberedDatabase):
    """The worker's own store, for one thread."""

    FILE_NAME = "worker.sqlite3"
    SCHEMA = _SCHEMA
    WORD = "the worker's own store"
    KINDS = AT_WORKERS

    def _bring_back(self, connection: sqlite3.Connection, noted: NotedTurn) -> int:
        return _bring_back(connection, noted)

    def _tell(self, kind: EntryKind, job: VerifiedJob, **more: str) -> None:
        """Once it is on the disk here, so that the ledger never knows what this file does not."""
        if self._journal is not None:
            said = job.job
            place = {"job": said.job, "guest": said.guest, "host": said.host}
            self._journal.tell(kind, job.guest_key, said.turn, **place, **more)

    def begin(self, job: VerifiedJob, newest_launch: str | None, now: datetime) -> bool:
        """Take a job on; whether an earlier run of it has begun its launch, to be taken up now.

        ``newest_launch``  id of the newest launch of its guest at its host in the records
        The same turn may come in several documents (signed anew), and each several times.
        Raises VerificationRefused ``job-given-up`` and ``job-overtaken``.
        """
        key, turn, newest = job.guest_key, job.job.turn, newest_launch or ""
        with self._writing() as connection:
            self._check(connection, job)
            row = connection.execute(
                "select newest_before from turns where guest_key = ? and turn = ?", (key, turn)
            ).fetchone()
            before = newest if row is None else str(row[0])
            if row is None:
                place = key, turn, job.job.guest, job.job.host
                connection.execute(_TURN, (*place, newest, time_text(now), None))
        self._tell(EntryKind.JOB_BEGUN, job, newest_before=before)
        return before != newest

    def _check(self, connection: sqlite3.Connection, job: VerifiedJob) -> None:
        rows = connection.execute(
            "select turn, given_up from turns where guest_key = ? and turn >= ? order by turn desc",
            (job.guest_key, job.job.turn),
        ).fetchall()
        if rows and rows[0][0] > job.job.turn:
            raise overtaken(job, int(rows[0][0]))
        if rows and rows[0][1] is not None:
            raise _given_up(job)

    def check(self, job: VerifiedJob) -> None:
        """VerificationRefused ``job-given-up`` or ``job-overtaken`` if it is not to be done."""
        with self._writing() as connection:
            self._check(connection, job)

    def claim(self, job: VerifiedJob, launch_id: str, now: datetime) -> None:
        """Give the job's turn to this launch, and never to another; again is the same.

        On the disk when this returns. Raises VerificationRefused ``sealed-before``,
        ``job-given-up``, ``job-overtaken``.
        """
        key, turn = job.guest_key, job.job.turn
        with self._writing() as connection:
            self._check(connection, job)
            rows = connection.execute(
                "select guest_key, turn, launch_id from seals"
                " where (guest_key = ? and turn = ?) or launch_id = ?",
                (key, turn, launch_id),
            ).fetchall()
            if rows and rows != [(key, turn, launch_id)]:
                raise _sealed_before(job, str(rows[0][2]), launch_id)
            if not rows:
                connection.execute(_SEAL, (key, turn, launch_id, job.digest, time_text(now)))
        self._tell(EntryKind.JOB_SEALING, job, launch_id=launch_id, digest=job.digest)

    def newest_around(self, job: VerifiedJob) -> tuple[str, str | None] | None:
        """Ids of the newest launches before the job's turn, and before the next turn.

        The first is empty where there was none; the second None where there is no later turn.
        None for a turn that was not begun here.
        """
        rows = self._all(
            "select newest_before, turn from turns where guest_key = ? and turn >= ?"
            " order by turn limit 2",
            job.guest_key,
            job.job.turn,
        )
        if not rows or rows[0][1] != job.job.turn:
            return None
        return str(rows[0][0]), str(rows[1][0]) if len(rows) > 1 else None

    def takes_jobs_for(self, guest: str) -> bool:
        """Whether any job for a guest of this name was begun or given up, at whatever host."""
        return bool(self._all("select 1 from turns where guest = ? limit 1", guest))

    def claimed_by(self, job: VerifiedJob) -> str | None:
        """Id of the launch that was, or may have been, sealed for the job's turn."""
        rows = self._all(
            "select launch_id from seals where guest_key = ? and turn = ?",
            job.guest_key,
            job.job.turn,
        )
        return str(rows[0][0]) if rows else None

    def is_of_another_turn(self, job: VerifiedJob, launch_id: str) -> bool:
        """Whether a launch has claimed a turn which is not the job's."""
        return bool(
            self._all(
                "select 1 from seals where launch_id = ? and (guest_key <> ? or turn <> ?)",
                launch_id,
                job.guest_key,
                job.job.turn,
            )
        )

    def give_up(self, job: VerifiedJob, newest_launch: str | None, now: datetime) -> None:
        """Nothing is ever sealed for this turn here, from now on.

        ``newest_launch``  as for :meth:`begin`, for a turn that was not begun
        """
        before, time = newest_launch or "", time_text(now)
        place = job.guest_key, job.job.turn, job.job.guest, job.job.host
        with self._writing() as connection:
            connection.execute(_TURN, (*place, before, time, time))
        self._tell(EntryKind.JOB_GIVEN_UP, job, newest_before=before)

    def is_given_up(self, job: VerifiedJob) -> bool:
        """Whether nothing is ever sealed for the job's turn here."""
        return bool(
            self._all(
                "select 1 from turns where guest_key = ? and turn = ? and given_up is not null",
                job.guest_key,
                job.job.turn,
            )
        )

    # -- results -----------------------------------------------------------------

    def settled(self, digest: str) -> bytes | None:
        """The signed result of a job document that was settled: to be sent again as it is."""
        rows = self._all("select result from results where job = ?", digest)
        return bytes(rows[0][0]) if rows and isinstance(rows[0][0], bytes) else None

    def settle(self, digest: str, result: bytes) -> None:
        """Keep the signed result of a job document; a later one takes its place."""
        with self._writing() as connection:
            connection.execute(
                "insert into results (job, result) values (?, ?)"
                " on conflict (job) do update set result = excluded.result",
                (digest, result),
            )

    # -- lent secrets ------------------------------------------------------------

    def lend(self, entry: str, digest: str) -> bool:
        """Note that a job has brought this entry of the vault; whether another one did, too.

        Written before the entry is, so that nothing is left behind that nobody knows of.
        """
        with self._writing() as connection:
            others = connection.execute(
                "select count(*) from lent where entry = ? and job <> ?", (entry, digest)
            ).fetchone()[0]
            connection.execute(
                "insert into lent (entry, job) values (?, ?) on conflict do nothing",
                (entry, digest),
            )
        return bool(others)

    def is_lent(self, entry: str) -> bool:
        """Whether any job has brought this entry."""
        return bool(self._all("select 1 from lent where entry = ?", entry))

    def lent_for(self, digest: str) -> tuple[str, ...]:
        """The entries that a job has brought."""
        return tuple(
            str(row[0]) for row in self._all("select entry from lent where job = ?", digest)
        )

    def all_lent(self) -> tuple[str, ...]:
        """The entries that any job has brought."""
        return tuple(str(row[0]) for row in self._all("select distinct entry from lent"))

    def forget_lent(self, entry: str) -> None:
        """No job needs the entry any more."""
        with self._writing() as connection:
            connection.execute("delete from lent where entry = ?", (entry,))

    def take_back(self, entry: str, digest: str) -> None:
        """The job needs the entry no more."""
        with self._writing() as connection:
            connection.execute("delete from lent where entry = ? and job = ?", (entry, digest))


def _bring_back(connection: sqlite3.Connection, noted: NotedTurn) -> int:
    """How many rows it lacked of what an entry tells; sqlite3.IntegrityError for another one."""
    key, time = (noted.guest_key, noted.turn), noted.entry.time
    if noted.entry.kind is not EntryKind.JOB_SEALING:
        given_up = time if noted.entry.kind is EntryKind.JOB_GIVEN_UP else None
        texts = map(noted.text, ("guest", "host", "newest_before"))
        return connection.execute(_TURN, (*key, *texts, time, given_up)).rowcount
    held = connection.execute(
        "select launch_id from seals where guest_key = ? and turn = ?", key
    ).fetchone()
    if held == (noted.launch_id,):
        return 0
    return connection.execute(_SEAL, (*key, noted.launch_id, noted.text("digest"), time)).rowcount


def overtaken(job: VerifiedJob, turn: int) -> VerificationRefused:
    """VerificationRefused ``job-overtaken``: the owner has signed a later launch of this guest."""
    return VerificationRefused(
        "job-overtaken",
        "A later job for this guest is under way, or done",
        f"This is launch {job.job.turn} of {job.job.guest} at {job.job.host}; launch {turn} was"
        " begun or sealed already.",
        "Nothing was sealed for this one. Dispatch the fleet again if the guest is to be launched"
        " once more.",
        {"job": job.job.job, "turn": job.job.turn, "newest": turn},
    )


def _given_up(job: VerifiedJob) -> VerificationRefused:
    return VerificationRefused(
        "job-given-up",
        "This worker has given the job up",
        f"It has stated that it never seals anything for launch {job.job.turn} of {job.job.guest}"
        f" at {job.job.host}.",
        "Dispatch the fleet again: the launch gets a new turn, at any worker.",
        {"job": job.job.job},
    )


def _sealed_before(job: VerifiedJob, earlier: str, launch_id: str) -> VerificationRefused:
    return VerificationRefused(
        "sealed-before",
        "This worker has sealed for this turn before",
        f"Launch {earlier} was, or may have been, sealed; launch {launch_id} would be a second one"
        f" of {job.job.guest} at {job.job.host} for one job.",
        "Nothing was sealed now. Take the first launch up again, or give the job up.",
        {"job": job.job.job, "earlier": earlier, "launch": launch_id},
    )
