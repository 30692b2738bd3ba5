# SPDX-License-Identifier: Apache-2.0
"""A stand-in for AMD's key service on loopback that answers as it is told, badly where need be."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

REASONS = {200: "OK", 302: "Found", 404: "Not Found", 429: "Too Many Requests", 500: "Oops"}


@dataclass
class Visit:
    """One connection: its request line and headers, and when the client has gone."""

    line: str
    headers: dict[str, str]
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def path(self):
        return self.line.split(" ")[1]


def reply(status=200, body=b"", *, length=None, **headers):
    """An answer in full; ``length`` claims another Content-Length than the body has."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named["Content-Length"] = str(len(body) if length is None else length)
    head = f"HTTP/1.1 {status} {REASONS.get(status, 'Whatever')}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in named.items())
    data = head.encode("latin-1") + b"\r\n" + body

    async def act(server, reader, writer):
        writer.write(data)
        await writer.drain()

    return act


def raw(data):
    """Any bytes, and then the end of the connection."""

    async def act(server, reader, writer):
        writer.write(data)
        await writer.drain()

    return act


async def silence(server, reader, writer):
    """Take the request and never answer."""
    await reader.read()


def silence_after(data):
    """Begin an answer, and never end it."""

    async def act(server, reader, writer):
        writer.write(data)
        await writer.drain()
        await reader.read()

    return act


def for_ever(head, piece, pause=0.0):
    """An answer that has no end, in pieces, until the client goes."""

    async def act(server, reader, writer):
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            server.pieces += 1
            await asyncio.sleep(pause)

    return act


class KeyServer:
    """Answers the first request with the first of ``acts``, and so on; the last one repeats."""

    def __init__(self, *acts):
        self.acts = list(acts)
        self.visits = []
        self.pieces = 0
        self.arrived = asyncio.Event()
        self.all_gone = asyncio.Event()
        self.open = 0
        self.most_open = 0

    @property
    def paths(self):
        return [visit.path for visit in self.visits]

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def tls(self):
        return None

    async def __aexit__(self, *failure):
        self._server.close()
        await self._server.wait_closed()
        # Whoever is still here when a test ends was not hung up on.
        async with asyncio.timeout(10):
            while self.open:
                self.all_gone.clear()
                await self.all_gone.wait()

    async def _serve(self, reader, writer):
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        visit = None
        try:
            visit = await self._visit(reader)
            number = min(len(self.visits), len(self.acts)) - 1
            await self.acts[number](self, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self.open -= 1
            if visit is not None:
                visit.gone.set()
            self.all_gone.set()

    async def _visit(self, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = [line.split(": ", 1) for line in head[1:] if line]
        visit = Visit(head[0], {name.lower(): value for name, value in headers})
        self.visits.append(visit)
        self.arrived.set()
        return visit
