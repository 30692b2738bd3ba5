# SPDX-License-Identifier: Apache-2.0
"""How a host lies: the places where an attack may step in, and the honest behaviour at each.

An attack is a class with a name and a one-sentence description, made anew for each host.
It overrides some of the methods below; what it needs to remember it keeps in itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from .launch_macs import FirmwareVersion
from .platform_keys import PlatformKeys
from .secure_processor import SecureProcessor
from .virtual_machine import StartOrder, VirtualMachine

_MOST_RECEIVED = 4 * 1024 * 1024


class HostView:
    """Every byte that a host got to see from its clients (the first 4 MiB of it)."""

    __slots__ = ("_data", "_news", "total")

    def __init__(self) -> None:
        self._data = bytearray()
        self._news = asyncio.Event()
        self.total = 0

    def __repr__(self) -> str:
        return f"<{self.total} bytes seen by the host>"

    @property
    def data(self) -> bytes:
        """The bytes kept."""
        return bytes(self._data)

    def add(self, data: bytes) -> None:
        """Keep some more."""
        self.total += len(data)
        self._data += data[: _MOST_RECEIVED - len(self._data)]
        self._news.set()

    async def until_seen(self, text: bytes) -> None:
        """Wait until these bytes have come in."""
        while text not in self._data:
            self._news.clear()
            await self._news.wait()


class Wire:
    """The host's end of one connection; ``hung_up`` is set once the client sends no more."""

    __slots__ = ("_writer", "hung_up")

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.hung_up = asyncio.Event()

    async def send(self, data: bytes) -> None:
        """Write, and wait while the client doesn't read. Raises ConnectionError if it left."""
        if self._writer.is_closing():
            raise ConnectionResetError
        self._writer.write(data)
        await self._writer.drain()

    async def hold(self, seconds: float | None = None) -> None:
        """Let time pass (None: for ever). Raises ConnectionError as soon as the client hangs up."""
        try:
            async with asyncio.timeout(seconds):
                await self.hung_up.wait()
        except TimeoutError:
            return
        raise ConnectionResetError

    def cut(self) -> None:
        """Break the connection off; what was sent before still arrives."""
        self._writer.close()


class Attack:
    """An honest host. Subclasses lie at one or more of these places."""

    name: ClassVar[str] = ""
    description: ClassVar[str] = ""

    def platform(self, genuine: PlatformKeys) -> PlatformKeys:
        """The keys that the machine really runs with; may take seconds, so not on an event loop."""
        return genuine

    def other_machines(self) -> tuple[PlatformKeys, ...]:
        """Further genuine machines in play, which AMD's key service knows too."""
        return ()

    def version(self, genuine: FirmwareVersion) -> FirmwareVersion:
        """The firmware that the secure processor runs."""
        return genuine

    def order(self, order: StartOrder, _processor: SecureProcessor) -> StartOrder:
        """What is started instead of what the owner ordered."""
        return order

    def started(self, _machine: VirtualMachine) -> None:
        """A virtual machine of the owner has just been started (paused)."""

    def ended(self) -> None:
        """The host stops: end what the attack started itself."""

    def execute(
        self,
        _machine: VirtualMachine,
        _command: str,
        _arguments: dict[str, object],
        proceed: Callable[[], object],
    ) -> object:
        """Answer a command; ``proceed`` does and answers it honestly. May raise QmpError."""
        return proceed()

    async def admit(self, _wire: Wire) -> None:
        """A client has connected and is about to be greeted."""

    async def deliver(self, wire: Wire, _command: str | None, reply: bytes) -> None:
        """Send one line to the client (``command`` is None for the greeting)."""
        await wire.send(reply)
