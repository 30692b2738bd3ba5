# SPDX-License-Identifier: Apache-2.0
"""The queue on PostgreSQL: jobs are Procrastinate's, answers and files have tables beside them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from .ending_tasks import end_all
from .job_queue import (
    ANSWERS_AT_ONCE,
    LARGEST_ANSWER,
    LARGEST_FILE,
    LARGEST_JOB,
    Answer,
    TakenJob,
)
from .queue_connection import QueueConnection, is_gone, listen

if TYPE_CHECKING:
    from procrastinate.manager import JobManager

_TASK: Final = "watchword"
_ARGUMENT: Final = "job"
_BEAT_SECONDS: Final = 10.0
_CANCEL_AGAIN_SECONDS: Final = 0.2
_FORGET_WORKERS: Final = 24 * 3600
_TIDY: Final = (
    "DELETE FROM watchword_answers WHERE at < now() - interval '7 days'",
    "DELETE FROM watchword_files WHERE at < now() - interval '60 days'",
)
_PUT_ANSWER: Final = (
    "WITH put AS (INSERT INTO watchword_answers (job, body)"
    " VALUES (%(job)s, %(body)s) RETURNING 1)"
    " SELECT pg_notify(%(channel)s, '') FROM put"
)
_ANSWERS: Final = (
    "SELECT number, job, body FROM watchword_answers WHERE job = ANY(%(jobs)s)"
    " AND length(body) <= %(largest)s ORDER BY number LIMIT %(most)s"
)
_REMOVE: Final = "DELETE FROM watchword_answers WHERE number = ANY(%(numbers)s)"
_PUT_FILE: Final = (
    "INSERT INTO watchword_files (sha256, content) VALUES (%(sha256)s, %(content)s)"
    " ON CONFLICT (sha256) DO UPDATE SET content = excluded.content, at = now()"
)
_FILE: Final = (
    "SELECT content FROM watchword_files WHERE sha256 = %(sha256)s"
    " AND length(content) <= %(largest)s"
)
_SEEN: Final = (
    "INSERT INTO watchword_workers (worker) VALUES (%(worker)s)"
    " ON CONFLICT (worker) DO UPDATE SET seen = now()"
)
_SILENT: Final = (
    "SELECT extract(epoch FROM now() - seen)::float8 AS seconds FROM watchword_workers"
    " WHERE worker = %(worker)s"
)


class ProcrastinateQueue:
    """A :class:`JobQueue` in a database that ``watchword queue init`` has made ready.

    What it gives back is whatever the database says, of bounded size; its driver reads a
    whole row before that is looked at, so that a hostile database can cost memory.
    """

    def __init__(self, connection: QueueConnection) -> None:
        self._connection = connection
        self._rows: dict[str, int] = {}
        self._taken: set[int] = set()
        self._worker: tuple[str, int] | None = None
        self._bells: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []
        connection.on_open = self._reclaim

    @classmethod
    async def open(cls, parameters: dict[str, str]) -> ProcrastinateQueue:
        """Connect; ``parameters`` as from ``queue_parameters``.

        Raises HostError ``queue-unreachable``, ``queue-not-made``; UsageError
        ``no-queue-driver``.
        """
        queue = cls(await QueueConnection.open(parameters))
        try:
            for statement in _TIDY:
                await queue._connection.execute(statement)
        except BaseException:
            await queue.close()
            raise
        return queue

    async def close(self) -> None:
        """End what listens, and the connections."""
        await end_all(self._tasks, _CANCEL_AGAIN_SECONDS)
        self._tasks.clear()
        await self._connection.close()

    # -- jobs --------------------------------------------------------------------

    async def put(self, worker: str, job_id: str, body: bytes) -> None:
        """See JobQueue; a job that waits there already is not put there again."""
        from procrastinate.exceptions import AlreadyEnqueued  # noqa: PLC0415 - an extra
        from procrastinate.jobs import Job  # noqa: PLC0415 - as above

        job = Job(
            queue=_queue_name(worker),
            lock=None,
            queueing_lock=job_id,
            task_name=_TASK,
            task_kwargs={_ARGUMENT: base64.b64encode(body).decode()},
        )
        with contextlib.suppress(AlreadyEnqueued):
            done = await self._connection.do(lambda manager: manager.defer_job_async(job))
            if done.id is not None:
                self._rows[job_id] = done.id

    async def withdraw(self, worker: str, job_ids: Collection[str]) -> None:
        """See JobQueue; of jobs that this process has put."""
        del worker
        for job_id in job_ids:
            row = self._rows.pop(job_id, None)
            if row is not None:
                await self._connection.do(_cancelling(row))

    async def begin(self, worker: str) -> None:
        """See JobQueue."""
        self._worker = worker, 0
        await self._connection.do(self._reclaim)
        self._tasks.append(asyncio.create_task(self._beat(worker)))

    async def take(self, worker: str) -> TakenJob | None:
        """See JobQueue; after :meth:`begin`."""
        names = [_queue_name(worker)]
        job = await self._connection.do(
            lambda manager: manager.fetch_job(names, self._worker[1] if self._worker else 0)
        )
        if job is None or type(job.id) is not int:
            return None
        self._taken.add(job.id)
        return TakenJob(job.id, _job_body(job.task_kwargs))

    async def finish(self, taken: TakenJob) -> None:
        """See JobQueue; its row is removed."""
        from procrastinate.jobs import Status  # noqa: PLC0415 - an extra

        await self._connection.do(
            lambda manager: manager.finish_job_by_id_async(taken.row, Status.SUCCEEDED, True),
            already=is_gone,
        )
        self._taken.discard(taken.row)

    async def new_job(self, worker: str, seconds: float) -> None:
        """See JobQueue."""
        await self._ring(f"procrastinate_queue_v1#{_queue_name(worker)}", seconds)

    # -- answers -----------------------------------------------------------------

    async def answer(self, owner: str, job_id: str, body: bytes) -> None:
        """See JobQueue."""
        values = {"job": job_id, "body": body, "channel": _channel(owner)}
        await self._connection.execute(_PUT_ANSWER, **values)

    async def answers(self, job_ids: Collection[str]) -> Sequence[Answer]:
        """See JobQueue."""
        rows = await self._connection.rows(
            _ANSWERS, jobs=list(job_ids), largest=LARGEST_ANSWER, most=ANSWERS_AT_ONCE
        )
        return [
            Answer(number, job_id, _bounded(row.get("body"), LARGEST_ANSWER))
            for row in rows[:ANSWERS_AT_ONCE]
            if type(number := row.get("number")) is int
            and isinstance(job_id := row.get("job"), str)
            and job_id in job_ids
        ]

    async def remove_answers(self, answers: Collection[Answer]) -> None:
        """See JobQueue."""
        await self._connection.execute(_REMOVE, numbers=[one.number for one in answers])

    async def new_answer(self, owner: str, seconds: float) -> None:
        """See JobQueue."""
        await self._ring(_channel(owner), seconds)

    # -- files and workers -------------------------------------------------------

    async def put_file(self, sha256: str, content: bytes) -> None:
        """See JobQueue."""
        await self._connection.execute(_PUT_FILE, sha256=sha256, content=content)

    async def file(self, sha256: str) -> bytes | None:
        """See JobQueue."""
        rows = await self._connection.rows(_FILE, sha256=sha256, largest=LARGEST_FILE)
        content = _bounded(rows[0].get("content"), LARGEST_FILE) if rows else None
        if content is None or hashlib.sha256(content).hexdigest() != sha256:
            return None
        return content

    async def silent_for(self, worker: str) -> float | None:
        """See JobQueue."""
        rows = await self._connection.rows(_SILENT, worker=worker)
        seconds = rows[0].get("seconds") if rows else None
        return seconds if isinstance(seconds, float) else None

    # -- parts -------------------------------------------------------------------

    async def _reclaim(self, manager: JobManager) -> None:
        """What this worker was given and never got, before a kill or with a lost connection."""
        if self._worker is None:
            return
        worker = self._worker[0]
        await manager.prune_stalled_workers(_FORGET_WORKERS)
        self._worker = worker, int(await manager.register_worker())
        names = _queue_name(worker)
        for job in await manager.list_jobs_async(queue=names, status="doing"):
            if type(job.id) is int and job.id not in self._taken:
                await manager.retry_job_by_id_async(job.id, datetime.now(UTC))

    async def _beat(self, worker: str) -> None:
        """Let others see that this worker lives."""
        while True:
            await self._connection.execute(_SEEN, worker=worker)
            if self._worker is not None:
                await self._connection.do(_beating(self._worker[1]))
            await asyncio.sleep(_BEAT_SECONDS)

    async def _ring(self, channel: str, seconds: float) -> None:
        if channel not in self._bells:
            bell = self._bells[channel] = asyncio.Event()
            self._tasks.append(asyncio.create_task(listen(self._connection, channel, bell)))
        bell = self._bells[channel]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await bell.wait()
        bell.clear()


def _queue_name(worker: str) -> str:
    """A name short enough for a channel of PostgreSQL's, whatever the worker is called."""
    return f"ww-{hashlib.sha256(worker.encode()).hexdigest()[:32]}"


def _channel(owner: str) -> str:
    return f"watchword_answers_{hashlib.sha256(owner.encode()).hexdigest()[:32]}"


def _bounded(value: Any, largest: int) -> bytes | None:
    return value if isinstance(value, bytes) and len(value) <= largest else None


def _job_body(arguments: Any) -> bytes | None:
    """The bytes of a job, if its arguments are those of one."""
    text = arguments.get(_ARGUMENT) if isinstance(arguments, dict) else None
    if not isinstance(text, str) or len(text) > LARGEST_JOB * 2:
        return None
    try:
        return _bounded(base64.b64decode(text, validate=True), LARGEST_JOB)
    except (binascii.Error, ValueError):
        return None


def _cancelling(row: int) -> Any:
    return lambda manager: manager.cancel_job_by_id_async(row, delete_job=True)


def _beating(number: int) -> Any:
    return lambda manager: manager.update_heartbeat(number)
