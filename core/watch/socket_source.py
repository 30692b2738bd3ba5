# SPDX-License-Identifier: Apache-2.0
"""Takes requests on a unix socket: one line of JSON in, one line out, for each connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..errors import BadInput
from .events import Later, Take, WatchObserver, unobserved
from .listening import listen_on_file
from .request_json import LARGEST_REQUEST, parse_event, refused_json, reply_json
from .watch_errors import bad_request, busy

SOURCE: Final = "socket"
_CREDENTIALS: Final = struct.Struct("3i")
_FIELD: Final = "the socket for requests"


class SocketSource:
    """A Source: a socket file of mode 0600, or 0660 for a group.

    ``group``    the number of the group that may ask, too
    ``clients``  connections at once; one more is told to come again
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

    @property
    def name(self) -> str:
        """The socket's path."""
        return f"{SOURCE} {self._path}"

    async def run(self, take: Take) -> None:
        """Serve until cancelled; BadInput ``cannot-listen``."""

        def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(reader, writer, take))
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)

        with listen_on_file(self._path, _FIELD, group=self._group) as listening:
            server = await asyncio.start_unix_server(
                welcome, sock=listening.socket, limit=LARGEST_REQUEST
            )
            self._observe({"event": "listening", "source": self.name})
            try:
                await server.serve_forever()
            finally:
                server.close()
                clients = tuple(self._clients)
                for task in clients:
                    task.cancel()
                await asyncio.gather(*clients, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, take: Take
    ) -> None:
        try:
            self._observe({"event": "client", "source": self.name, **_peer(writer)})
            answer = await self._answer(reader, take)
            writer.write(answer)
            await asyncio.wait_for(writer.drain(), self._seconds)
        except (OSError, TimeoutError):
            pass  # gone, or asleep: what was promised is in the records
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), self._seconds)

    async def _answer(self, reader: asyncio.StreamReader, take: Take) -> bytes:
        if len(self._clients) > self._most:
            return reply_json(Later(busy()))
        try:
            line = await asyncio.wait_for(reader.readuntil(b"\n"), self._seconds)
            event = parse_event(line, f"{SOURCE} {self._path}")
        except asyncio.IncompleteReadError:
            return refused_json(bad_request("the request", "It does not end with a newline."))
        except asyncio.LimitOverrunError:
            problem = f"It has more than {LARGEST_REQUEST} bytes in one line."
            return refused_json(bad_request("the request", problem))
        except BadInput as error:
            return refused_json(error)
        return reply_json(await take(event))


def _peer(writer: asyncio.StreamWriter) -> Mapping[str, int]:
    """Who has connected, as the kernel knows: process, user and group."""
    connection = writer.get_extra_info("socket")
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(data)
    return {"pid": pid, "uid": uid, "gid": gid}
