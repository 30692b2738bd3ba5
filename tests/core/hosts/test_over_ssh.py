# SPDX-License-Identifier: Apache-2.0
"""QMP through a real ssh and a real sshd: what works, and what each failure is called."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from watchword.core.errors import ExitStatus, HostError
from watchword.core.hosts.limits import DEFAULT_LIMITS, HostLimits
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.ssh_url import SshAddress

from .behaviours import Packet
from .peer import ANSWERS, MEASUREMENT, HungUp
from .ssh_server import SshServer, descendants

TUNNEL_FOLDERS = "watchword-ssh-*"


@pytest.fixture(scope="module")
def sshd(program):
    with SshServer(program("sshd", "openssh-server"), program("ssh", "openssh-client")) as server:
        yield server


@pytest.fixture
def own_folder(tmp_path_factory):
    # Short: ssh's sockets are in it.
    with tempfile.TemporaryDirectory(prefix="ww-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def server(sshd, monkeypatch, own_folder):
    """The sshd as it was made, with the user's ssh on the PATH; nothing of a tunnel is left."""
    monkeypatch.setenv("PATH", sshd.path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(own_folder))
    yield sshd
    sshd.know(sshd.folder / "host_key")
    sshd.allow(sshd.folder / "user_key")
    sshd.configure_client()
    assert list(own_folder.glob(TUNNEL_FOLDERS)) == []
    assert no_ssh_is_left()


@pytest.fixture
def changed_sshd(server):
    """``changed_sshd(option=value)`` for one test."""
    yield server.restart
    server.restart()


@pytest.fixture
def failure(run, server):
    def failure(address, limits=DEFAULT_LIMITS):
        async def main():
            with pytest.raises(HostError) as caught:
                await QmpHost.connect(address, limits)
            return caught.value

        error = run(main())
        assert error.exit_status == ExitStatus.HOST
        assert error.details["host"] == address.url
        assert error.remedy
        assert error.message.isprintable()
        return error

    return failure


def our_ssh():
    """The processes of the user's ssh, zombies included; sshd's own are called otherwise."""
    found = []
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            found += [pid] if Path(f"/proc/{pid}/comm").read_text().strip() == "ssh" else []
    return found


def no_ssh_is_left():
    """Killed and reaped, be it a little later where the machine is busy."""
    deadline = time.monotonic() + 10
    while our_ssh() and time.monotonic() < deadline:
        for pid in our_ssh():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.01)
    return our_ssh() == []


def over_ssh(server, listening):
    return server.address(listening.address.path)


def test_a_host_is_asked_over_ssh_as_if_it_were_here(run, server, qemu):
    async def main():
        async with qemu() as listening:
            address = over_ssh(server, listening)
            async with await QmpHost.connect(address) as host:
                assert host.url == address.url
                assert await host.measurement() == MEASUREMENT
                await host.inject(Packet())
                await host.resume()
            assert listening.commands[-1] == "cont"

    run(main())


def test_the_local_end_is_the_owner_s_alone(run, server, qemu, own_folder):
    async def main():
        async with qemu() as listening, await QmpHost.connect(over_ssh(server, listening)):
            (folder,) = own_folder.glob(TUNNEL_FOLDERS)
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert {path.name for path in folder.iterdir()} == {"qmp", "ctl"}
            for path in folder.iterdir():
                assert stat.S_IMODE(path.stat().st_mode) == 0o600

    run(main())


def test_a_host_key_that_nobody_has_looked_at_is_refused_and_not_remembered(
    failure, server, own_folder
):
    server.know(None)
    error = failure(server.address(own_folder / "qmp.sock"))
    assert error.code == "ssh-host-key-unknown"
    assert f"ssh -p {server.port} {server.user}@127.0.0.1" in error.remedy
    assert (server.folder / "known_hosts").read_text() == ""


def test_a_host_key_is_not_accepted_even_where_the_user_s_config_would(failure, server, own_folder):
    server.know(None)
    server.configure_client("StrictHostKeyChecking no", "UpdateHostKeys yes")
    assert failure(server.address(own_folder / "x")).code == "ssh-host-key-unknown"
    assert (server.folder / "known_hosts").read_text() == ""


def test_another_host_key_than_before_is_named_as_such(failure, server, own_folder):
    server.know(server.folder / "other_key")
    error = failure(server.address(own_folder / "qmp.sock"))
    assert error.code == "ssh-host-key-changed"
    assert "in between" in error.message


def test_a_key_that_the_host_does_not_know(failure, server, own_folder):
    server.allow(server.folder / "other_key")
    error = failure(server.address(own_folder / "qmp.sock"))
    assert error.code == "ssh-authentication-refused"
    assert "ssh-add" in error.remedy
    assert "publickey" in error.details["ssh_said"]


