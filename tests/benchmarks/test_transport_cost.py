# SPDX-License-Identifier: Apache-2.0
"""What each transport costs: to attach, and one command, against the bare unix socket.

Not measured: KubeVirt, whose stand-in for virtctl would measure itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watchword.core.hosts.connect import connect_host
from watchword.core.hosts.exchange import ExchangeHost
from watchword.core.hosts.libvirt_url import LibvirtAddress
from watchword.core.hosts.libvirt_url import Transport as LibvirtTransport
from watchword.core.hosts.protocol import Host
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.tls_url import TlsAddress
from watchword.core.hosts.urls import (
    ExchangeAddress,
    HostAddress,
    QmpAddress,
    TcpAddress,
    UnixAddress,
    parse_host_url,
)
from watchword.core.simulator import PlatformKeys, build_firmware

from ..core.hosts.peer import HungUp, Peer
from ..core.hosts.ssh_server import SshServer
from ..core.hosts.tls_server import Authority
from ..core.hosts.wires import server_context
from ..interop.libvirt_daemon import LibvirtDaemon
from ..interop.libvirt_domain import DOMAIN
from ..interop.libvirt_machine import LibvirtMachine
from ..interop.test_real_libvirt_ways import Tls
from .ratio import Ratio

COMMANDS = 50
# An SSH login is a key exchange and a process or three on either side; a TLS handshake two
# certificates. Both are stated loosely: what they must not do is to grow by a wait of ours.
MOST_TO_ATTACH = {"tcp": 10.0, "ssh": 800.0, "tls": 40.0}
MOST_PER_COMMAND = {"tcp": 8.0, "ssh": 15.0, "tls": 8.0}
# virsh is a process that has libvirt's libraries to load; then a command is two lines of a pipe
# and one question to the daemon.
# Over SSH the login comes on top, over TLS a handshake.
MOST_TO_ATTACH_TO_LIBVIRT = {"unix": 300.0, "ssh": 1000.0, "tls": 500.0}
MOST_PER_LIBVIRT_COMMAND = {"unix": 25.0, "ssh": 35.0, "tls": 35.0}
# A folder is read anew for each answer, in a thread; nothing is attached to.
MOST_PER_ANSWER_BY_HAND = 40.0


class Transport:
    """One server, the ways to it, and the loop that all of it runs in."""

    def __init__(self, folder: Path, sshd: SshServer) -> None:
        self.runner = asyncio.Runner()
        pki = Authority().folder(folder / "pki", "server", "client")
        path = str(folder / "qmp.sock")
        self._writers: list[asyncio.StreamWriter] = []
        self._server = self.run(asyncio.start_unix_server(self._serve, path))
        serving = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=server_context(pki))
        self._tls_server = self.run(serving)
        port = self._tls_server.sockets[0].getsockname()[1]
        self._tcp_server = self.run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        bare_port = self._tcp_server.sockets[0].getsockname()[1]
        self.addresses: dict[str, QmpAddress] = {
            "unix": UnixAddress(path),
            "tcp": TcpAddress("127.0.0.1", bare_port),
            "ssh": sshd.address(path),
            "tls": TlsAddress("127.0.0.1", port, str(pki)),
        }

    def run(self, coroutine):
        return self.runner.run(coroutine)

    async def attach(self, kind: str) -> QmpHost:
        return await QmpHost.connect(self.addresses[kind])

    async def attach_and_leave(self, kind: str) -> None:
        await (await self.attach(kind)).close()

    async def ask(self, host: QmpHost) -> None:
        for _ in range(COMMANDS):
            assert await host.vcpu_count() == 2

    def close(self) -> None:
        self._server.close()
        self._tls_server.close()
        self._tcp_server.close()
        for writer in self._writers:
            writer.transport.abort()
        self.run(asyncio.sleep(0.05))
        self.runner.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        peer = Peer(reader, writer)
        with contextlib.suppress(HungUp, OSError, asyncio.CancelledError):
            await peer.accept()
            await peer.serve()
        writer.transport.abort()


@pytest.fixture
def sshd(program: Callable[[str, str], Path]) -> Iterator[SshServer]:
    with SshServer(program("sshd", "openssh-server"), program("ssh", "openssh-client")) as server:
        yield server


@pytest.fixture
def transport(sshd: SshServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Transport]:
    with tempfile.TemporaryDirectory(prefix="ww-", dir="/tmp") as folder:
        monkeypatch.setenv("PATH", sshd.path)
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        transport = Transport(Path(folder), sshd)
        yield transport
        transport.close()


@pytest.mark.parametrize("kind", ["tcp", "ssh", "tls"])
def test_attaching_over_a_network_costs_its_handshake_and_no_wait_of_ours(
    transport: Transport, ratio: Ratio, kind: str
) -> None:
    ratio(
        f"attach over {kind} / unix socket",
        lambda: transport.run(transport.attach_and_leave(kind)),
        lambda: transport.run(transport.attach_and_leave("unix")),
        MOST_TO_ATTACH[kind],
        rounds=5,
    )


@pytest.mark.parametrize("kind", ["tcp", "ssh", "tls"])
def test_a_command_over_a_network_costs_little_more_than_over_a_unix_socket(
    transport: Transport, ratio: Ratio, kind: str
) -> None:
    host, floor = transport.run(transport.attach(kind)), transport.run(transport.attach("unix"))
    try:
        ratio(
            f"{COMMANDS} commands over {kind} / unix socket",
            lambda: transport.run(transport.ask(host)),
            lambda: transport.run(transport.ask(floor)),
            MOST_PER_COMMAND[kind],
            rounds=10,
        )
    finally:
        transport.run(host.close())
        transport.run(floor.close())


@pytest.fixture
def domain_addresses(
    program: Callable[[str, str], Path], sshd: SshServer
) -> Iterator[dict[str, HostAddress]]:
    """The ways to a paused VM of a real libvirtd."""
    programs = [program(name, "libvirt-daemon") for name in ("libvirtd", "virtlogd")]
    with LibvirtDaemon(*programs) as daemon:
        machine = LibvirtMachine(PlatformKeys.generate(2048), daemon.folder / "bin")
        with machine:
            tls = Tls(daemon)
            daemon.start("--listen", "--config", tls.config)
            loader = daemon.folder / "OVMF.fd"
            loader.write_bytes(build_firmware())
            xml = daemon.folder / "vm1.xml"
            xml.write_text(DOMAIN.format(loader=loader, emulator=daemon.emulator))
            for words in (("define", xml), ("start", "vm1", "--paused")):
                done = daemon.virsh(*words)
                assert done.returncode == 0, done.stderr
            there = sshd.address(daemon.socket)
            yield {
                "unix": parse_host_url(daemon.url("vm1")),
                "ssh": LibvirtAddress(
                    *(
                        LibvirtTransport.SSH,
                        parse_host_url(daemon.url()).instance,
                        "vm1",
                        there.host,
                        there.user,
                        there.port,
                    ),
                    socket=there.path,
                ),
                "tls": parse_host_url(tls.url(tls.client("good"))),
            }


@pytest.mark.parametrize("kind", ["unix", "ssh", "tls"])
def test_attaching_to_libvirt_costs_a_process_and_no_wait_of_ours(
    transport: Transport, ratio: Ratio, domain_addresses: dict[str, HostAddress], kind: str
) -> None:
    async def attach_and_leave() -> None:
        await (await connect_host(domain_addresses[kind])).close()

    ratio(
        f"attach to libvirt by {kind} / unix socket",
        lambda: transport.run(attach_and_leave()),
        lambda: transport.run(transport.attach_and_leave("unix")),
        MOST_TO_ATTACH_TO_LIBVIRT[kind],
        rounds=5,
    )


@pytest.mark.parametrize("kind", ["unix", "ssh", "tls"])
def test_a_command_of_libvirt_costs_little_more_than_one_of_qemu(
    transport: Transport, ratio: Ratio, domain_addresses: dict[str, HostAddress], kind: str
) -> None:
    async def ask(host: Host, answer: int) -> None:
        for _ in range(COMMANDS):
            assert await host.vcpu_count() == answer

    host = transport.run(connect_host(domain_addresses[kind]))
    floor = transport.run(transport.attach("unix"))
    try:
        ratio(
            f"{COMMANDS} commands over libvirt by {kind} / unix socket",
            lambda: transport.run(ask(host, 1)),
            lambda: transport.run(ask(floor, 2)),
            MOST_PER_LIBVIRT_COMMAND[kind],
            rounds=5,
        )
    finally:
        transport.run(host.close())
        transport.run(floor.close())


def test_an_answer_by_hand_costs_the_reading_of_a_folder(
    transport: Transport, ratio: Ratio, tmp_path: Path
) -> None:
    turn = tmp_path / "vm1" / "3-measurement-from-host"
    turn.mkdir(parents=True)
    (turn / "cpus.json").write_text('{"return": [{"cpu-index": 0}, {"cpu-index": 1}]}')
    by_hand = ExchangeHost(ExchangeAddress(str(tmp_path / "vm1")), "vm1-20260101-000000-abcd")
    floor = transport.run(transport.attach("unix"))

    async def ask(host: Host | ExchangeHost) -> None:
        for _ in range(COMMANDS):
            assert await host.vcpu_count() == 2

    try:
        ratio(
            f"{COMMANDS} answers by hand / unix socket",
            lambda: transport.run(ask(by_hand)),
            lambda: transport.run(ask(floor)),
            MOST_PER_ANSWER_BY_HAND,
            rounds=5,
        )
    finally:
        transport.run(floor.close())
