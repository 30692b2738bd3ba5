# SPDX-License-Identifier: Apache-2.0
"""Requests on a unix socket: one line in, one out, within bounds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import socket

import pytest

from watchword.core.errors import BadInput
from watchword.core.watch.events import Asked, Noted
from watchword.core.watch.socket_source import SocketSource

from .engine_support import run, until

ASKED = b'{"event": "asked", "request": "r1", "guest": "vm1", "host": "qmp+unix:///x"}\n'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s"


class Taker:
    def __init__(self, reply=None):
        self.events, self.gate, self.reply = [], None, reply or Noted(("x",))

    async def __call__(self, event):
        self.events.append(event)
        if self.gate is not None:
            await self.gate.wait()
        return self.reply


@contextlib.asynccontextmanager
async def listening(path, taker, **options):
    source = SocketSource(path, **{"seconds": 30, **options})
    task = asyncio.create_task(source.run(taker))
    try:
        await until(path.exists, "the socket")
        yield source
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ask(path, data, *, half=False):
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        with contextlib.suppress(OSError):
            writer.write(data)
            await writer.drain()
            if half:
                writer.write_eof()
        line = b""
        with contextlib.suppress(ConnectionResetError):
            line = await reader.read()
        return json.loads(line) if line else None
    finally:
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()


def test_a_line_is_answered_with_a_line_and_who_asked_is_noted(path):
    taker, events = Taker(), []

    async def scenario():
        async with listening(path, taker, observe=events.append):
            assert path.stat().st_mode & 0o777 == 0o600
            return await ask(path, ASKED)

    assert run(scenario) == {"answer": "noted", "launches": ["x"]}
    assert isinstance(taker.events[0], Asked)
    client = events[-1]
    assert (client["pid"], client["uid"], client["gid"]) == (os.getpid(), os.getuid(), os.getgid())
    assert not path.exists()


@pytest.mark.parametrize(
    ("data", "half"),
    [
        (b"\n", False),
        (b"{}\n", False),
        (b"\xff\n", False),
        (ASKED.replace(b"asked", b"given"), False),
        (ASKED[:-1], True),
        (b"", True),
        (b"x" * (3 << 20) + b"\n", False),
    ],
)
def test_what_is_no_request_is_refused(path, data, half):
    taker = Taker()

    async def scenario():
        async with listening(path, taker):
            told = await ask(path, data, half=half)
            assert await ask(path, ASKED) == {"answer": "noted", "launches": ["x"]}
            return told

    told = run(scenario)
    # Who sends more than may be read can lose the answer with the connection.
    assert told is None or told["answer"] == "refused"
    assert len(taker.events) == 1


def test_whoever_says_nothing_is_let_go(path):
    async def scenario():
        async with listening(path, Taker(), seconds=0.05):
            return await ask(path, b"")

    assert run(scenario) is None


def test_one_too_many_is_told_to_come_again(path):
    taker = Taker()

    async def scenario():
        taker.gate = asyncio.Event()
        async with listening(path, taker, clients=2):
            first = [asyncio.create_task(ask(path, ASKED)) for _ in range(2)]
            await until(lambda: len(taker.events) == 2, "both")
            told = await ask(path, ASKED)
            taker.gate.set()
            await asyncio.gather(*first)
            return told

    told = run(scenario)
    assert (told["answer"], told["code"]) == ("later", "watch-busy")


def test_a_host_that_stalls_leaves_places_for_others(path):
    gate, waiting = asyncio.Event(), []

    async def take(event):
        if event.host.endswith("stalled"):
            waiting.append(event)
            await gate.wait()
        return Noted(("x",))

    async def scenario():
        async with listening(path, take, clients=8):
            stalled = ASKED.replace(b"///x", b"///stalled")
            first = [asyncio.create_task(ask(path, stalled)) for _ in range(4)]
            await until(lambda: len(waiting) == 4, "the crowd")
            told = await ask(path, stalled)
            served = await ask(path, ASKED)
            gate.set()
            return told, served, await asyncio.gather(*first)

    told, served, first = run(scenario)
    assert (told["answer"], told["code"]) == ("later", "watch-busy")
    assert served["answer"] == "noted"
    assert [one["answer"] for one in first] == ["noted"] * 4


def test_of_far_too_many_none_is_even_told(path):
    taker = Taker()

    async def scenario():
        taker.gate = asyncio.Event()
        async with listening(path, taker, clients=1) as source:
            first = asyncio.create_task(ask(path, ASKED))
            await until(lambda: taker.events, "the first")
            _, silent = await asyncio.open_unix_connection(path)
            await until(lambda: len(source._clients) == 2, "the second")
            told = [await ask(path, ASKED) for _ in range(20)]
            busy = len(source._clients)
            silent.close()
            await silent.wait_closed()
            taker.gate.set()
            return await first, told, busy

    first, told, busy = run(scenario)
    assert first["answer"] == "noted"
    assert busy <= 2
    assert {one if one is None else one["code"] for one in told} <= {None, "watch-busy"}


def test_whoever_takes_no_answer_keeps_no_connection(path):
    more_than_a_socket_holds = Noted(("x" * 100,) * 20_000)

    async def scenario():
        async with listening(path, Taker(more_than_a_socket_holds), seconds=0.2):
            with socket.socket(socket.AF_UNIX) as client:
                client.setblocking(False)
                client.connect(str(path))
                client.send(ASKED)
                hung_up = select.poll()
                hung_up.register(client, select.POLLHUP)
                await until(lambda: hung_up.poll(0), "the end of the connection")

    run(scenario)


def test_whoever_goes_away_stops_nothing(path):
    taker = Taker()

    async def scenario():
        taker.gate = asyncio.Event()
        async with listening(path, taker):
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(ASKED)
            await until(lambda: taker.events, "the request")
            writer.close()
            await writer.wait_closed()
            taker.gate.set()
            return await ask(path, ASKED)

    assert run(scenario)["answer"] == "noted"


def test_a_socket_in_use_is_not_taken_away(path):
    async def scenario():
        async with listening(path, Taker()):
            with pytest.raises(BadInput) as caught:
                await SocketSource(path).run(Taker())
            assert caught.value.code == "cannot-listen"
            assert (await ask(path, ASKED))["answer"] == "noted"

    run(scenario)


def test_a_group_may_be_let_in(path):
    async def scenario():
        async with listening(path, Taker(), group=os.getgid()):
            return path.stat()

    status = run(scenario)
    assert (status.st_mode & 0o777, status.st_gid) == (0o660, os.getgid())
