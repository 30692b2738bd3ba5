# SPDX-License-Identifier: Apache-2.0
"""Reaches a host's socket: a unix path or a TCP port, within a time limit, cancellable."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Iterator
from typing import Final

from ..errors import HostError
from .connection_errors import connect_timed_out, nobody_accepts, unreachable
from .limits import HostLimits
from .tls_url import TlsAddress
from .urls import TcpAddress, UnixAddress

_RETRY_SECONDS: Final = 0.05
_ENDPOINTS_TRIED: Final = 8

# Address family and the family's own form of an address, as getaddrinfo gives them.
_Endpoint = tuple[socket.AddressFamily, tuple[object, ...]]


async def dial(address: UnixAddress | TcpAddress | TlsAddress, limits: HostLimits) -> socket.socket:
    """A connected, non-blocking stream socket, which the caller closes.

    Ends within ``limits.connect_seconds``. Raises HostError for whatever keeps it from
    getting there. Leaves no socket open when it fails or is cancelled.
    """
    seconds = limits.connect_seconds
    failure: HostError
    try:
        async with asyncio.timeout(seconds):
            if isinstance(address, UnixAddress):
                return await _dial_unix(address)
            return await _dial_tcp(address, seconds)
    except TimeoutError:
        # A unix socket connects or fails at once, unless the server's queue is full.
        unix = isinstance(address, UnixAddress)
        failure = (nobody_accepts if unix else connect_timed_out)(address, seconds)
    except OSError as error:
        failure = unreachable(address, error)
    raise failure


async def _dial_unix(address: UnixAddress) -> socket.socket:
    """A connection to a unix socket, once its queue of clients has room."""
    with _new_socket(socket.AF_UNIX) as connection:
        # By hand: asyncio takes "queue full" for "connecting", and then for "connected".
        while True:
            try:
                connection.connect(address.path)
            except BlockingIOError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return connection


async def _dial_tcp(address: TcpAddress | TlsAddress, seconds: float) -> socket.socket:
    endpoints = await _resolve(address)
    failure = OSError("the name has no address")
    for endpoint in endpoints:
        try:
            # A share for each, so that one dead address doesn't use up the others' time.
            async with asyncio.timeout(seconds / len(endpoints)):
                return await _dial_endpoint(endpoint)
        except OSError as error:  # TimeoutError is one
            failure = error
    raise failure


async def _dial_endpoint(endpoint: _Endpoint) -> socket.socket:
    family, address = endpoint
    with _new_socket(family) as connection:
        await asyncio.get_running_loop().sock_connect(connection, address)
        # Else the second of two small records waits for the first one's acknowledgement, 40 ms;
        # asyncio does this only for sockets of its own.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


@contextlib.contextmanager
def _new_socket(family: socket.AddressFamily) -> Iterator[socket.socket]:
    """A non-blocking socket that is closed if the block fails or is cancelled."""
    connection = socket.socket(family, socket.SOCK_STREAM)
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(connection.close)
        connection.setblocking(False)
        yield connection
        cleanup.pop_all()


async def _resolve(address: TcpAddress | TlsAddress) -> list[_Endpoint]:
    """Where a name leads, in the system's order of preference.

    In a daemon thread: asyncio's own resolver threads are waited for at exit, however
    long a dead name server takes.
    """
    if _is_numeric(address.host):
        return _look_up(address, socket.AI_NUMERICHOST)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[_Endpoint]] = loop.create_future()

    def settle(found: list[_Endpoint], failure: OSError | None) -> None:
        if answer.done():  # cancelled meanwhile
            return
        if failure is None:
            answer.set_result(found)
        else:
            answer.set_exception(failure)

    def look_up() -> None:
        found: list[_Endpoint] = []
        failure: OSError | None = None
        try:
            found = _look_up(address, 0)
        except OSError as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, found, failure)

    threading.Thread(target=look_up, name="resolve-host", daemon=True).start()
    return await answer


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(address: TcpAddress | TlsAddress, flags: int) -> list[_Endpoint]:
    """Up to eight endpoints. Raises OSError; blocks, unless AI_NUMERICHOST is in ``flags``."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError:  # a name that can't be written in the DNS
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from None
    return [
        (family, endpoint)
        for family, _, _, _, endpoint in found[:_ENDPOINTS_TRIED]
        if family in (socket.AF_INET, socket.AF_INET6)
    ]