def test_a_key_with_a_passphrase_is_asked_of_nobody(failure, server, own_folder):
    locked = own_folder / "locked"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "a passphrase", "-f", locked]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    server.allow(locked)
    known = f"UserKnownHostsFile {server.folder}/known_hosts"
    (server.folder / "config").write_text(f"IdentityFile {locked}\nIdentitiesOnly yes\n{known}\n")
    error = failure(server.address(own_folder / "qmp.sock"))
    assert error.code == "ssh-authentication-refused"


def test_a_socket_that_is_not_there(failure, server, own_folder):
    error = failure(server.address(own_folder / "none.sock"))
    assert error.code == "host-socket-missing"
    assert "none.sock" in error.message
    assert failure(server.address(own_folder / "no" / "x.sock")).code == "host-socket-missing"


def test_a_file_that_is_no_socket_and_a_socket_left_behind(failure, server, own_folder):
    (own_folder / "file").write_text("x")
    assert failure(server.address(own_folder / "file")).code == "host-not-qmp"
    left = own_folder / "left.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(left))
    error = failure(server.address(left))
    assert error.code == "host-refused-connection"
    assert "left its socket" in error.message


@pytest.mark.parametrize("option", ["AllowTcpForwarding", "AllowStreamLocalForwarding"])
def test_a_server_that_forbids_forwarding_is_told_from_a_missing_socket(
    run, server, qemu, changed_sshd, option
):
    changed_sshd(**{option: "no"})

    async def main():
        async with qemu() as listening:
            with pytest.raises(HostError) as caught:
                await QmpHost.connect(over_ssh(server, listening))
            assert listening.peers == []
            return caught.value

    error = run(main())
    assert error.code == "ssh-forwarding-forbidden"
    assert "AllowTcpForwarding" in error.remedy
    assert "is not enough" in error.remedy


def test_where_nobody_can_ask_all_reasons_are_named(failure, server, changed_sshd, own_folder):
    changed_sshd(AllowTcpForwarding="no", ForceCommand="/bin/false")
    error = failure(server.address(own_folder / "qmp.sock"))
    assert error.code == "ssh-socket-refused"
    assert "AllowTcpForwarding" in error.remedy


def test_what_a_server_says_is_escaped_and_bounded(failure, server, changed_sshd, own_folder):
    banner = own_folder / "banner"
    banner.write_text("\x1b[31mred\x1b[0m \u202eevil " + "x" * 5000)
    changed_sshd(Banner=str(banner))
    error = failure(server.address(own_folder / "none.sock"))
    assert error.code == "host-socket-missing"
    assert len(error.message) < 1500
    assert len(error.details["ssh_said"]) < 320


def test_a_port_where_no_ssh_server_listens(failure, server, own_folder):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets this port
        port = unused.getsockname()[1]
        error = failure(server.address(own_folder / "x", port=port))
    assert error.code == "host-refused-connection"
    assert "SSH" in error.message


def test_a_name_that_nobody_knows(failure):
    error = failure(SshAddress("no-such-host.invalid", "/run/x.sock"))
    assert error.code == "host-name-unknown"


def test_a_server_that_never_speaks(failure, server, own_folder):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = server.address(own_folder / "x", port=mute.getsockname()[1])
        error = failure(address, HostLimits(connect_seconds=1))
    assert error.code == "host-connect-timeout"


def test_a_login_that_takes_too_long(failure, server, own_folder):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = server.address(own_folder / "x", port=mute.getsockname()[1])
        error = failure(address, HostLimits(tunnel_seconds=0.3))
    assert error.code == "host-connect-timeout"
    assert "0.3 s" in error.message


def test_a_port_that_is_not_ssh(failure, server, own_folder, run, serving):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0)

        async def main():
            loop = asyncio.get_running_loop()
            address = server.address(own_folder / "x", port=listener.getsockname()[1])
            connecting = asyncio.create_task(QmpHost.connect(address))
            connection, _ = await loop.sock_accept(listener)
            connection.close()
            with pytest.raises(HostError) as caught:
                await connecting
            return caught.value

        assert run(main()).code == "host-closed-connection"


def test_no_ssh_names_the_package(failure, server, own_folder, monkeypatch):
    monkeypatch.setenv("PATH", str(own_folder))
    monkeypatch.setattr("watchword.core.hosts.ssh_command._SYSTEM_FOLDERS", ())
    error = failure(server.address(own_folder / "x"))
    assert error.code == "ssh-missing"
    assert "openssh-client" in error.remedy


def test_a_config_that_ssh_does_not_take(failure, server, own_folder):
    server.configure_client("NoSuchOption yes")
    assert failure(server.address(own_folder / "x")).code == "ssh-config-unusable"


