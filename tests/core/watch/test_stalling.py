# SPDX-License-Identifier: Apache-2.0
"""Hosts that stall, sources that break, and a stop in between: the others go on."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from watchword.core.errors import BadInput, HostError
from watchword.core.launch.surroundings import connector
from watchword.core.simulator import PlatformKeys
from watchword.core.watch import ending
from watchword.core.watch.events import BlobAnswer, Later, Launched, Paused
from watchword.core.watch.turns import Turns
from watchword.core.watch.watch import Pace

from .engine_support import (
    FAST,
    Machine,
    WatchOffice,
    asked,
    holds,
    paused,
    run,
    serving,
    until,
    url_of,
)


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture
def office(tmp_path, keys):
    return WatchOffice(tmp_path, keys, instances_at_most=100, starts_per_hour=100)


def stalling(gate):
    """A way to hosts of which those of one machine never answer, until a gate opens."""
    honest = connector()

    async def connect(url, launch_id):
        if url.startswith("qmp+tcp:"):
            await gate.wait()
            raise HostError("host-timeout", "No answer", "…", "…")
        return await honest(url, launch_id)

    return connect


def test_hosts_that_stall_keep_nobody_else_waiting(office, keys):
    office.hosts = (*office.hosts, *(f"qmp+tcp://127.0.0.1:{port}" for port in range(1, 31)))

    async def scenario():
        gate = asyncio.Event()
        async with Machine(keys) as machine:
            with office.watch(around={"connect": stalling(gate)}, jobs=2) as watch:
                stalled = [
                    asyncio.create_task(
                        watch.take(Paused(source="test", host=f"qmp+tcp://127.0.0.1:{port}"))
                    )
                    for port in range(1, 31)
                ]
                await asyncio.sleep(0)
                answer = await watch.take(asked(keys))
                assert isinstance(answer, BlobAnswer)
                server = await machine.operator_starts(answer)
                told = paused(server, godh=answer.order.owner_dh_certificate)
                assert isinstance(await watch.take(told), Launched)
                gate.set()
                replies = await asyncio.gather(*stalled)
                assert all(isinstance(reply, Later) for reply in replies)

    run(scenario)


def test_a_host_that_fails_in_between_is_come_back_to(office, keys):
    honest = connector()
    fails = [2]

    async def connect(url, launch_id):
        # Once the launch was found, the host is away for a while.
        if launch_id != "watch" and fails[0]:
            fails[0] -= 1
            raise HostError("host-timeout", "No answer", "…", "…")
        return await honest(url, launch_id)

    async def scenario():
        async with Machine(keys) as machine:
            with office.watch(around={"connect": connect}) as watch:
                async with serving(watch):
                    answer = await watch.take(asked(keys))
                    server = await machine.operator_starts(answer)
                    reply = await watch.take(paused(server, godh=answer.order.owner_dh_certificate))
                    assert isinstance(reply, Later)
                    await until(lambda: holds(server), "the secret")

    run(scenario)


class Broken:
    """A source that breaks once, and then serves."""

    name = "broken"

    def __init__(self, keys, fault):
        self.keys, self.fault, self.reply = keys, fault, None

    async def run(self, take):
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        self.reply = await take(asked(self.keys))
        await asyncio.Event().wait()


@pytest.mark.parametrize("fault", [HostError("host-x", "T", "M", "R"), ZeroDivisionError()])
def test_a_source_that_breaks_is_run_again(office, keys, fault):
    source = Broken(keys, fault)

    async def scenario():
        with office.watch() as watch:
            async with serving(watch, source):
                await until(lambda: source.reply, "the reply")

    run(scenario)
    assert isinstance(source.reply, BlobAnswer)
    (told,) = office.told("source-failed")
    assert told["source"] == "broken"
    assert "ZeroDivisionError" not in str(told)


@pytest.mark.parametrize("code", ["cannot-listen", "bad-folder"])
def test_a_source_that_can_t_begin_ends_the_watch(office, keys, code):
    source = Broken(keys, BadInput(code, "the socket", "It is in use.", "Name another."))

    async def scenario():
        with office.watch() as watch:
            await watch.run([source], asyncio.Event())

    with pytest.raises(BadInput) as caught:
        run(scenario)
    assert caught.value.code == code
    assert office.told("stopped")


def test_a_stop_waits_for_launches_for_a_while_and_leaves_the_rest_to_the_records(office, keys):
    async def scenario():
        gate = asyncio.Event()
        office.hosts = (*office.hosts, "qmp+tcp://127.0.0.1:1")
        pace = Pace(tick=FAST.tick, expiry=FAST.expiry, retry=FAST.retry, grace=0.05)
        async with Machine(keys) as machine:
            with office.watch(around={"connect": stalling(gate)}, pace=pace) as watch:
                stop = asyncio.Event()
                running = asyncio.create_task(watch.run((), stop))
                answer = await watch.take(asked(keys))
                stuck = asyncio.create_task(
                    watch.take(Paused(source="test", host="qmp+tcp://127.0.0.1:1"))
                )
                await asyncio.sleep(0.02)
                stop.set()
                await running
                with pytest.raises(asyncio.CancelledError):
                    await stuck
                assert isinstance(await watch.take(asked(keys)), Later)
            server = await machine.operator_starts(answer)
            with office.watch() as watch:
                told = paused(server, godh=answer.order.owner_dh_certificate)
                assert isinstance(await watch.take(told), Launched)
                assert url_of(server) == told.host

    run(scenario)


class Deaf:
    """A source that loses a cancellation, as asyncio.wait_for may."""

    name = "deaf"

    def __init__(self):
        self.began = asyncio.Event()

    async def run(self, take):
        self.began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()


def test_a_source_that_loses_a_cancellation_does_not_keep_the_watch_from_stopping(
    office, monkeypatch
):
    monkeypatch.setattr(ending, "_AGAIN_SECONDS", 0.01)

    async def scenario():
        source = Deaf()
        with office.watch() as watch:
            async with serving(watch, source):
                await source.began.wait()

    run(scenario)
    assert office.told("stopped")


def test_whoever_stops_waiting_stops_no_launch(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                server = await machine.operator_starts(answer)
                told = paused(server, godh=answer.order.owner_dh_certificate)
                task = asyncio.create_task(watch.take(told))
                await until(lambda: office.told("matched"), "the match")
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await until(lambda: office.told("launched"), "the launch")
                assert holds(server)

    run(scenario)


def test_turns_are_one_by_one_for_each_key_and_forgotten():
    async def scenario():
        turns, log = Turns(), []

        async def work(key, name):
            async with turns.hold(key):
                log.append(f"{name} begins")
                await asyncio.sleep(0)
                log.append(f"{name} ends")

        await asyncio.gather(work("x", "a"), work("x", "b"), work("y", "c"))
        return log, turns._held

    log, held = run(scenario)
    assert log.index("a ends") < log.index("b begins")
    assert log.index("c begins") < log.index("a ends")
    assert held == {}


def test_a_look_for_vms_that_are_gone_holds_up_one_request_and_no_more(tmp_path, keys):
    office = WatchOffice(tmp_path, keys, instances_at_most=1)
    honest, gate, looks = connector(), asyncio.Event(), []

    async def connect(url, launch_id):
        if launch_id == "watch":
            looks.append(url)
            await gate.wait()
        return await honest(url, launch_id)

    async def scenario():
        async with Machine(keys) as machine:
            with office.watch(around={"connect": connect}, pace=Pace()) as watch:
                answer = await watch.take(asked(keys))
                server = await machine.operator_starts(answer)
                told = paused(server, godh=answer.order.owner_dh_certificate)
                assert isinstance(await watch.take(told), Launched)
                first = asyncio.create_task(watch.take(asked(keys, "first")))
                await until(lambda: looks, "the look")
                others = [await watch.take(asked(keys, f"x{number}")) for number in range(20)]
                gate.set()
                replies = [*others, await first, await watch.take(asked(keys, "later"))]
                codes = {reply.as_json()["code"] for reply in replies}
                assert codes == {"too-many-instances"}

    run(scenario)
    assert len(looks) == 1
