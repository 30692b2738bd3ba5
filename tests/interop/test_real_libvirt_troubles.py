# SPDX-License-Identifier: Apache-2.0
"""Each way to a real libvirtd, and what each trouble on it leaves of a launch."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from watchword.core.errors import HostError
from watchword.core.hosts.libvirt import LibvirtHost
from watchword.core.hosts.libvirt_url import LibvirtAddress, Transport
from watchword.core.hosts.limits import DEFAULT_LIMITS
from watchword.core.hosts.urls import parse_host_url
from watchword.core.launch.record import LaunchState

from ..core.hosts.ssh_server import SshServer
from ..core.hosts.tls_server import Authority, listens
from .libvirt_domain import Domain, refused, virshes, wait_until
from .relay import Relay
from .test_real_libvirt_ways import Tls

pytestmark = pytest.mark.slow

HASTY = replace(DEFAULT_LIMITS, connect_seconds=2.0, greeting_seconds=2.0, command_seconds=2.0)


class OverSocket:
    """The daemon's socket; a local URL leaves out its name alone."""

    gone = "libvirt-unreachable"

    def __init__(self, domain: Domain) -> None:
        self.domain = domain

    def down(self) -> None:
        self.domain.daemon.kill()

    def up(self) -> None:
        self.domain.daemon.start()

    @contextlib.contextmanager
    def cuttable(self) -> Iterator[Callable[[], None]]:
        """The way leads over a relay; gives what cuts it."""
        socket = self.domain.daemon.socket
        own, before = self.domain.daemon.folder / "relay.sock", self.domain.url
        with Relay(own, socket) as relay:
            self.domain.url = before.replace(str(socket), str(own))
            yield relay.cut
        own.unlink()
        self.domain.url = before


class OverSsh(OverSocket):
    """The socket behind a real sshd, by our own ssh."""

    gone = "host-refused-connection"

    def __init__(self, domain: Domain, sshd: SshServer) -> None:
        super().__init__(domain)
        self.sshd = sshd
        there = sshd.address(domain.daemon.socket)
        address = LibvirtAddress(
            Transport.SSH,
            parse_host_url(domain.url).instance,
            "vm1",
            there.host,
            there.user,
            there.port,
            socket=there.path,
        )
        domain.url = address.url

    def down(self) -> None:
        self.sshd.stop()

    def up(self) -> None:
        self.sshd.start()

    @contextlib.contextmanager
    def cuttable(self) -> Iterator[Callable[[], None]]:
        yield lambda: self.sshd.signal_connections(signal.SIGKILL)


class OverTls(OverSocket):
    """The daemon's own port, by libvirt's own TLS."""

    def __init__(self, domain: Domain) -> None:
        super().__init__(domain)
        self.tls = Tls(domain.daemon)
        domain.daemon.kill()
        self.up()
        domain.url = self.tls.url(self.tls.client("good"))

    def up(self) -> None:
        self.domain.daemon.start("--listen", "--config", self.tls.config)
        wait_until(lambda: listens(self.tls.port))

    @contextlib.contextmanager
    def cuttable(self) -> Iterator[Callable[[], None]]:
        before, port = self.domain.url, self.tls.port
        with Relay(("127.0.0.1", 0), ("127.0.0.1", port)) as relay:
            self.domain.url = before.replace(f":{port}/", f":{relay.port}/")
            yield relay.cut
        self.domain.url = before


@pytest.fixture(scope="module")
def sshd(program: Callable[[str, str], Path]) -> Iterator[SshServer]:
    with SshServer(program("sshd", "openssh-server"), program("ssh", "openssh-client")) as server:
        yield server


@pytest.fixture
def way(
    request: pytest.FixtureRequest, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OverSocket]:
    if request.param == "unix":
        yield OverSocket(domain)
        return
    if request.param == "ssh":
        server = request.getfixturevalue("sshd")
        monkeypatch.setenv("PATH", server.path)
        yield OverSsh(domain, server)
        server.know(server.folder / "host_key")
        server.allow(server.folder / "user_key")
        return
    yield OverTls(domain)
    domain.daemon.kill()
    domain.daemon.start()


every_way = pytest.mark.parametrize("way", ["unix", "ssh", "tls"], indirect=True)


