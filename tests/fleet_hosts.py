# SPDX-License-Identifier: Apache-2.0
"""Simulated hosts of a whole fleet, in a process of their own: run by its path, or ``FleetHosts``.

It looks into a batch's ``out`` folder, and starts the VM of each launch, paused, once
GODH and launch blob lie there. Each has a socket of its own. ``FleetHosts.report`` tells
what the secure processors were offered.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

PAUSE = 0.05
DEAD, NEVER, DIES = "dead", "never", "dies"
"""A socket on which nobody listens; a VM that nobody starts; one that ends as soon as it is
measured."""
POLICY = 0x1100002F


class FleetHosts:
    """The process, as a context. ``behaviours``: by name an attack's name or one of the above.

    Sockets are ``FOLDER/NAME.sock``; GODH and blob are looked for in ``FOLDER/out/NAME``.
    """

    def __init__(self, folder, platform, firmware, behaviours=None):
        self._words = [sys.executable, __file__, *map(str, (folder, platform, firmware))]
        self._behaviours = behaviours or {}

    def __enter__(self):
        self._process = subprocess.Popen(
            self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._ask(self._behaviours)
        return self

    def __exit__(self, *problem):
        self._process.stdin.close()
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    def report(self):
        """By name: ``packets``, the SHA-256 of each that was offered, in order; ``holds`` says
        whether one was taken; ``blobs``, how many launch blobs the VM was given.
        """
        return self._ask("report")

    def _ask(self, value):
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the simulated hosts have ended"
        return json.loads(answer)


class _Fleet:
    """The VMs that were started, one machine for each behaviour."""

    def __init__(self, folder, keys, firmware):
        self._folder, self._keys, self._firmware = folder, keys, firmware
        self._hosts, self._servers, self._blobs, self._dead = {}, {}, {}, []
        self._stack = contextlib.AsyncExitStack()
        self.behaviours = {}

    async def __aenter__(self):
        return self

    async def __aexit__(self, *problem):
        await self._stack.aclose()
        for one in self._dead:
            one.close()

    async def look(self):
        """Start what can be started now."""
        try:
            names = {entry.name for entry in os.scandir(self._folder / "out")}
        except FileNotFoundError:
            return
        for name in names - self._blobs.keys():
            give = self._folder / "out" / name
            # The text for people is the last one that is written.
            if (give / "session.b64").exists() and (give / "godh.b64").exists():
                await self._start(name, give)

    async def _start(self, name, give):
        from watchword.core.simulator import StartOrder

        session = (give / "session.b64").read_bytes()
        self._blobs[name] = {hashlib.sha256(session).hexdigest()}
        behaviour = self.behaviours.get(name, "honest")
        if behaviour == NEVER:
            return
        address = self._folder / f"{name}.sock"
        if behaviour == DEAD:
            one = socket.socket(socket.AF_UNIX)
            one.bind(str(address))
            self._dead.append(one)
            return
        order = StartOrder(
            firmware=self._firmware,
            policy=POLICY,
            dh_cert=(give / "godh.b64").read_bytes(),
            session=session,
            vcpus=2,
        )
        host = await self._host(behaviour)
        self._servers[name] = host, await host.start_vm(order, address)

    async def _host(self, behaviour):
        from watchword.core.simulator import SimulatedHost, attack_named

        if behaviour not in self._hosts:
            lie = {"honest": None, DIES: "disconnect-mid-command"}.get(behaviour, behaviour)
            host = SimulatedHost(self._keys, attack_named(lie) if lie else None)
            self._hosts[behaviour] = await self._stack.enter_async_context(host)
        return self._hosts[behaviour]

    def report(self):
        told = {}
        for name, blobs in self._blobs.items():
            session = self._folder / "out" / name / "session.b64"
            if session.exists():
                blobs.add(hashlib.sha256(session.read_bytes()).hexdigest())
            told[name] = {"packets": [], "holds": False, "blobs": len(blobs)}
        by_handle = {}
        for host in self._hosts.values():
            for packet in host.processor.packets:
                by_handle.setdefault((id(host), packet.handle), []).append(packet)
        for name, (host, server) in self._servers.items():
            packets = by_handle.get((id(host), server.machine.handle), [])
            told[name]["packets"] = [packet.packet_sha256 for packet in packets]
            told[name]["holds"] = any(packet.status.name == "SUCCESS" for packet in packets)
        return told


async def _serve(folder, platform, firmware):
    from watchword.core.simulator import load_platform

    loop = asyncio.get_running_loop()
    questions = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    async with _Fleet(folder, load_platform(platform), firmware.read_bytes()) as fleet:
        asking = asyncio.ensure_future(questions.readline())
        while True:
            done, _ = await asyncio.wait([asking], timeout=PAUSE)
            if done:
                line = asking.result()
                if not line:
                    return
                question = json.loads(line)
                if isinstance(question, dict):
                    fleet.behaviours = question
                told = fleet.report() if question == "report" else {}
                sys.stdout.write(json.dumps(told) + "\n")
                sys.stdout.flush()
                asking = asyncio.ensure_future(questions.readline())
            await fleet.look()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_serve(*map(Path, sys.argv[1:4])))
