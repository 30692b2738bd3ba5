# SPDX-License-Identifier: Apache-2.0
"""A watch that is killed at any point of a launch: the next one makes it good, with one packet."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from watchword.core.guest.document import profile_text
from watchword.core.launch.fault_points import FAULT_POINTS, VARIABLE
from watchword.core.simulator import PlatformKeys, StartOrder, build_firmware

from ..launch.support import PASSPHRASE
from .engine_support import Machine, WatchOffice, holds, run, until, url_of

PROCESS = Path(__file__).with_name("watch_process.py")
NOT_PASSED = ("record-key-in-vault", "report-verified", "anchor-written", "abandonment-recorded")
"""Before the first launch of all, only with a report, at the end, and never."""
POINTS = [point for point in FAULT_POINTS if point not in NOT_PASSED]
EVERY = 7
"""A fast run of the tests takes each seventh point."""


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


class KilledWatch:
    """The processes of a watch over one folder, one after the other."""

    def __init__(self, home, keys):
        self.office = WatchOffice(home, keys)
        self.home, self.folder = home, home / "in"
        self.folder.mkdir()
        (home / "ark").write_bytes(keys.root.ark)
        (home / "ask").write_bytes(keys.root.ask)
        (home / "vm1.toml").write_text(profile_text(self.office.profile))
        self.deaths = 0
        self.process = None

    async def start(self, point=None):
        environment = {**os.environ, **({} if point is None else {VARIABLE: point})}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, PROCESS, str(self.home), PASSPHRASE.decode(), env=environment
        )

    async def look_after(self):
        """Start another process, which nobody kills, in the place of one that was killed."""
        while True:
            status = await self.process.wait()
            assert status in (0, -signal.SIGKILL)
            if status == 0:
                return
            self.deaths += 1
            await self.start()

    def put(self, name, value):
        (self.folder / ".tmp").write_text(json.dumps(value))
        (self.folder / ".tmp").rename(self.folder / f"{name}.json")

    async def answer(self, name):
        path = self.folder / f"{name}.answer.json"
        await until(path.exists, f"the answer {name}")
        return json.loads(path.read_text())


@pytest.mark.parametrize("point", POINTS[::EVERY])
def test_a_killed_watch_is_made_good_by_the_next(tmp_path, keys, point):
    killed(tmp_path, keys, point)


@pytest.mark.slow
@pytest.mark.parametrize("point", [point for point in POINTS if point not in POINTS[::EVERY]])
def test_a_killed_watch_is_made_good_by_the_next_at_every_point(tmp_path, keys, point):
    killed(tmp_path, keys, point)


def killed(home, keys, point):
    watch = KilledWatch(home, keys)
    chain = {"name": "export", "data": base64.b64encode(keys.full_chain).decode()}

    async def scenario():
        async with Machine(keys) as machine:
            await watch.start(point)
            looking = asyncio.create_task(watch.look_after())
            try:
                asked_for = {"event": "asked", "request": "r1", "guest": "vm1"}
                watch.put("a", {**asked_for, "certificates": [chain]})
                given = await watch.answer("a")
                server = await start(machine, given)
                told = {"event": "paused", "host": url_of(server), "dh_cert": given["godh"]}
                watch.put("b", told)
                await until(lambda: holds(server), "the secret")
                await until(lambda: "running" in watch.office.states().values(), "the end")
            finally:
                (home / "stop").touch()
                await looking
            return len({packet.packet_sha256 for packet in machine.processor.packets})

    assert run(scenario) == 1
    assert watch.deaths == 1
    # A launch that was killed before it was promised is left without a blob, and expires.
    assert sorted(watch.office.states().values()) in (["running"], ["preparing", "running"])


async def start(machine, given):
    """A VM from the JSON of an answer."""
    order = StartOrder(
        firmware=build_firmware(),
        policy=int(given["policy"], 16),
        dh_cert=given["godh"].encode(),
        session=given["session"].encode(),
    )
    return await machine.start_vm(order)
