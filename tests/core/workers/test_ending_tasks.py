# SPDX-License-Identifier: Apache-2.0
"""Tasks are ended, also those that lose their first cancellation."""

from __future__ import annotations

import asyncio
import contextlib

from watchword.core.workers.ending_tasks import end_all


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
