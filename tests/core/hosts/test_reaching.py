# SPDX-License-Identifier: Apache-2.0
"""Why a host can't be reached: each reason with its own words, each within the limit."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading

import pytest

from watchword.core.errors import ExitStatus, HostError
from watchword.core.hosts.connection_errors import unreachable
from watchword.core.hosts.limits import DEFAULT_LIMITS, HostLimits
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.urls import TcpAddress, UnixAddress

QUICK = HostLimits(connect_seconds=0.2)


@pytest.fixture
def failure(run):
    def failure(address, limits=DEFAULT_LIMITS):
        async def main():
            with pytest.raises(HostError) as caught:
                await QmpHost.connect(address, limits)
            return caught.value

        error = run(main())
        assert error.exit_status == ExitStatus.HOST
        assert error.details["host"] == address.url
        assert error.remedy
        return error

    return failure


def test_a_missing_socket(failure, socket_folder):
    error = failure(UnixAddress(str(socket_folder / "none.sock")))
    assert error.code == "host-socket-missing"
    assert "none.sock" in error.message


def test_a_path_through_a_file(failure, socket_folder):
    (socket_folder / "file").write_text("x")
    error = failure(UnixAddress(str(socket_folder / "file" / "x.sock")))
    assert error.code == "host-socket-missing"


def test_a_file_that_is_no_socket_and_a_socket_left_behind(failure, socket_folder):
    (socket_folder / "file").write_text("x")
    assert failure(UnixAddress(str(socket_folder / "file"))).code == "host-refused-connection"
    left = socket_folder / "left.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(left))
    error = failure(UnixAddress(str(left)))
    assert error.code == "host-refused-connection"
    assert "left its socket" in error.message


@pytest.mark.parametrize(("family", "host"), [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")])
def test_a_port_where_nobody_listens(failure, family, host):
    with socket.socket(getattr(socket, family)) as unused:
        unused.bind((host, 0))  # bound, not listening: nobody else gets this port
        error = failure(TcpAddress(host, unused.getsockname()[1]))
    assert error.code == "host-refused-connection"
    assert "another port" in error.message


def test_a_socket_that_may_not_be_opened():
    # As root nothing is forbidden, so the error is made here.
    error = unreachable(UnixAddress("/run/x.sock"), PermissionError(errno.EACCES, "denied"))
    assert error.code == "host-permission-denied"
    assert "group" in error.remedy


def test_other_errors_are_quoted_in_the_system_s_words():
    error = unreachable(TcpAddress("::1", 1), OSError(errno.EHOSTUNREACH, "\x1b[31m"))
    assert error.code == "host-unreachable"
    assert "No route to host" in error.message
    assert error.message.isprintable()


def test_a_name_that_nobody_knows(failure, monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure(TcpAddress("nobody.example", 4444))
    assert error.code == "host-name-unknown"
    assert "nobody.example" in error.message


def test_a_name_that_can_not_be_written_in_the_dns(failure):
    assert failure(TcpAddress("a" * 64, 1)).code == "host-name-unknown"


def test_a_name_server_that_does_not_answer(failure, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: released.wait() and [])
    try:
        error = failure(TcpAddress("slow.example", 4444), QUICK)
    finally:
        released.set()
        for thread in threading.enumerate():
            if thread.name == "resolve-host":
                thread.join(5)
    assert error.code == "host-connect-timeout"
    assert "0.2 s" in error.message


@contextlib.contextmanager
def full_queue(path):
    """A listening socket that never accepts, and as many clients as its queue takes."""
    with contextlib.ExitStack() as cleanup:
        listener = cleanup.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        listener.setblocking(False)
        clients = []
        full = False
        while not full:
            client = cleanup.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            full = client.connect_ex(path) == errno.EAGAIN
            clients.append(client)
        yield listener, clients[:-1]


def test_a_dead_address_leaves_time_for_the_name_s_other_address(run, qemu, monkeypatch):
    with contextlib.ExitStack() as cleanup:
        dead = cleanup.enter_context(socket.socket())
        dead.bind(("127.0.0.1", 0))
        dead.listen(0)
        # The kernel answers no further client once the queue is full.
        for _ in range(4):
            client = cleanup.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(dead.getsockname())

        async def main():
            async with qemu("127.0.0.1") as server:
                tcp = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
                found = [
                    (*tcp, dead.getsockname()),
                    (*tcp, ("127.0.0.1", server.address.port)),
                ]
                monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
                limits = HostLimits(connect_seconds=1)
                address = TcpAddress("vm.example", 1)
                async with await QmpHost.connect(address, limits) as host:
                    return await host.vcpu_count()

        assert run(main()) == 2


def test_a_full_queue_of_clients_means_that_another_client_holds_the_socket(failure, socket_folder):
    path = str(socket_folder / "full.sock")
    with full_queue(path):
        error = failure(UnixAddress(path), QUICK)
    assert error.code == "host-socket-busy"
    assert "libvirt" in error.message
    assert "0.2 s" in error.message


def test_a_place_in_the_queue_is_taken_once_it_is_free(run, socket_folder):
    path = str(socket_folder / "queue.sock")

    async def main(listener, clients):
        loop = asyncio.get_running_loop()
        connecting = asyncio.create_task(
            QmpHost.connect(UnixAddress(path), HostLimits(greeting_seconds=0.2))
        )
        await asyncio.sleep(0)
        accepted = [(await loop.sock_accept(listener))[0] for _ in clients]
        # No greeting comes, but the connection does.
        with pytest.raises(HostError) as caught:
            await connecting
        for connection in accepted:
            connection.close()
        return caught.value

    with full_queue(path) as (listener, clients):
        error = run(main(listener, clients))
    assert "took the connection" in error.message


def test_cancelling_a_connect_that_hangs_ends_it(run, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: released.wait() and [])

    async def main():
        connecting = asyncio.create_task(QmpHost.connect(TcpAddress("slow.example", 4444)))
        await asyncio.sleep(0)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting

    try:
        run(main())
    finally:
        released.set()
