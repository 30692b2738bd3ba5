# SPDX-License-Identifier: Apache-2.0
"""The simulator's own line to the monitor of the real QEMU behind it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping
from typing import Any

from .json_stream import JsonStream
from .qemu_errors import qemu_gone
from .virtual_machine import QmpError

_CHUNK = 64 * 1024
_MOST_EVENTS = 256


class QemuMonitor:
    """One QMP conversation. :meth:`listen` must run as a task for as long as it lasts.

    ``greeting`` is what QEMU greeted with. Events wait in ``events``, the last 256 of
    them; None there says that QEMU has closed the monitor.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.greeting: Mapping[str, object] = {}
        self.events: asyncio.Queue[Mapping[str, object] | None] = asyncio.Queue()
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Mapping[str, object]]] = {}
        self._greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed = False

    async def negotiate(self) -> None:
        """Wait for the greeting and leave negotiation mode; HostError where QEMU ends."""
        await self._greeted
        await self.execute("qmp_capabilities")

    async def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> object:
        """The answer to a command; raises QmpError with QEMU's words, HostError if it ends."""
        if self._closed:
            raise qemu_gone()
        number = next(self._numbers)
        answer: asyncio.Future[Mapping[str, object]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        message = {"execute": command, "arguments": arguments or {}, "id": number}
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            reply = await answer
        finally:
            self._waiting.pop(number, None)
        error = reply.get("error")
        if isinstance(error, dict):
            raise QmpError(str(error.get("desc")), str(error.get("class")))
        return reply.get("return")

    async def listen(self) -> None:
        """Take in what QEMU says, until it closes the monitor."""
        stream = JsonStream()
        try:
            while data := await self._reader.read(_CHUNK):
                for message in stream.feed(data):
                    if isinstance(message, dict):
                        self._sort(message)
        except ConnectionError:
            pass
        finally:
            self._close()

    def _sort(self, message: Mapping[str, object]) -> None:
        number = message.get("id")
        if "QMP" in message:
            greeting = message["QMP"]
            self.greeting = greeting if isinstance(greeting, dict) else {}
            if not self._greeted.done():
                self._greeted.set_result(None)
        elif "event" in message:
            if self.events.qsize() >= _MOST_EVENTS:
                self.events.get_nowait()
            self.events.put_nowait(message)
        elif isinstance(number, int) and number in self._waiting:
            waiting = self._waiting[number]
            if not waiting.done():
                waiting.set_result(message)

    def _close(self) -> None:
        self._closed = True
        everybody: list[asyncio.Future[Any]] = [self._greeted, *self._waiting.values()]
        for waiting in everybody:
            if not waiting.done():
                waiting.set_exception(qemu_gone())
                waiting.exception()  # whoever waits is told; nobody may be waiting
        self.events.put_nowait(None)
