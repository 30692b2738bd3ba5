# SPDX-License-Identifier: Apache-2.0
"""Tasks are ended, also those that lose their first cancellation."""

from __future__ import annotations

import asyncio
import contextlib

from watchword.core.workers.ending_tasks import end_all, keep_cancelled
from watchword.core.workers.guard import PostgresSeals
from watchword.core.workers.queue_connection import QueueConnection


def test_a_task_that_loses_a_cancellation_is_ended_all_the_same():
    lost = []

    async def deaf():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        lost.append(True)
        await asyncio.sleep(60)

    async def scene():
        task = asyncio.create_task(deaf())
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await end_all([task], 0.01)
        return task.cancelled()

    assert asyncio.run(scene())
    assert lost == [True]


def test_a_task_has_time_for_its_own_ending():
    said = []

    async def orderly():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            said.append("done")

    async def scene():
        task = asyncio.create_task(orderly())
        await asyncio.sleep(0)
        await end_all([task], 20)

    asyncio.run(scene())
    assert said == ["done"]


class Deaf:
    """A driver's call that loses the cancellation which comes with its answer."""

    def __init__(self):
        self.asked = asyncio.Event()

    async def answer(self, *values, **more):
        self.asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return "answer"


async def cancelled_while_asking(deaf, coroutine):
    """Whether a task ends that is cancelled once."""
    task = asyncio.create_task(coroutine)
    await deaf.asked.wait()
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


def test_a_worker_that_is_ended_ends_though_the_driver_loses_that():
    async def scene():
        deaf, connection = Deaf(), QueueConnection({})
        connection._connector = object()
        return await cancelled_while_asking(deaf, connection.do(deaf.answer))

    assert asyncio.run(scene())


def test_a_launch_that_is_ended_while_it_asks_the_guard_ends_though_the_driver_loses_that():
    async def scene():
        deaf = Deaf()

        @contextlib.asynccontextmanager
        async def opened():
            yield None

        async def connect():
            return opened()

        seals = PostgresSeals(connect)
        seals._ask = deaf.answer
        return await cancelled_while_asking(deaf, seals.claim(None))

    assert asyncio.run(scene())


def test_what_is_cancelled_by_nobody_goes_on():
    async def scene():
        keep_cancelled()
        return True

    assert asyncio.run(scene())
