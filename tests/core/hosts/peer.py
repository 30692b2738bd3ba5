# SPDX-License-Identifier: Apache-2.0
"""The server's end of a QMP connection, and the answers of a QEMU that behaves."""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import dataclass, field

GREETING = {"QMP": {"version": {"qemu": {"major": 9, "minor": 2, "micro": 0}}, "capabilities": []}}

SEV = {
    "enabled": True,
    "api-major": 1,
    "api-minor": 55,
    "build-id": 21,
    "state": "launch-secret",
    "sev-type": "sev",
    "policy": 0x1100002F,
    "handle": 7,
}
STATUS = {"running": False, "status": "prelaunch"}
MEASUREMENT = bytes(range(48))
REPORT = bytes(range(208))


def b64(raw):
    return base64.b64encode(raw).decode()


CAPABILITIES = {
    "pdh": b64(bytes(2084)),
    "cert-chain": b64(bytes(6252)),
    "cpu0-id": b64(bytes(range(64))),
    "cbitpos": 51,
    "reduced-phys-bits": 1,
}

ANSWERS = {
    "qmp_capabilities": {},
    "query-sev": SEV,
    "query-status": STATUS,
    "query-sev-capabilities": CAPABILITIES,
    "query-sev-launch-measure": {"data": b64(MEASUREMENT)},
    "query-sev-attestation-report": {"data": b64(REPORT)},
    "query-cpus-fast": [{"cpu-index": 0}, {"cpu-index": 1}],
    "sev-inject-launch-secret": {},
    "cont": {},
    "stop": {},
}


@dataclass(frozen=True)
class Refused:
    """An answer that is an error."""

    words: str
    error_class: str = "GenericError"


class HungUp(Exception):
    """The client closed the connection."""


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.commands = []
        self._text = ""

    async def send(self, message):
        await self.send_raw(json.dumps(message).encode() + b"\r\n")

    async def send_raw(self, raw):
        self.writer.write(raw)
        await self.writer.drain()

    async def command(self):
        """The next command: QMP clients need not end one with a newline."""
        while True:
            with contextlib.suppress(ValueError):
                command, end = json.JSONDecoder().raw_decode(self._text)
                self._text = self._text[end:].lstrip()
                self.commands.append(command)
                return command
            chunk = await self.reader.read(65536)
            if not chunk:
                raise HungUp
            self._text = (self._text + chunk.decode()).lstrip()

    async def answer(self, command, value):
        body = {"return": value}
        if isinstance(value, Refused):
            body = {"error": {"class": value.error_class, "desc": value.words}}
        await self.send({**body, "id": command.get("id")})

    async def accept(self):
        """Greeting and negotiation."""
        await self.send(GREETING)
        await self.answer(await self.command(), {})

    async def until_hung_up(self):
        while await self.reader.read(65536):
            pass

    async def serve(self, **changes):
        """Answer as QEMU would, with some answers changed (name with _ for -)."""
        answers = ANSWERS | {name.replace("_", "-"): value for name, value in changes.items()}
        while True:
            command = await self.command()
            value = answers.get(command["execute"], Refused("not found", "CommandNotFound"))
            await self.answer(command, value)


@dataclass
class Server:
    """A listening server: where it is, and who came."""

    address: object
    peers: list = field(default_factory=list)

    @property
    def commands(self):
        return [command["execute"] for peer in self.peers for command in peer.commands]