@every_way
def test_a_name_that_libvirt_does_not_know_costs_nothing(domain: Domain, way: OverSocket) -> None:
    del way
    launch_id = domain.prepare()
    error = refused(domain.url.replace("vm1", "vm2"), LibvirtHost.state)
    assert error.code == "libvirt-domain-unknown"
    assert domain.state(launch_id) is LaunchState.PREPARED
    domain.take_on(launch_id)
    assert domain.has_the_secret


@every_way
def test_a_host_that_is_rebooted_between_the_halves_loses_nothing(
    domain: Domain, way: OverSocket
) -> None:
    launch_id = domain.prepare()
    way.down()
    try:
        assert domain.fails(launch_id).code == way.gone
        assert domain.state(launch_id) is LaunchState.PREPARED
    finally:
        way.up()
    domain.take_on(launch_id)
    assert domain.has_the_secret


@every_way
def test_a_daemon_that_stalls_is_given_up_and_the_launch_goes_on_later(
    domain: Domain, way: OverSocket
) -> None:
    del way
    launch_id = domain.prepare()
    domain.take_on(launch_id, "start")
    os.kill(domain.daemon.pid, signal.SIGSTOP)
    try:
        error = domain.fails(launch_id, limits=HASTY)
        assert error.code == "libvirt-timeout", error.message
    finally:
        os.kill(domain.daemon.pid, signal.SIGCONT)
    assert virshes(domain.daemon) == []
    domain.take_on(launch_id)
    assert domain.has_the_secret


@every_way
def test_a_connection_that_drops_while_the_packet_is_on_its_way(
    domain: Domain, way: OverSocket
) -> None:
    launch_id = domain.prepare()
    domain.take_on(launch_id, "measurement")
    domain.machine.delays["sev-inject-launch-secret"] = 2.0
    sent = len(domain.machine.processor.packets)
    try:
        with way.cuttable() as cut:
            cutting = threading.Thread(target=_cut_after, args=(domain, cut, sent))
            cutting.start()
            # As `launch complete ID --host URL` does.
            with (
                domain.desk() as desk,
                desk.open(launch_id, host=domain.url) as run,
                pytest.raises(HostError) as caught,
            ):
                asyncio.run(run.run())
            cutting.join(30)
    finally:
        domain.machine.delays.clear()
    assert caught.value.code in ("libvirt-unreachable", "libvirt-connection-lost")
    assert caught.value.details["packet_arrived"] == "unknown", caught.value.message
    assert domain.state(launch_id) is LaunchState.SEALED
    with domain.desk() as desk, desk.open(launch_id, host=domain.url) as run:
        asyncio.run(run.run())
    assert domain.has_the_secret
    assert domain.machine.processor.distinct_packets(domain.guest.machine.handle) == 1


def _cut_after(domain: Domain, cut: Callable[[], None], sent: int) -> None:
    """Cut the way once another packet has arrived: its answer takes two seconds."""
    deadline = time.monotonic() + 20
    while len(domain.machine.processor.packets) == sent and time.monotonic() < deadline:
        time.sleep(0.02)
    cut()


@pytest.mark.parametrize("way", ["ssh"], indirect=True)
def test_another_host_key_and_a_key_that_is_not_known_cost_nothing(
    domain: Domain, way: OverSsh
) -> None:
    launch_id = domain.prepare()
    sshd = way.sshd
    sshd.know(sshd.folder / "other_key")
    assert domain.fails(launch_id).code == "ssh-host-key-changed"
    sshd.know(sshd.folder / "host_key")
    sshd.allow(sshd.folder / "other_key")
    assert domain.fails(launch_id).code == "ssh-authentication-refused"
    assert domain.state(launch_id) is LaunchState.PREPARED
    sshd.allow(sshd.folder / "user_key")
    domain.take_on(launch_id)
    assert domain.has_the_secret


@pytest.mark.parametrize("way", ["tls"], indirect=True)
def test_another_ca_and_a_certificate_that_is_not_known_cost_nothing(
    domain: Domain, way: OverTls
) -> None:
    launch_id, good = domain.prepare(), domain.url
    stranger = way.tls.client("stranger", Authority("other"))
    other_ca = way.tls.client("other-ca", Authority("other"), trust=False)
    for folder in (stranger, other_ca):
        error = refused(way.tls.url(folder), LibvirtHost.state)
        assert error.code == "libvirt-tls-refused"
    assert domain.state(launch_id) is LaunchState.PREPARED
    assert domain.url == good
    domain.take_on(launch_id)
    assert domain.has_the_secret
