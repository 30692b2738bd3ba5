# SPDX-License-Identifier: Apache-2.0
"""Callers who want the same thing share one piece of work, and its end."""

from __future__ import annotations

import asyncio

import pytest

from watchword.core.amd.single_flight import SingleFlight


class Work:
    """Counts how often it was begun, and ends when it is let go."""

    def __init__(self):
        self.begun = 0
        self.cancelled = 0
        self.begin = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self):
        self.begun += 1
        self.begin.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.begun


async def callers(flights, work, *keys):
    """Tasks that all wait by now."""
    tasks = [asyncio.create_task(flights.run(key, work)) for key in keys]
    await work.begin.wait()
    return tasks


def test_the_same_key_is_worked_on_once():
    async def run():
        work = Work()
        tasks = await callers(SingleFlight(), work, "a", "a", "a")
        work.let_go.set()
        return await asyncio.gather(*tasks), work.begun

    assert asyncio.run(run()) == ([1, 1, 1], 1)


def test_different_keys_and_later_calls_are_worked_on_anew():
    async def run():
        work, flights = Work(), SingleFlight()
        work.let_go.set()
        await asyncio.gather(flights.run("a", work), flights.run("b", work))
        await flights.run("a", work)
        return work.begun

    assert asyncio.run(run()) == 3


def test_an_error_is_shared_and_not_remembered():
    async def run():
        async def fail():
            raise KeyError("no")

        flights = SingleFlight()
        failures = await asyncio.gather(
            flights.run("a", fail), flights.run("a", fail), return_exceptions=True
        )
        work = Work()
        work.let_go.set()
        return failures, await flights.run("a", work)

    failures, later = asyncio.run(run())
    assert [type(failure) for failure in failures] == [KeyError, KeyError]
    assert later == 1


def test_a_caller_who_leaves_does_not_take_the_work_along():
    async def run():
        work = Work()
        leaver, stayer = await callers(SingleFlight(), work, "a", "a")
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        work.let_go.set()
        return await stayer, work.cancelled

    assert asyncio.run(run()) == (1, 0)


def test_with_the_last_caller_the_work_is_cancelled():
    async def run():
        work = Work()
        tasks = await callers(SingleFlight(), work, "a", "a")
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        return [type(outcome) for outcome in outcomes], work.cancelled

    assert asyncio.run(run()) == ([asyncio.CancelledError] * 2, 1)


def test_who_comes_while_cancelled_work_winds_up_gets_work_of_his_own():
    async def run():
        flights, work = SingleFlight(), Work()
        begun, winding_up, wound_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def slow_to_end():
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                winding_up.set()
                await wound_up.wait()

        first = asyncio.create_task(flights.run("a", slow_to_end))
        await begun.wait()
        first.cancel()
        await winding_up.wait()
        work.let_go.set()
        second = await asyncio.wait_for(flights.run("a", work), 10)
        wound_up.set()
        with pytest.raises(asyncio.CancelledError):
            await first
        return second

    assert asyncio.run(run()) == 1
