# SPDX-License-Identifier: Apache-2.0
"""One prepared launch behind a wire, for tests of each way to a host: played, and led astray."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

import pytest

from watchword.core.errors import HostError
from watchword.core.hosts.limits import HostLimits
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.urls import parse_host_url
from watchword.core.launch.surroundings import connector

from .support import SECRET, Stage, state_of

INJECT = b"sev-inject-launch-secret"


class Scene:
    """One launch that is prepared over the transport, its VM started behind a wire."""

    def __init__(self, office, stage, way, wire, launch_id):
        self.office, self.stage, self.way, self.wire = office, stage, way, wire
        self.launch_id = launch_id

    async def complete(self, limits=HostLimits(), *, host=None):  # noqa: B008 - never changed
        """Take the launch on as a new process does; its Launch."""
        with self.office.desk(connect=connector(limits)) as desk:
            return await desk.open(self.launch_id, host=host or self.way.url(self.wire)).run()

    async def fails(self, limits=HostLimits()):  # noqa: B008 - never changed
        with pytest.raises(HostError) as caught:
            await self.complete(limits)
        assert caught.value.remedy
        return caught.value

    @property
    def state(self):
        return state_of(self.office, self.launch_id)


def address_of(stage):
    return urlsplit(stage.servers[-1].url).path


def playing(office, keys, way):
    """``play(scenario)`` with a prepared launch: every step so far went over the transport."""

    def play(scenario):
        async def main():
            async with Stage(keys) as stage, contextlib.AsyncExitStack() as wires:
                monitor = await wires.enter_async_context(way.wire(address_of(stage)))
                with office.desk(connect=connector()) as desk:
                    order = office.order(host=way.url(monitor), ask_host=True)
                    run = desk.new(order)
                    await run.run(until="session")
                    await stage.start(run.material)
                    launch_id = run.id
                wire = await wires.enter_async_context(way.wire(address_of(stage)))
                await scenario(Scene(office, stage, way, wire, launch_id))
                assert stage.holds(SECRET)
                assert len({packet.packet_sha256 for packet in stage.packets}) == 1

        asyncio.run(main())

    return play


async def another_client_is_waited_out(scene):
    """A second client at the monitor is told so, and gets its turn once the first is gone."""
    other = await QmpHost.connect(parse_host_url(scene.way.url(scene.wire)))
    error = await scene.fails(HostLimits(greeting_seconds=0.5))
    assert error.code == "host-socket-busy"
    assert scene.stage.packets == ()
    await other.close()
    assert (await scene.complete()).complete
