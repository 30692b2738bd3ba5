# SPDX-License-Identifier: Apache-2.0
"""The QMP server in front of a simulated virtual machine: sockets, greeting, one client at a time.

Source: QEMU monitor/qmp.c, docs/interop/qmp-spec.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from .attack import Attack, HostView, Wire
from .json_stream import JsonStream, Malformed
from .listener import Address, describe, listen
from .qmp_commands import Emit, QmpSession, version_object
from .virtual_machine import VirtualMachine

_CHUNK = 64 * 1024
_MOST_QUEUED = 64
_MOST_CONNECTIONS = 16
_CLOSING_SECONDS = 1.0
_ACCEPT_PAUSE_SECONDS = 0.1


class QmpServer:
    """Serves one virtual machine's monitor; an async context manager.

    ``address`` is a socket file or (host, port). :attr:`url` says where it listens once
    started. A second client is connected but not greeted until the first leaves, as with
    QEMU. ``view`` keeps every byte that clients sent.
    """

    def __init__(
        self,
        machine: VirtualMachine,
        address: Address,
        attack: Attack | None = None,
        view: HostView | None = None,
    ) -> None:
        self.machine = machine
        self.view = view or HostView()
        self._address = address
        self._attack = attack or Attack()
        self._socket: socket.socket | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._quit = asyncio.Event()

    async def __aenter__(self) -> QmpServer:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def address(self) -> Address:
        """Where it listens: the port is the real one once started."""
        return self._address

    @property
    def url(self) -> str:
        """The same as a host URL: ``qmp+unix:///…`` or ``qmp+tcp://host:port``."""
        scheme = "qmp+unix" if isinstance(self._address, Path) else "qmp+tcp"
        return f"{scheme}://{describe(self._address)}"

    async def start(self) -> None:
        """Listen. Raises BadInput ``simulator-address`` where that can't be done."""
        self._socket = listen(self._address)
        if isinstance(self._address, tuple):
            host, port = self._socket.getsockname()[:2]
            self._address = (host, port)
        self._listen_on(self._socket)

    async def stop(self) -> None:
        """Close all clients and the socket, and end the machine; may be called again."""
        self._close_socket()
        await self._dismiss(self._clients)
        self.machine.shut_down()

    async def wait_for_quit(self) -> None:
        """Wait until a client has sent ``quit``."""
        await self._quit.wait()

    def _close_socket(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            if isinstance(self._address, Path):
                self._address.unlink(missing_ok=True)

    async def _dismiss(self, clients: set[asyncio.Task[None]]) -> None:
        leaving = tuple(clients)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)

    def _listen_on(self, server: socket.socket) -> None:
        if server is self._socket:
            asyncio.get_running_loop().add_reader(server, self._accept, server)

    def _accept(self, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection, _ = server.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:  # out of file descriptors, most likely: others may be freed
            loop.remove_reader(server)
            loop.call_later(_ACCEPT_PAUSE_SECONDS, self._listen_on, server)
            return
        if len(self._clients) >= _MOST_CONNECTIONS:
            connection.close()
            return
        task = loop.create_task(self._serve(connection))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        # A task cancelled before its first step closes nothing itself.
        task.add_done_callback(lambda _: connection.close())

    async def _serve(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=connection)
        wire = Wire(writer)
        try:
            async with self._turn:
                await self._converse(reader, wire)
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            await _close(writer)

    async def _converse(self, reader: asyncio.StreamReader, wire: Wire) -> None:
        requests: asyncio.Queue[object] = asyncio.Queue(_MOST_QUEUED)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(reader, wire, requests))
            with contextlib.suppress(OSError):  # the client left, or the attack cut it off
                await self._attack.admit(wire)
                await self._attack.deliver(wire, None, message_line({"QMP": self._greeting()}))
                await self._answer(wire, requests)
            reading.cancel()

    async def _read(
        self, reader: asyncio.StreamReader, wire: Wire, requests: asyncio.Queue[object]
    ) -> None:
        stream = JsonStream()
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                self.view.add(data)
                for request in stream.feed(data):
                    await requests.put(request)
        wire.hung_up.set()
        await requests.put(_END)

    async def _answer(self, wire: Wire, requests: asyncio.Queue[object]) -> None:
        pending: list[bytes] = []
        session = self._new_session(
            lambda name, data: pending.append(message_line(_event(name, data)))
        )
        while (request := await requests.get()) is not _END:
            if isinstance(request, Malformed):
                command, reply = None, _parse_error(request)
            else:
                command, reply = await session.answer(request)
            for event in pending:
                await wire.send(event)
            pending.clear()
            try:
                await self._attack.deliver(wire, command or "", message_line(reply))
                if session.finished:
                    session.farewell()
                    await wire.send(pending.pop())
            finally:
                # Also where the client did not wait for the answer.
                if session.finished:
                    await self._end()
            if session.finished:
                return

    def _new_session(self, emit: Emit) -> QmpSession:
        return QmpSession(self.machine, self._attack, emit)

    def _greeting(self) -> dict[str, object]:
        return {"version": version_object(), "capabilities": ["oob"]}

    async def _end(self) -> None:
        """QEMU is gone: nobody can connect any more, and whoever waited for a turn is let go."""
        self._close_socket()
        await self._dismiss({task for task in self._clients if task is not asyncio.current_task()})
        self._quit.set()


_END = object()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close a connection; a client that reads nothing must not hold that up."""
    writer.close()
    try:
        async with asyncio.timeout(_CLOSING_SECONDS):
            await writer.wait_closed()
    except OSError:  # which a TimeoutError is, too
        pass
    finally:
        writer.transport.abort()


def message_line(message: Mapping[str, object]) -> bytes:
    """A message as it goes over the wire: JSON and a line end."""
    return json.dumps(message).encode() + b"\r\n"


def _parse_error(problem: Malformed) -> dict[str, object]:
    return {"error": {"class": "GenericError", "desc": problem.text}}


def _event(name: str, data: dict[str, object] | None) -> dict[str, object]:
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    event: dict[str, object] = {
        "timestamp": {"seconds": seconds, "microseconds": rest // 1000},
        "event": name,
    }
    return event if data is None else {**event, "data": data}
