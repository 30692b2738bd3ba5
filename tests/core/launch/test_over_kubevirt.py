# SPDX-License-Identifier: Apache-2.0
"""Whole launches through a stand-in for virtctl, and what each trouble leaves of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from watchword.core.errors import HostError
from watchword.core.hosts.kubevirt_url import KubevirtAddress
from watchword.core.hosts.limits import DEFAULT_LIMITS
from watchword.core.launch.record import LaunchState
from watchword.core.launch.surroundings import connector
from watchword.core.simulator import SimulatedHost, StartOrder, build_firmware

from ..hosts.test_kubevirt import ADDRESS, VIRTCTL, Cluster
from .support import SECRET, profile_policy, state_of

pytestmark = pytest.mark.slow

UNREACHABLE = "Unable to connect to the server: dial tcp 10.0.0.1:6443: connect: connection refused"
UNKNOWN = 'virtualmachineinstances.kubevirt.io "web-2" not found'
UNAUTHORISED = "error: You must be logged in to the server (Unauthorized)"
DROPPED = "Error prod/web-1: unexpected EOF"


class OwnersCluster(Cluster):
    """The cluster with a VM under the owner's policy, and a way to trouble it."""

    def __init__(self, host):
        super().__init__(host)
        self.trouble = {}
        self.arrives = True

    async def __call__(self, words):
        command = words[1]
        if command not in self.trouble and "*" not in self.trouble:
            return await super().__call__(words)
        if self.arrives and command == "inject-secret":
            await super().__call__(words)
        return self.trouble.get(command) or self.trouble["*"]

    async def setup_session(self, options):
        order = StartOrder(
            firmware=build_firmware(),
            policy=profile_policy(),
            dh_cert=options["--dhcert"].encode(),
            session=options["--session"].encode(),
        )
        self.machine = (await self.host.start_vm(order)).machine
        return {}


@pytest.fixture
def socket_folder(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="ww-", dir="/tmp") as name:
        program = Path(name) / "virtctl"
        path = f"{name}/cluster.sock"
        program.write_text(VIRTCTL.format(python=sys.executable, path=path))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{name}:{os.environ['PATH']}")
        yield Path(name)


class Scene:
    """One launch that is prepared through virtctl."""

    def __init__(self, office, cluster, launch_id):
        self.office, self.cluster, self.launch_id = office, cluster, launch_id

    async def complete(self, limits=DEFAULT_LIMITS, *, until=None, host=None):
        """Take the launch on as a new process does; its Launch."""
        with self.office.desk(connect=connector(limits)) as desk:
            return await desk.open(self.launch_id, host=host or ADDRESS.url).run(until)

    async def fails(self, limits=DEFAULT_LIMITS, **options):
        with pytest.raises(HostError) as caught:
            await self.complete(limits, **options)
        assert caught.value.remedy
        return caught.value

    @property
    def state(self):
        return state_of(self.office, self.launch_id)

    @property
    def packets(self):
        return self.cluster.host.processor.packets


@pytest.fixture
def play(office, keys, socket_folder):
    """``play(scenario)`` with a prepared launch; in the end its VM has the secret."""

    def play(scenario):
        async def main():
            async with SimulatedHost(keys) as simulated:
                cluster = OwnersCluster(simulated)

                async def handle(reader, writer):
                    made = await cluster(json.loads(await reader.readline()))
                    writer.write(json.dumps(made).encode() + b"\n")
                    with contextlib.suppress(ConnectionError):
                        await writer.drain()
                    writer.close()

                path = str(socket_folder / "cluster.sock")
                async with await asyncio.start_unix_server(handle, path):
                    with office.desk(connect=connector()) as desk:
                        run = desk.new(office.order(host=ADDRESS.url, ask_host=True))
                        await run.run(until="session")
                    await scenario(Scene(office, cluster, run.id))
                assert cluster.machine.memory.holds(SECRET)
                assert len({packet.packet_sha256 for packet in simulated.processor.packets}) == 1

        asyncio.run(main())

    return play


def test_a_whole_launch_ends_on_the_clusters_word(play):
    async def scenario(scene):
        launch = await scene.complete()
        assert launch.complete
        assert scene.state is LaunchState.RUNNING
        assert "host says" in str(launch.facts["run"].record["running"])

    play(scenario)


@pytest.mark.parametrize("words", [UNREACHABLE, UNAUTHORISED], ids=["unreachable", "refused"])
@pytest.mark.parametrize("command", ["setup-session", "query-measurement"])
def test_a_cluster_that_lets_nobody_in_costs_nothing_and_is_quoted(play, words, command):
    async def scenario(scene):
        scene.cluster.trouble = {command: {"status": 1, "errors": words}}
        error = await scene.fails()
        assert error.code == "kubevirt-refused"
        assert words in error.message
        assert scene.packets == ()
        assert scene.state is LaunchState.PREPARED
        scene.cluster.trouble = {}
        assert (await scene.complete()).complete

    play(scenario)


def test_a_name_that_the_cluster_does_not_know_is_quoted(play):
    async def scenario(scene):
        scene.cluster.trouble = {"*": {"status": 1, "errors": UNKNOWN}}
        error = await scene.fails(host=KubevirtAddress("prod", "web-2").url)
        assert (error.code, UNKNOWN in error.message) == ("kubevirt-refused", True)
        scene.cluster.trouble = {}
        assert (await scene.complete()).complete

    play(scenario)


@pytest.mark.parametrize("arrives", [True, False])
def test_a_connection_that_drops_while_the_packet_is_on_its_way(play, arrives):
    async def scenario(scene):
        scene.cluster.arrives = arrives
        scene.cluster.trouble = {"inject-secret": {"status": 1, "errors": DROPPED}}
        error = await scene.fails()
        assert error.code == "kubevirt-refused"
        assert error.details["packet_arrived"] == "unknown"
        assert scene.state is LaunchState.SEALED
        scene.cluster.trouble = {}
        assert (await scene.complete()).complete

    play(scenario)


@pytest.mark.parametrize("command", ["query-measurement", "inject-secret"])
def test_a_cluster_that_stalls_is_given_up_and_taken_up(play, command):
    async def scenario(scene):
        scene.cluster.trouble = {command: {"sleep": 30}}
        hasty = replace(DEFAULT_LIMITS, command_seconds=5.0, inject_seconds=5.0)
        error = await scene.fails(hasty)
        assert error.code == "kubevirt-timeout"
        assert ("packet_arrived" in error.details) is (command == "inject-secret")
        scene.cluster.trouble = {}
        assert (await scene.complete()).complete

    play(scenario)


def test_a_node_that_was_rebooted_takes_the_launch_on_where_its_vm_waits_again(play):
    async def scenario(scene):
        scene.cluster.trouble = {"*": {"status": 1, "errors": UNKNOWN.replace("web-2", "web-1")}}
        assert (await scene.fails()).code == "kubevirt-refused"
        assert scene.state is LaunchState.PREPARED
        scene.cluster.trouble = {}
        assert (await scene.complete()).complete

    play(scenario)
