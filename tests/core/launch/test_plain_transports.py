# SPDX-License-Identifier: Apache-2.0
"""Whole launches over bare sockets, unix and TCP, and what each trouble leaves of them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from watchword.core.errors import HostError
from watchword.core.hosts.limits import HostLimits
from watchword.core.launch.record import LaunchState

from ..hosts.wires import Wire
from .transport_scenes import INJECT, address_of, another_client_is_waited_out, playing

pytestmark = pytest.mark.slow


class OverUnix:
    """The simulator's sockets behind a socket file."""

    gone = "host-socket-missing"
    wrong_name = "host-socket-missing"

    def __init__(self, folder):
        self._folder = folder

    def wire(self, target):
        path = self._folder / f"{abs(hash(target))}.sock"
        wire = Wire(target, path=str(path))
        wire.path = path
        return wire

    def url(self, wire):
        return f"qmp+unix://{wire.path}"

    def url_of_another(self, wire):
        return f"qmp+unix://{wire.path}-2"

    async def go_down(self, wire):
        await wire.close()
        wire.path.unlink(missing_ok=True)


class OverTcp:
    """The simulator's sockets behind a port."""

    gone = "host-refused-connection"
    wrong_name = "host-name-unknown"

    def wire(self, target):
        return Wire(target)

    def url(self, wire):
        return f"qmp+tcp://127.0.0.1:{wire.port}"

    def url_of_another(self, wire):
        return f"qmp+tcp://no-such-host.invalid:{wire.port}"

    async def go_down(self, wire):
        await wire.close()


@pytest.fixture(params=["unix", "tcp"])
def way(request):
    with tempfile.TemporaryDirectory(prefix="ww-", dir="/tmp") as folder:
        yield OverUnix(Path(folder)) if request.param == "unix" else OverTcp()


@pytest.fixture
def play(office, keys, way):
    return playing(office, keys, way)


def test_a_host_that_is_down_costs_nothing(play):
    async def scenario(scene):
        await scene.way.go_down(scene.wire)
        assert (await scene.fails()).code == scene.way.gone
        assert scene.state is LaunchState.PREPARED
        await scene.wire.open()
        assert (await scene.complete()).complete

    play(scenario)


def test_a_wrong_name_costs_nothing(play):
    async def scenario(scene):
        with pytest.raises(HostError) as caught:
            await scene.complete(host=scene.way.url_of_another(scene.wire))
        assert caught.value.code == scene.way.wrong_name
        assert caught.value.remedy
        assert scene.state is LaunchState.PREPARED
        assert (await scene.complete()).complete

    play(scenario)


def test_a_connection_that_drops_in_mid_injection_is_taken_up_with_the_same_packet(play):
    async def scenario(scene):
        scene.wire.cut_at = INJECT
        error = await scene.fails()
        assert (error.code, error.details["packet_arrived"]) == (
            "host-closed-connection",
            "unknown",
        )
        assert scene.state is LaunchState.SEALED
        assert (await scene.complete()).complete

    play(scenario)


@pytest.mark.parametrize("command", [b"query-sev-launch-measure", INJECT])
def test_a_stall_ends_within_its_limit_and_is_taken_up(play, command):
    async def scenario(scene):
        scene.wire.silent_at = command
        error = await scene.fails(HostLimits(command_seconds=3.0, inject_seconds=3.0))
        assert error.code == "host-timeout"
        assert ("packet_arrived" in error.details) is (command == INJECT)
        scene.wire.silent_at = None
        assert (await scene.complete()).complete

    play(scenario)


def test_another_client_at_the_monitor_is_named_and_waited_out(play):
    play(another_client_is_waited_out)


def test_a_host_that_was_rebooted_takes_the_launch_on_where_its_vm_comes_back(play):
    async def scenario(scene):
        with scene.office.desk() as desk:
            material = desk.open(scene.launch_id).material
        await scene.way.go_down(scene.wire)
        await scene.stage.servers[-1].stop()
        assert (await scene.fails()).code == scene.way.gone
        assert scene.state is LaunchState.PREPARED
        await scene.wire.open()
        await scene.stage.start(material)
        scene.wire.target = address_of(scene.stage)
        assert (await scene.complete()).complete

    play(scenario)
