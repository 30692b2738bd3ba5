# SPDX-License-Identifier: Apache-2.0
"""Takes requests on a unix socket: one line of JSON in, one line out, for each connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..errors import BadInput
from .ending import end_tasks
from .events import Later, Take, WatchObserver, unobserved
from .listening import listen_on_file
from .request_json import LARGEST_REQUEST, parse_event, refused_json, reply_json
from .shares import Shares, host_to_ask
from .watch_errors import bad_request, busy

SOURCE: Final = "socket"
_CREDENTIALS: Final = struct.Struct("3i")
_FIELD: Final = "the socket for requests"
_OF_ONE_HOST: Final = 4


class SocketSource:
    """A Source: a socket file of mode 0600, or 0660 for a group.

    ``group``    the number of the group that may ask, too
    ``clients``  connections at once, four that wait for one host: one more is told to come
    again, and one more than twice as many is told nothing
    ``seconds``  within which a request has to be there, and an answer to be taken; how long
    the answer takes is the watch's matter, and whoever goes away meanwhile stops nothing
    """

    def __init__(
        self,
        path: Path,
        *,
        group: int | None = None,
        clients: int = 64,
        seconds: float = 10.0,
        observe: WatchObserver = unobserved,
    ) -> None:
        self._path = path
        self._group = group
        self._most = clients
        self._seconds = seconds
        self._observe = observe
        self._clients: set[asyncio.Task[None]] = set()
        self._shares = Shares(_OF_ONE_HOST, clients)

    @property
    def name(self) -> str:
        """The socket's path."""
        return f"{SOURCE} {self._path}"

    async def run(self, take: Take) -> None:
        """Serve until cancelled; BadInput ``cannot-listen``."""

        def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if len(self._clients) >= 2 * self._most:
                writer.transport.abort()
                return
            task = asyncio.create_task(self._serve(reader, writer, take))
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)

        with listen_on_file(self._path, _FIELD, group=self._group) as listening:
            server = await asyncio.start_unix_server(
                welcome, sock=listening.socket, limit=LARGEST_REQUEST
            )
            self._observe({"event": "listening", "source": self.name})
            try:
                # It serves by itself; serve_forever (3.12) would wait for clients at the end.
                await asyncio.get_running_loop().create_future()
            finally:
                server.close()
                await end_tasks(lambda: tuple(self._clients))

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, take: Take
    ) -> None:
        try:
            self._observe({"event": "client", "source": self.name, **_peer(writer)})
            writer.write(await self._answer(reader, take))
            writer.close()
            async with asyncio.timeout(self._seconds):
                await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # gone, or asleep: what was promised is in the records
        finally:
            # What nobody has taken by now would keep the connection open for ever.
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, take: Take) -> bytes:
        one_too_many = len(self._clients) > self._most
        try:
            # Read all the same: what is closed unread is reset, and the answer lost.
            async with asyncio.timeout(min(self._seconds, 1.0) if one_too_many else self._seconds):
                line = await reader.readuntil(b"\n")
            if one_too_many:
                return reply_json(Later(busy()))
            event = parse_event(line, f"{SOURCE} {self._path}")
        except asyncio.IncompleteReadError:
            return refused_json(bad_request("the request", "It does not end with a newline."))
        except asyncio.LimitOverrunError:
            problem = f"It has more than {LARGEST_REQUEST} bytes in one line."
            return refused_json(bad_request("the request", problem))
        except BadInput as error:
            return refused_json(error)
        host = host_to_ask(event)
        if not self._shares.have_room(host):
            return reply_json(Later(busy()))
        with self._shares.taken(host):
            return reply_json(await take(event))


def _peer(writer: asyncio.StreamWriter) -> Mapping[str, int]:
    """Who has connected, as the kernel knows: process, user and group."""
    connection = writer.get_extra_info("socket")
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(data)
    return {"pid": pid, "uid": uid, "gid": gid}
