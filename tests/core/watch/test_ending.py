# SPDX-License-Identifier: Apache-2.0
"""Tasks are ended for certain: those that lose a cancellation, and those that begin meanwhile."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from watchword.core.watch import ending
from watchword.core.watch.ending import end_tasks

from .engine_support import run


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(ending, "_AGAIN_SECONDS", 0.01)


async def deaf(times):
    """Loses as many cancellations, as ``asyncio.wait_for`` does with an answer."""
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


def test_a_task_that_loses_cancellations_ends_all_the_same():
    async def scenario():
        task = asyncio.create_task(deaf(3))
        await asyncio.sleep(0)
        await end_tasks(lambda: (task,))
        return task.cancelled()

    assert run(scenario)


def test_what_begins_while_others_end_is_ended_too():
    async def scenario():
        tasks = set()

        async def begins_another():
            try:
                await asyncio.Event().wait()
            finally:
                tasks.add(asyncio.create_task(asyncio.Event().wait()))

        tasks.add(asyncio.create_task(begins_another()))
        await asyncio.sleep(0)
        await end_tasks(lambda: tuple(tasks))
        return [task.done() for task in tasks]

    assert run(scenario) == [True, True]


def test_what_goes_wrong_at_the_end_is_dropped():
    async def scenario():
        async def breaks():
            try:
                await asyncio.Event().wait()
            finally:
                raise ZeroDivisionError

        task = asyncio.create_task(breaks())
        await asyncio.sleep(0)
        await end_tasks(lambda: (task,))
        await end_tasks(tuple)

    run(scenario)
