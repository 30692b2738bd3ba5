# SPDX-License-Identifier: Apache-2.0
"""The guard against a second packet where many machines work: asked just before each sealing.

Both must say yes, in this order: a table that all workers share, and the worker's own
store. Each gives a turn (one launch of one guest at one host) to one launch, for good,
*before* anything is sealed; asked again for the same launch they say yes again, so that a
process that died in between goes on. Whoever can't be reached has said no, for now.

What each is worth: with an honest table two workers, a retried job, a network that is
split seal once or not at all. A table that lies ("free", twice; rows removed, changed, put
back) can't make a worker seal twice: its own store refuses. Nor can it make two workers do
so: a turn is signed for one worker alone, and the owner's side signs the next turn only
once the one before is closed (see assignments.py). It may say "taken" for ever: delay.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

from ..errors import AnswerPending, UsageError, VerificationRefused
from ..launch.sealing_guard import SealIntent
from ..launch.surroundings import now_utc
from .ending_tasks import keep_cancelled
from .verified_job import VerifiedJob, expired
from .worker_store import WorkerStore, overtaken

if TYPE_CHECKING:
    import psycopg

GUARD_SCHEMA: Final = """
create table if not exists watchword_seals (
    guest_key text not null check (guest_key ~ '^[0-9a-f]{64}$'),
    turn bigint not null check (turn > 0),
    worker text not null check (worker ~ '^[0-9a-f]{64}$'),
    launch_id text not null check (length(launch_id) between 1 and 64),
    job text not null check (job ~ '^[0-9a-f]{64}$'),
    claimed timestamptz not null default now(),
    primary key (guest_key, turn),
    unique (worker, launch_id)
);
create or replace function watchword_seals_kept() returns trigger language plpgsql as
$$begin raise exception 'rows of watchword_seals are kept as they were written'; end$$;
create or replace trigger watchword_seals_kept before update or delete on watchword_seals
for each row execute function watchword_seals_kept();
"""
"""Makes what the guard needs in the database, as often as one likes."""
LONGEST_ASKING: Final = 20.0
"""Seconds within which the table must have answered."""
# What reading a row raises that is not of the kinds it is said to be.
_NONSENSE: Final = (KeyError, IndexError, ValueError, TypeError, AttributeError)

# Whoever seals for one guest does it one after the other: a later turn can't slip by.
_ALONE: Final = "select pg_advisory_xact_lock(hashtextextended(%s, 0))"
_CLAIM: Final = (
    "insert into watchword_seals (guest_key, turn, worker, launch_id, job)"
    " values (%s, %s, %s, %s, %s) on conflict do nothing"
)
_FOUND: Final = (
    "select turn, left(worker, 64), left(launch_id, 64) from watchword_seals"
    " where guest_key = %s and turn >= %s order by turn desc limit 1"
)

Connect = Callable[[], "Awaitable[psycopg.AsyncConnection[tuple[object, ...]]]"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants to seal: hashes and ids alone, for a table that others own."""

    guest_key: str
    turn: int
    worker: str
    launch_id: str
    job: str


class SealTable(Protocol):
    """A table that all workers share."""

    async def claim(self, claim: Claim) -> Claim | None:
        """Give the turn to this launch, unless it or a later turn is another's.

        None when it is this launch's, now or since an earlier asking; else whose the newest
        turn is. Raises AnswerPending ``guard-out-of-reach``.
        """


class PostgresSeals:
    """The table in PostgreSQL, where :data:`GUARD_SCHEMA` was applied.

    ``connect``  opens a connection, which is closed after the one question
    """

    def __init__(self, connect: Connect, seconds: float = LONGEST_ASKING) -> None:
        self._connect = connect
        self._seconds = seconds

    async def claim(self, claim: Claim) -> Claim | None:
        """As SealTable says. Where it is not known whether the claim came through, it did not."""
        import psycopg  # noqa: PLC0415 - the extra “queue”, for workers alone

        try:
            async with asyncio.timeout(self._seconds), await self._connect() as connection:
                await self._ask(connection, claim)
                keep_cancelled()
        except _Taken as taken:
            return taken.found
        except (psycopg.Error, OSError, TimeoutError, *_NONSENSE) as fault:
            raise out_of_reach(fault) from None
        return None

    @staticmethod
    async def _ask(connection: psycopg.AsyncConnection[tuple[object, ...]], claim: Claim) -> None:
        """Return if the turn is the launch's; else raise _Taken, and claim nothing."""
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.execute(_ALONE, (claim.guest_key,))
            await cursor.execute(
                _CLAIM,
                (claim.guest_key, claim.turn, claim.worker, claim.launch_id, claim.job),
            )
            await cursor.execute(_FOUND, (claim.guest_key, claim.turn))
            row = await cursor.fetchone()
            found = _claim_of(claim, row)
            if replace(found, job=claim.job) != claim:
                raise _Taken(found)


