# SPDX-License-Identifier: Apache-2.0
"""Attacks on the conversation: a host that says nothing, too much, or no JSON at all."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from .attack import Attack, Wire
from .launch_attacks import INJECT

NEGOTIATION = "qmp_capabilities"
_BLOCK = 64 * 1024


class Silence(Attack):
    """Nothing is ever answered."""

    name = "silence"
    description = "The host greets, and then never answers anything."

    async def deliver(self, wire: Wire, command: str | None, reply: bytes) -> None:
        """The greeting only."""
        if command is None:
            await wire.send(reply)


class SlowDrip(Attack):
    """Answers come one byte at a time."""

    name = "slow-drip"
    description = "The host answers one byte at a time, so that something always moves."
    pause_seconds: ClassVar[float] = 1.0

    async def deliver(self, wire: Wire, command: str | None, reply: bytes) -> None:
        """Byte after byte, with a pause after each (not for greeting and negotiation)."""
        if command in (None, NEGOTIATION):
            await wire.send(reply)
            return
        for position in range(len(reply)):
            await wire.send(reply[position : position + 1])
            await wire.hold(self.pause_seconds)


class DisconnectMidCommand(Attack):
    """The connection breaks off."""

    name = "disconnect-mid-command"
    description = "The host breaks the connection off in the middle of an answer."

    async def deliver(self, wire: Wire, command: str | None, reply: bytes) -> None:
        """Half of the first answer after the negotiation."""
        if command in (None, NEGOTIATION):
            await wire.send(reply)
            return
        await wire.send(reply[: len(reply) // 2])
        wire.cut()


class _Instead(Attack):
    """Something else comes in place of each answer after the negotiation."""

    async def deliver(self, wire: Wire, command: str | None, reply: bytes) -> None:
        """Greeting and negotiation are honest."""
        if command in (None, NEGOTIATION):
            await wire.send(reply)
        else:
            await self.misanswer(wire)

    async def misanswer(self, wire: Wire) -> None:
        """Send something else."""
        raise NotImplementedError


class Flood(_Instead):
    """Events without end."""

    name = "flood"
    description = "The host sends events without end in place of an answer."
    event = (
        b'{"timestamp": {"seconds": 0, "microseconds": 0}, "event": "RTC_CHANGE", '
        b'"data": {"offset": 0}}\r\n'
    )

    async def misanswer(self, wire: Wire) -> None:
        """Until the client leaves."""
        block = self.event * (_BLOCK // len(self.event))
        while True:
            await wire.send(block)
            await wire.hold(0)


class HugeReply(_Instead):
    """One answer of 64 MiB."""

    name = "huge-reply"
    description = "The host answers with 64 MiB of JSON on one line."
    size: ClassVar[int] = 64 * 1024 * 1024

    async def misanswer(self, wire: Wire) -> None:
        """One string that long."""
        await wire.send(b'{"return": {"data": "')
        for _ in range(self.size // _BLOCK):
            await wire.send(b"A" * _BLOCK)
        await wire.send(b'"}}\r\n')


class DeepJson(_Instead):
    """JSON nested very deeply."""

    name = "deep-json"
    description = "The host answers with JSON nested 100,000 levels deep."
    depth: ClassVar[int] = 100_000

    async def misanswer(self, wire: Wire) -> None:
        """A well-formed tower of lists."""
        await wire.send(b'{"return": ' + b"[" * self.depth + b"]" * self.depth + b"}\r\n")


class GarbageJson(_Instead):
    """No JSON at all."""

    name = "garbage-json"
    description = "The host answers with a line that is no JSON and no text either."

    async def misanswer(self, wire: Wire) -> None:
        """Broken JSON, broken UTF-8, and a line end."""
        await wire.send(b'{"return": {"state": launch-secret, \xff\xfe\x00]}\r\n')


class SecondClient(Attack):
    """Somebody else holds the monitor."""

    name = "second-client"
    description = "Another client holds the host's monitor: it accepts, and never greets."

    async def admit(self, wire: Wire) -> None:
        """No greeting until the client gives up."""
        await wire.hold()


class CorruptPacketReply(Attack):
    """The answer to the injection is damaged."""

    name = "corrupt-packet-reply"
    description = (
        "The host injects the packet, and its answer arrives damaged: nobody can tell from it "
        "what happened."
    )

    async def deliver(self, wire: Wire, command: str | None, reply: bytes) -> None:
        """In the answer to the injection one bit of each brace is flipped."""
        await wire.send(reply.replace(b"{", b";") if command == INJECT else reply)


class AnswersLate(Attack):
    """The answer to the injection comes when nobody waits any more."""

    name = "answers-late"
    description = "The host injects the packet at once, and says so ten minutes later."
    delay_seconds: ClassVar[float] = 600.0

    def __init__(self) -> None:
        self.holding = asyncio.Event()

    async def deliver(self, wire: Wire, command: str | None, reply: bytes) -> None:
        """Only the answer to the injection is late; ``holding`` is set while it is."""
        if command == INJECT:
            self.holding.set()
            await wire.hold(self.delay_seconds)
        await wire.send(reply)
