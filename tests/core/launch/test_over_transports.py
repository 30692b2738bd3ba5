# SPDX-License-Identifier: Apache-2.0
"""Whole launches over SSH and TLS, and what each trouble on the way leaves of them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from watchword.core.errors import HostError
from watchword.core.hosts.limits import HostLimits
from watchword.core.hosts.locality import LOCAL_WARNING
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.tls_url import TlsAddress
from watchword.core.hosts.urls import parse_host_url
from watchword.core.launch.record import LaunchState
from watchword.core.launch.surroundings import connector

from ..hosts.ssh_server import SshServer
from ..hosts.tls_server import Authority
from ..hosts.wires import Wire
from .support import SECRET, Stage, cek_of, state_of

pytestmark = pytest.mark.slow

INJECT = b"sev-inject-launch-secret"


@pytest.fixture(scope="module")
def sshd(program):
    with SshServer(program("sshd", "openssh-server"), program("ssh", "openssh-client")) as server:
        yield server


@pytest.fixture
def own_folder():
    with tempfile.TemporaryDirectory(prefix="ww-", dir="/tmp") as folder:
        yield Path(folder)


class OverSsh:
    """The simulator's sockets behind sshd."""

    def __init__(self, sshd, folder):
        self._sshd = sshd
        self._folder = folder

    def wire(self, target):
        wire = Wire(target, path=str(self._folder / f"{abs(hash(target))}.sock"))
        wire.cut = lambda: self._sshd.signal_connections(signal.SIGKILL)
        wire.path = wire._path
        return wire

    def url(self, wire):
        return self._sshd.address(wire.path).url

    async def go_down(self, wire):
        self._sshd.stop()
        await wire.close()

    async def come_back(self, wire):
        await asyncio.to_thread(Path(wire.path).unlink, missing_ok=True)
        await wire.open()
        await asyncio.to_thread(self._sshd.start)

    def show_another_key(self):
        self._sshd.know(self._sshd.folder / "other_key")

    def be_unknown(self):
        self._sshd.allow(self._sshd.folder / "other_key")

    def mend(self):
        self._sshd.know(self._sshd.folder / "host_key")
        self._sshd.allow(self._sshd.folder / "user_key")

    codes: ClassVar = {
        "down": "host-refused-connection",
        "another key": "ssh-host-key-changed",
        "unknown": "ssh-authentication-refused",
    }


class OverTls:
    """The simulator's sockets behind TLS, with client certificates."""

    def __init__(self, folder):
        authority, other = Authority(), Authority("another")
        self._pki = authority.folder(folder / "pki", "server", "client")
        self._other = other.folder(folder / "other", "client")
        self._right = {path.name: path.read_bytes() for path in self._pki.iterdir()}

    def wire(self, target):
        return Wire(target, tls_folder=self._pki)

    def url(self, wire):
        return TlsAddress("127.0.0.1", wire.port, str(self._pki)).url

    async def go_down(self, wire):
        await wire.close()

    async def come_back(self, wire):
        await wire.open()

    def show_another_key(self):
        self._take_from_other("ca-cert.pem")

    def be_unknown(self):
        self._take_from_other("client-cert.pem", "client-key.pem")

    def mend(self):
        for name, data in self._right.items():
            (self._pki / name).write_bytes(data)

    def _take_from_other(self, *names):
        for name in names:
            (self._pki / name).write_bytes((self._other / name).read_bytes())

    codes: ClassVar = {
        "down": "host-refused-connection",
        "another key": "tls-wrong-ca",
        "unknown": "tls-client-refused",
    }


@pytest.fixture(params=["ssh", "tls"])
def way(request, own_folder, monkeypatch):
    if request.param == "tls":
        yield OverTls(own_folder)
        return
    sshd = request.getfixturevalue("sshd")
    monkeypatch.setenv("PATH", sshd.path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(own_folder))
    over_ssh = OverSsh(sshd, own_folder)
    yield over_ssh
    over_ssh.mend()
    sshd.restart()


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


@pytest.fixture
def play(office, keys, way):
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


def test_a_whole_launch_and_the_word_that_a_local_host_is_no_judge_of_itself(play, keys):
    async def scenario(scene):
        launch = await scene.complete()
        assert launch.complete
        platform = launch.facts["platform"].record
        assert platform["cek_sha256"] == cek_of(keys)
        assert platform["host_is_local"] is True
        assert LOCAL_WARNING in platform["warnings"]

    play(scenario)


def test_a_host_that_is_down_costs_nothing(play):
    async def scenario(scene):
        await scene.way.go_down(scene.wire)
        error = await scene.fails()
        assert error.code == scene.way.codes["down"]
        assert scene.state is LaunchState.PREPARED
        await scene.way.come_back(scene.wire)
        assert (await scene.complete()).complete

    play(scenario)


@pytest.mark.parametrize("trouble", ["another key", "unknown"])
def test_the_wrong_key_on_either_side_costs_nothing(play, trouble):
    async def scenario(scene):
        if trouble == "unknown":
            scene.way.be_unknown()
        else:
            scene.way.show_another_key()
        error = await scene.fails()
        assert error.code == scene.way.codes[trouble]
        assert scene.stage.packets == ()
        assert scene.state is LaunchState.PREPARED
        scene.way.mend()
        assert (await scene.complete()).complete

    play(scenario)


def test_a_connection_that_drops_in_mid_injection_is_taken_up_with_the_same_packet(play):
    async def scenario(scene):
        scene.wire.cut_at = INJECT
        error = await scene.fails()
        assert error.details["packet_arrived"] == "unknown"
        assert scene.state is LaunchState.SEALED
        assert len(scene.stage.packets) == 1
        assert (await scene.complete()).complete

    play(scenario)


def test_a_stall_ends_within_its_limit_and_is_taken_up(play):
    async def scenario(scene):
        scene.wire.silent_at = b"query-sev-launch-measure"
        error = await scene.fails(HostLimits(command_seconds=0.5))
        assert error.code == "host-timeout"
        assert scene.stage.packets == ()
        scene.wire.silent_at = None
        assert (await scene.complete()).complete

    play(scenario)


def test_another_client_at_the_monitor_is_named_and_waited_out(play):
    async def scenario(scene):
        other = await QmpHost.connect(parse_host_url(scene.way.url(scene.wire)))
        error = await scene.fails(HostLimits(greeting_seconds=0.5))
        assert error.code == "host-socket-busy"
        assert scene.stage.packets == ()
        await other.close()
        assert (await scene.complete()).complete

    play(scenario)


def test_a_host_that_was_rebooted_takes_the_launch_on_where_its_vm_comes_back(play):
    async def scenario(scene):
        with scene.office.desk() as desk:
            material = desk.open(scene.launch_id).material
        await scene.way.go_down(scene.wire)
        await scene.stage.servers[-1].stop()
        assert (await scene.fails()).code == scene.way.codes["down"]
        await scene.way.come_back(scene.wire)
        # sshd is up, the VM is not.
        error = await scene.fails()
        assert error.code in ("host-closed-connection", "tls-client-refused")
        assert scene.state is LaunchState.PREPARED
        await scene.stage.start(material)
        scene.wire.target = address_of(scene.stage)
        assert (await scene.complete()).complete

    play(scenario)