class _Taken(Exception):
    def __init__(self, found: Claim) -> None:
        super().__init__()
        self.found = found


def _claim_of(claim: Claim, row: tuple[object, ...] | None) -> Claim:
    """What the table says, as far as that can be a claim at all."""
    turn, worker, launch_id = row or (claim.turn, "", "")
    return Claim(
        claim.guest_key,
        turn if isinstance(turn, int) else claim.turn,
        _text(worker),
        _text(launch_id),
        "",
    )


def _text(value: object) -> str:
    """A text of the table; a database in SQL_ASCII gives bytes."""
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")[:64]
    return value[:64] if isinstance(value, str) else ""


class JobGuard:
    """The hook for ``Surroundings.before_sealing`` of a worker; for one thread.

    A launch that no verified job is under way for is never sealed.
    """

    def __init__(
        self,
        store: WorkerStore,
        table: SealTable,
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        self._store = store
        self._table = table
        self._clock = clock
        self._jobs: dict[tuple[str, str], VerifiedJob] = {}

    @contextlib.contextmanager
    def on(self, job: VerifiedJob) -> Iterator[None]:
        """While it lasts, a launch of the job's guest at its host may be sealed for it.

        Raises UsageError ``job-under-way`` where another job of that guest is at it.
        """
        place = job.job.guest, job.job.host
        if place in self._jobs:
            raise _under_way(job)
        self._jobs[place] = job
        try:
            yield
        finally:
            del self._jobs[place]

    async def __call__(self, intent: SealIntent) -> None:
        """Return once this launch may be sealed.

        Raises VerificationRefused ``no-job-for-launch``, ``job-given-up``, ``job-overtaken``,
        ``sealed-before``, ``sealed-elsewhere``; AnswerPending ``guard-out-of-reach``,
        ``job-out-of-time``: nothing was sealed then, and the launch can be taken up again.
        """
        job = self._jobs.get((intent.guest, intent.host))
        if job is None:
            raise _no_job(intent)
        self._store.check(job)
        self._check_time(job)
        claim = Claim(job.guest_key, job.job.turn, job.job.worker, intent.launch_id, job.digest)
        found = await self._table.claim(claim)
        if found is not None and found.turn > claim.turn:
            raise overtaken(job, found.turn)
        if found is not None:
            raise _elsewhere(job, found)
        self._check_time(job)  # the answer may have taken its time
        self._store.claim(job, intent.launch_id, self._clock())

    def _check_time(self, job: VerifiedJob) -> None:
        if self._clock() < job.not_after:
            return
        late = expired(job.job)
        raise AnswerPending("job-out-of-time", late.title, late.message, late.remedy, late.details)


def out_of_reach(fault: BaseException) -> AnswerPending:
    """AnswerPending ``guard-out-of-reach``; drivers' texts stay out of it."""
    slow = isinstance(fault, TimeoutError)
    return AnswerPending(
        "guard-out-of-reach",
        "The guard against a second packet can't be asked",
        f"The database that all workers share {'did not answer in time' if slow else 'is gone'},"
        " so nothing was sealed.",
        "Nothing is lost: the launch goes on once the database is back. If it is there, see"
        " whether `watchword queue init` was run on it.",
    )


def _elsewhere(job: VerifiedJob, found: Claim) -> VerificationRefused:
    return VerificationRefused(
        "sealed-elsewhere",
        "Another launch has this turn",
        f"The database says that launch {found.launch_id or '(unnamed)'} of worker"
        f" {found.worker or '(unnamed)'} is, or may be, sealed for launch {job.job.turn} of"
        f" {job.job.guest} at {job.job.host}.",
        "Nothing was sealed here. See what became of that launch; if there is none, somebody has"
        " tampered with the database. A new turn comes with the owner's word: dispatch again.",
        {"job": job.job.job, "worker": found.worker, "launch": found.launch_id},
    )


def _no_job(intent: SealIntent) -> VerificationRefused:
    return VerificationRefused(
        "no-job-for-launch",
        "No job is under way for this launch",
        f"A worker seals for signed jobs alone, and none of {intent.guest} at {intent.host} is"
        " under way.",
        "Nothing was sealed. Dispatch the guest: the launch is completed for a job alone.",
        {"launch": intent.launch_id},
    )


def _under_way(job: VerifiedJob) -> UsageError:
    return UsageError(
        "job-under-way",
        "A job of this guest is under way here",
        f"{job.job.guest} at {job.job.host} is being launched for another job.",
        "Wait until that one is over.",
        {"job": job.job.job},
    )
