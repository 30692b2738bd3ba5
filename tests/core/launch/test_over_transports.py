# SPDX-License-Identifier: Apache-2.0
"""Whole launches over SSH and TLS, and what each trouble on the way leaves of them."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from pathlib import Path
from typing import ClassVar

import pytest

from watchword.core.hosts.limits import HostLimits
from watchword.core.hosts.locality import LOCAL_WARNING
from watchword.core.hosts.tls_url import TlsAddress
from watchword.core.launch.record import LaunchState

from ..hosts.ssh_server import SshServer
from ..hosts.tls_server import Authority
from ..hosts.wires import Wire
from .support import cek_of
from .transport_scenes import INJECT, address_of, another_client_is_waited_out, playing

pytestmark = pytest.mark.slow


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


@pytest.fixture
def play(office, keys, way):
    return playing(office, keys, way)


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
    play(another_client_is_waited_out)


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
