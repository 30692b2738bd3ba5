# SPDX-License-Identifier: Apache-2.0
"""The door at which Prometheus asks: one answer each, and nobody keeps a place for long."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket

import pytest

from watchword.core.errors import BadInput
from watchword.core.watch import metrics_server
from watchword.core.watch.listening import listen_on_file, listen_on_loopback
from watchword.core.watch.metrics_server import LONGEST_REQUEST, MOST_CLIENTS, MetricsServer

from .service_support import hang_up, short_folder, until

BODY = b"# TYPE x counter\nx 1\n"


@contextlib.asynccontextmanager
async def serving(*, loopback=False, body=lambda: BODY):
    """A server, and what connects to it."""
    with short_folder() as folder:
        if loopback:
            listening = listen_on_loopback("127.0.0.1", 0, "the address")
            port = listening.socket.getsockname()[1]
        else:
            listening = listen_on_file(folder / "s", "the socket")

        async def connect():
            if loopback:
                return await asyncio.open_connection("127.0.0.1", port)
            return await asyncio.open_unix_connection(folder / "s")

        async with MetricsServer(body, loopback=loopback).listening(listening):
            yield connect


async def exchange(connect, request):
    """What comes back, up to the end of the connection."""
    reader, writer = await connect()
    try:
        writer.write(request)
        return await reader.read()
    except ConnectionResetError:
        return b"reset"  # it was not even read
    finally:
        await hang_up(writer)


async def end_of(reader):
    try:
        return await reader.read()
    except ConnectionResetError:
        return b"reset"


def run(scenario):
    return asyncio.run(asyncio.wait_for(scenario(), 60))


def ask(request, *, loopback=False):
    async def scenario():
        async with serving(loopback=loopback) as connect:
            return await exchange(connect, request)

    head, _, body = run(scenario).partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


def request(line="GET /metrics HTTP/1.1", host="127.0.0.1:9469", more=""):
    return f"{line}\r\nHost: {host}\r\n{more}\r\n".encode()


@pytest.mark.parametrize("loopback", [False, True])
def test_prometheus_gets_the_text_in_its_format(loopback):
    status, head, body = ask(request(), loopback=loopback)
    assert (status, body) == (200, BODY)
    assert "Content-Type: text/plain; version=0.0.4; charset=utf-8" in head
    assert f"Content-Length: {len(BODY)}" in head
    assert "Connection: close" in head


def test_a_head_has_no_body_and_a_query_is_nothing_to_us():
    assert ask(request("HEAD /metrics HTTP/1.1"))[::2] == (200, b"")
    assert ask(request("GET /metrics?x=1 HTTP/1.0"))[0] == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("GET / HTTP/1.1"), 404),
        (request("GET /metrics/../secret HTTP/1.1"), 404),
        (request("POST /metrics HTTP/1.1"), 405),
        (request("GET /metrics"), 400),
        (request("GET  /metrics HTTP/1.1"), 400),
        (request("GET /metrics SPDY/1"), 400),
        (b"\x16\x03\x01 TLS\r\n\r\n", 400),
        (request(more="X: " + "y" * LONGEST_REQUEST + "\r\n"), 400),
    ],
)
def test_what_is_no_request_for_metrics_is_told_so(sent, status):
    assert ask(sent)[0] == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9469", 200),
        ("[::1]:9469", 200),
        ("127.9.9.9", 200),
        ("evil.example:9469", 403),
        ("127.0.0.1.evil.example", 403),
        ("192.0.2.1", 403),
        ("", 403),
        ("127.0.0.1\r\nHost: evil.example", 403),
    ],
)
def test_a_web_page_that_has_its_name_lead_here_reads_nothing(host, status):
    assert ask(request(host=host), loopback=True)[0] == status


def test_a_request_without_a_host_reads_nothing_over_tcp():
    assert ask(b"GET /metrics HTTP/1.0\r\n\r\n", loopback=True)[0] == 403
    assert ask(b"GET /metrics HTTP/1.0\r\n\r\n")[0] == 200


def test_what_can_t_be_told_now_is_said_to_be_so():
    def broken():
        raise BadInput("records-busy", "the records", "Busy.", "Wait.")

    async def scenario():
        async with serving(body=broken) as connect:
            return await exchange(connect, request())

    assert run(scenario).startswith(b"HTTP/1.1 503 ")


def test_slow_clients_lose_their_place(monkeypatch):
    monkeypatch.setattr(metrics_server, "_SECONDS_FOR_A_CLIENT", 0.2)

    async def scenario():
        async with serving() as connect:
            slow = [await connect() for _ in range(MOST_CLIENTS)]
            for _, writer in slow:
                writer.write(b"GET /metrics")
            ends = await asyncio.gather(*(end_of(reader) for reader, _ in slow))
            for _, writer in slow:
                await hang_up(writer)
            return ends

    assert set(run(scenario)) <= {b"", b"reset"}


def test_one_too_many_is_turned_away(monkeypatch):
    monkeypatch.setattr(metrics_server, "_SECONDS_FOR_A_CLIENT", 60)

    async def scenario():
        with short_folder() as folder:
            server = MetricsServer(lambda: BODY, loopback=False)
            async with server.listening(listen_on_file(folder / "s", "the socket")):

                async def connect():
                    return await asyncio.open_unix_connection(folder / "s")

                slow = [await connect() for _ in range(MOST_CLIENTS)]
                await until(lambda: server._clients == MOST_CLIENTS)
                busy = await exchange(connect, request())
                for _, writer in slow:
                    await hang_up(writer)
                await until(lambda: server._clients == 0)
                return busy, await exchange(connect, request())

    busy, after = run(scenario)
    assert busy == b"reset" or busy.startswith(b"HTTP/1.1 503 ")
    assert after.endswith(BODY)


def held_by_a_socket():
    """How many bytes a socket of this machine takes of which nobody reads any."""
    ours, other = socket.socketpair()
    with ours, other:
        ours.setblocking(False)
        return ours.send(b"x" * (8 << 20))


@pytest.mark.parametrize("more", [1000, 60_000, 8 << 20])
def test_whoever_takes_no_answer_keeps_no_connection(monkeypatch, more):
    monkeypatch.setattr(metrics_server, "_SECONDS_FOR_A_CLIENT", 0.2)
    body = b"x" * (held_by_a_socket() + more)

    async def scenario():
        with short_folder() as folder, socket.socket(socket.AF_UNIX) as client:
            server = MetricsServer(lambda: body, loopback=False)
            async with server.listening(listen_on_file(folder / "s", "the socket")):
                client.setblocking(False)
                client.connect(str(folder / "s"))
                client.send(request())
                hung_up = select.poll()
                hung_up.register(client, select.POLLHUP)
                await until(lambda: hung_up.poll(0))

    run(scenario)


def test_a_client_that_does_not_read_holds_nothing_up(monkeypatch):
    monkeypatch.setattr(metrics_server, "_SECONDS_FOR_A_CLIENT", 0.5)

    async def scenario():
        with short_folder() as folder:
            listening = listen_on_file(folder / "s", "the socket")
            server = MetricsServer(lambda: b"x" * (8 << 20), loopback=False)
            async with server.listening(listening):
                _, writer = await asyncio.open_unix_connection(folder / "s", limit=1024)
                writer.write(request())
                await until(lambda: server._clients == 1)
                await until(lambda: server._clients == 0)
                await hang_up(writer)

    run(scenario)


def test_clients_that_are_connected_do_not_keep_it_from_ending():
    async def scenario():
        async with serving() as connect:
            _, writer = await connect()
            await asyncio.sleep(0.05)
        await hang_up(writer)

    run(scenario)