def test_forwards_of_the_config_s_own_that_are_in_use(run, server, qemu):
    async def main():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            server.configure_client(f"LocalForward 127.0.0.1:{port} 127.0.0.1:9")
            async with qemu() as listening:
                with pytest.raises(HostError) as caught:
                    await QmpHost.connect(over_ssh(server, listening))
                return caught.value

    assert run(main()).code == "ssh-forward-failed"


def test_aliases_and_jump_hosts_of_the_user_s_config_just_work(run, server, qemu):
    server.configure_client(
        "Host vmhost jump",
        f"  HostName 127.0.0.1\n  Port {server.port}\n  User {server.user}",
        "Host vmhost",
        "  ProxyJump jump",
    )

    async def main():
        async with qemu() as listening:
            address = SshAddress("vmhost", listening.address.path)
            async with await QmpHost.connect(address) as host:
                assert len(our_ssh()) == 2
                return await host.vcpu_count()

    assert run(main()) == 2


def test_a_shared_connection_of_the_user_s_is_left_alone(run, server, qemu, own_folder):
    server.configure_client(
        "ControlMaster auto", f"ControlPath {own_folder}/shared", "ControlPersist 60"
    )

    async def main():
        async with qemu() as listening, await QmpHost.connect(over_ssh(server, listening)) as host:
            assert await host.vcpu_count() == 2
            assert not (own_folder / "shared").exists()

    run(main())


def test_a_second_client_is_told_that_another_holds_the_monitor(run, server, serving):
    async def main():
        turn = asyncio.Lock()

        async def one_at_a_time(peer):
            async with turn:
                await peer.accept()
                await peer.serve()

        async with serving(one_at_a_time) as listening:
            address = over_ssh(server, listening)
            async with await QmpHost.connect(address):
                with pytest.raises(HostError) as caught:
                    await QmpHost.connect(address, HostLimits(greeting_seconds=0.3))
            return caught.value

    error = run(main())
    assert error.code == "host-socket-busy"
    assert "another client" in error.message


def test_a_command_that_stalls_ends_within_its_limit(run, server, accepting):
    async def main():
        async with accepting(lambda peer: peer.until_hung_up()) as listening:
            limits = HostLimits(command_seconds=0.3)
            async with await QmpHost.connect(over_ssh(server, listening), limits) as host:
                with pytest.raises(HostError) as caught:
                    await host.vcpu_count()
            return caught.value

    assert run(main()).code == "host-timeout"


def test_a_connection_that_drops_in_mid_command_says_so_in_ssh_s_words(run, server, accepting):
    async def main():
        async def drop(peer):
            await peer.command()
            server.signal_connections(signal.SIGKILL)
            with contextlib.suppress(HungUp):
                await peer.until_hung_up()

        async with accepting(drop) as listening:
            async with await QmpHost.connect(over_ssh(server, listening)) as host:
                with pytest.raises(HostError) as caught:
                    await host.vcpu_count()
            return caught.value

    error = run(main())
    assert error.code == "host-closed-connection"
    assert error.details["command"] == "query-cpus-fast"
    assert "SSH connection ended" in error.message
    server.restart()


def test_an_injection_whose_connection_drops_leaves_open_whether_it_arrived(run, server, accepting):
    async def main():
        async def drop(peer):
            while True:
                command = await peer.command()
                if command["execute"] == "sev-inject-launch-secret":
                    break
                await peer.answer(command, ANSWERS[command["execute"]])
            server.signal_connections(signal.SIGKILL)
            await peer.until_hung_up()

        async with accepting(drop) as listening:
            async with await QmpHost.connect(over_ssh(server, listening)) as host:
                with pytest.raises(HostError) as caught:
                    await host.inject(Packet())
            return caught.value

    error = run(main())
    assert error.details["packet_arrived"] == "unknown"
    assert "another one never" in error.message
    server.restart()


@pytest.mark.parametrize("rounds", [0, 1, 3, 10, 40])
def test_cancelling_at_any_moment_kills_and_reaps_ssh(run, server, accepting, rounds):
    async def main():
        async with accepting(lambda peer: peer.until_hung_up()) as listening:
            connecting = asyncio.create_task(QmpHost.connect(over_ssh(server, listening)))
            for _ in range(rounds):
                await asyncio.sleep(0.005)
            connecting.cancel()
            done, _ = await asyncio.wait({connecting}, timeout=10)
            assert done
            if not connecting.cancelled():
                await connecting.result().close()

    run(main())
    assert no_ssh_is_left()


def test_cancelling_a_command_ends_ssh_too(run, server, accepting):
    async def main():
        asked = asyncio.Event()

        async def never_answer(peer):
            await peer.command()
            asked.set()
            await peer.until_hung_up()

        async with accepting(never_answer) as listening:
            host = await QmpHost.connect(over_ssh(server, listening))
            asking = asyncio.create_task(host.vcpu_count())
            await asked.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert no_ssh_is_left()

    run(main())
