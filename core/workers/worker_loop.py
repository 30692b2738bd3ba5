# SPDX-License-Identifier: Apache-2.0
"""A worker at work: takes its jobs from the queue, as many at once as it may, until it is ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ..errors import WatchwordError, unexpected
from .ending_tasks import end_all
from .job_run import JobRun, Workshop
from .verified_job import open_job

if TYPE_CHECKING:
    from .job_queue import TakenJob

_LOOK_SECONDS: Final = 5.0
"""How long nothing is heard before the queue is looked into all the same."""
_CANCEL_AGAIN_SECONDS: Final = 20.0
"""A launch has that long for its own ending."""


async def work(shop: Workshop, jobs: int) -> None:
    """Work on jobs, ``jobs`` of them at once, until this is cancelled.

    Cancelling ends it in order: what is under way stops where the records know it, and is
    taken up when the worker runs again. Raises HostError as the queue does.
    """
    worker = shop.key.fingerprint
    room = asyncio.Semaphore(jobs)
    running: set[asyncio.Task[None]] = set()
    await shop.queue.begin(worker)
    try:
        while True:
            await room.acquire()
            taken = await shop.queue.take(worker)
            if taken is None:
                room.release()
                await shop.queue.new_job(worker, _LOOK_SECONDS)
                continue
            task = asyncio.create_task(_settle(taken, shop))
            running.add(task)
            task.add_done_callback(running.discard)
            task.add_done_callback(lambda _: room.release())
    finally:
        await end_all(tuple(running), _CANCEL_AGAIN_SECONDS)


async def _settle(taken: TakenJob, shop: Workshop) -> None:
    """Whatever comes of one job, the others go on; what the queue refuses is told as well."""
    try:
        await _answered(taken, shop)
    except WatchwordError as error:
        shop.report({"event": "trouble", "error": error.as_json()})
    except Exception as fault:  # noqa: BLE001 - one of the three edges: the others go on
        shop.report({"event": "trouble", "error": unexpected(fault).as_json()})


async def _answered(taken: TakenJob, shop: Workshop) -> None:
    try:
        job = open_job(
            taken.body or b"",
            owner=shop.owner,
            worker=shop.key.fingerprint,
            now=shop.surroundings.clock(),
        )
    except WatchwordError as error:
        # Nobody is answered: who has put it there is not known, or it is out of its time.
        shop.report({"event": "job-refused", "error": error.as_json()})
        await shop.queue.finish(taken)
        return
    if job.digest not in shop.under_way:  # a row that came twice is one job, with one answer
        shop.under_way.add(job.digest)
        try:
            envelope = await JobRun(job, shop).signed()
            await shop.queue.answer(job.job.owner, job.digest, envelope)
        finally:
            shop.under_way.discard(job.digest)
    await shop.queue.finish(taken)
