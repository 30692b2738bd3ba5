# SPDX-License-Identifier: Apache-2.0
"""A wire in front of a QMP socket, plain or TLS, that a test can cut, hold up or watch."""

from __future__ import annotations

import asyncio
import contextlib
import ssl


class Wire:
    """Passes bytes on between clients and the unix socket ``target``; an async context.

    ``cut_at``    once a client has sent these bytes and the host has answered, ``cut`` is called,
    and the answer lost
    ``silent_at``  once a client has sent these bytes, nothing comes back any more
    """

    def __init__(self, target: str, *, path=None, port: int = 0, tls_folder=None) -> None:
        self.target = target
        self.cut_at: bytes | None = None
        self.silent_at: bytes | None = None
        self.cut = self.drop_all
        self.port = port
        self._path = path
        self._tls = None if tls_folder is None else server_context(tls_folder)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
            return
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """As a host that goes down: nobody listens, and every connection ends."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.drop_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop_all(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    async def __aenter__(self) -> Wire:
        await self.open()
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self.close()

    async def _serve(self, reader, writer) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                far_reader, far_writer = await asyncio.open_unix_connection(self.target)
            except OSError:
                writer.transport.abort()
                return
            self._writers |= {writer, far_writer}
            silence, lost = asyncio.Event(), asyncio.Event()
            back = asyncio.create_task(self._answers(far_reader, writer, silence, lost))
            try:
                await self._commands(reader, far_writer, silence, lost)
            finally:
                back.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await back
                for one in (writer, far_writer):
                    self._writers.discard(one)
                    one.transport.abort()

    async def _commands(self, reader, writer, silence, lost) -> None:
        while data := await reader.read(65536):
            cut = self.cut_at is not None and self.cut_at in data
            if cut or (self.silent_at is not None and self.silent_at in data):
                silence.set()
            writer.write(data)
            await writer.drain()
            if cut:
                self.cut_at = None
                await lost.wait()
                self.cut()

    async def _answers(self, reader, writer, silence, lost) -> None:
        while data := await reader.read(65536):
            if silence.is_set():
                lost.set()
            else:
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


def server_context(folder) -> ssl.SSLContext:
    """As QEMU with verify-peer=on: clients of the folder's CA alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
    context.load_verify_locations(folder / "ca-cert.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context
