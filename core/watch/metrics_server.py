# SPDX-License-Identifier: Apache-2.0
"""Answers Prometheus over HTTP, on a socket file or loopback; whoever asks costs little."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable
from typing import Final

from ..errors import WatchwordError
from .ending import end_tasks
from .listening import Listening
from .prometheus_text import CONTENT_TYPE

PATH: Final = "/metrics"
MOST_CLIENTS: Final = 16
"""Clients that are answered at once; further ones are turned away."""
LONGEST_REQUEST: Final = 8192
"""Bytes of a request's line and headers."""
_SECONDS_FOR_A_CLIENT: Final = 5.0
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


class MetricsServer:
    """Gives each client one answer and closes.

    ``body``      makes what is told
    ``loopback``  whether the socket is of TCP: then what is asked for by a name is refused,
    since a web page could have its own name lead to this machine
    """

    def __init__(self, body: Callable[[], bytes], *, loopback: bool) -> None:
        self._body = body
        self._loopback = loopback
        self._clients = 0

    @contextlib.asynccontextmanager
    async def listening(self, listening: Listening) -> AsyncIterator[None]:
        """Answer for the time of the block; the socket is closed at its end."""
        tasks: set[asyncio.Task[None]] = set()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        with listening:
            # A socket of either kind: what it is bound to decides.
            start = asyncio.start_server if self._loopback else asyncio.start_unix_server
            server = await start(begin, sock=listening.socket, limit=LONGEST_REQUEST)
            try:
                yield
            finally:
                server.close()
                await end_tasks(lambda: tuple(tasks))
                await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            # Nobody keeps a place by being slow, neither in asking nor in reading.
            async with asyncio.timeout(_SECONDS_FOR_A_CLIENT):
                if self._clients > MOST_CLIENTS:
                    writer.write(_answer(503, b"too many clients\n"))
                else:
                    writer.write(await self._answer_to(reader))
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # gone, or asleep
        finally:
            self._clients -= 1
            # What nobody has taken by now would keep the connection open for ever.
            writer.transport.abort()

    async def _answer_to(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return _answer(400, b"no request that can be read\n")
        request, *headers = head.decode("latin-1").split("\r\n")
        words = request.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _answer(400, b"no request that can be read\n")
        if self._loopback and not _asked_by_address(headers):
            return _answer(403, b"ask by an address of loopback\n")
        if words[0] not in ("GET", "HEAD"):
            return _answer(405, b"GET it\n")
        if words[1].partition("?")[0] != PATH:
            return _answer(404, b"it is at /metrics\n")
        try:
            body = self._body()
        except WatchwordError:  # the records can't be read now; the watch tells of that itself
            return _answer(503, b"not to be told now\n")
        return _answer(200, body, content_type=CONTENT_TYPE, head_only=words[0] == "HEAD")


def _asked_by_address(headers: list[str]) -> bool:
    """Whether the one Host header has an address of loopback, or “localhost”."""
    hosts = [line[5:].strip() for line in headers if line[:5].lower() == "host:"]
    if len(hosts) != 1:
        return False
    name = hosts[0].lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _answer(
    status: int,
    body: bytes,
    *,
    content_type: str = "text/plain; charset=utf-8",
    head_only: bool = False,
) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + (b"" if head_only else body)
