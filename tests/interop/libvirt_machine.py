# SPDX-License-Identifier: Apache-2.0
"""A machine with a simulated secure processor under a real libvirtd: what its emulator asks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

from watchword.core.simulator import (
    Attack,
    PlatformKeys,
    SecureProcessor,
    StartFailure,
    StartOrder,
    VirtualMachine,
)
from watchword.core.simulator.fw_cfg import FwCfgReader
from watchword.core.simulator.json_stream import JsonStream
from watchword.core.simulator.qemu_server import ANSWERED_HERE
from watchword.core.simulator.qmp_commands import QmpSession
from watchword.core.simulator.ram_file import RamFile

SECONDS = 60
_HERE = ANSWERED_HERE - {"qmp_capabilities"}
_PROBED = StartOrder(firmware=bytes(4096))


@dataclass
class _Words:
    """What libvirt starts a domain with, and what of it the real QEMU gets.

    ``@0@`` to ``@2@`` stand for the descriptors of memory, monitor and fw_cfg's question.
    """

    given: list[str]
    kept: list[str] = field(default_factory=list)
    sev: dict = field(default_factory=dict)
    ram_size: int = 0
    firmware: Path | None = None

    def option(self, name: str) -> str | None:
        """The word after an option, None where it is not there."""
        return self.given[self.given.index(name) + 1] if name in self.given else None

    def sort(self) -> None:
        """QEMU without SEV, with our memory, monitor and question."""
        words = iter(self.given)
        for word in words:
            if word not in ("-object", "-blockdev"):
                self.kept.append(self._plain(word))
                continue
            value = json.loads(next(words))
            kind = str(value.get("qom-type", ""))
            if kind == "sev-guest":
                self.sev = value
                continue
            if kind.startswith("memory-backend"):
                self.ram_size = value["size"]
                file = {"qom-type": "memory-backend-file", "mem-path": "/proc/self/fd/@0@"}
                value = {**value, **file, "share": True}
            if "pflash0-storage" in value.get("node-name", ""):
                self.firmware = Path(value["filename"])
            self.kept += [word, json.dumps(value)]
        self.kept += ["-chardev", "socket,id=question,fd=@2@"]
        self.kept += ["-object", "qtest,id=fwcfg,chardev=question,log=/dev/null"]

    def order(self) -> StartOrder:
        """As the simulator takes it."""
        kernel, initrd = self.option("-kernel"), self.option("-initrd")
        return StartOrder(
            firmware=bytes(4096) if self.firmware is None else self.firmware.read_bytes(),
            policy=self.sev.get("policy", 1),
            dh_cert=_read(self.sev.get("dh-cert-file")),
            session=_read(self.sev.get("session-file")),
            kernel=_read(kernel),
            initrd=_read(initrd),
            command_line=self.option("-append"),
            kernel_hashes=bool(self.sev.get("kernel-hashes")),
            ram_size=self.ram_size,
        )

    @staticmethod
    def _plain(word: str) -> str:
        word = re.sub(r",confidential-guest-support=[^,]+", "", word)
        return re.sub(r"(socket,id=charmonitor),fd=\d+,.*", r"\1,fd=@1@", word)


class Guest:
    """One domain that was started, or one that libvirt asks for capabilities."""

    def __init__(self, order: StartOrder, processor: SecureProcessor, pid: int) -> None:
        self.order = order
        self.processor = processor
        self.pid = pid
        self.ram: RamFile | None = None
        self.machine: VirtualMachine | None = None

    async def prepare(self, question: socket.socket) -> QmpSession:
        """Measure what this QEMU is to run, now that it has its memory."""
        visible = None
        if self.order.kernel is not None and self.ram is not None:
            reader, writer = await asyncio.open_connection(sock=question)
            try:
                device = FwCfgReader(reader, writer, self.ram)
                visible = await device.visible_kernel(self.order.kernel)
            finally:
                writer.transport.abort()
        memory, kernel = self.ram, visible
        self.machine = VirtualMachine(self.order, self.processor, memory, visible_kernel=kernel)
        session = QmpSession(self.machine, Attack(), lambda *_: None)
        session.negotiated = True
        return session


class LibvirtMachine:
    """The machine of one daemon; a context manager that ends what it serves.

    ``processor`` is its secure processor, ``guests`` the domains that were started, in order;
    ``delays`` are seconds before the answer to a command of the monitor is sent.
    """

    def __init__(self, keys: PlatformKeys, folder: Path) -> None:
        self.processor = SecureProcessor(keys)
        self.guests: list[Guest] = []
        self.problems: list[str] = []
        self.delays: dict[str, float] = {}
        self._runner = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        path = folder / "machine.sock"
        self._listener.bind(str(path))
        path.chmod(0o666)
        self._listener.listen(8)
        self._threads = [
            threading.Thread(target=self._runner.run_forever),
            threading.Thread(target=self._accept),
        ]

    def __enter__(self) -> LibvirtMachine:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[1].join(SECONDS)
        asyncio.run_coroutine_threadsafe(self._end(), self._runner).result(SECONDS)
        self._runner.call_soon_threadsafe(self._runner.stop)
        self._threads[0].join(SECONDS)
        self._runner.close()
        for guest in self.guests:
            if guest.ram is not None:
                guest.ram.wipe()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line:
                line.settimeout(SECONDS)
                self._answer(line)

    def _answer(self, line: socket.socket) -> None:
        _, descriptors, _, _ = socket.recv_fds(line, 1, 1)
        words = json.loads(b"".join(iter(lambda: line.recv(65536), b"")))
        sockets: list[socket.socket] = [socket.socket(fileno=descriptors[0])]
        others: list[socket.socket] = []
        for _ in range(2):
            own, other = socket.socketpair()
            sockets.append(own)
            others.append(other)
        credentials = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        try:
            answer, guest = self._start(words, int.from_bytes(credentials[:4], "little"))
        except StartFailure as refused:
            socket.send_fds(line, [b"."], [])
            line.sendall(json.dumps({"refused": refused.lines}).encode())
            guest = None
        else:
            memory = guest.ram.descriptor if guest.ram is not None else others[0].fileno()
            handed = [memory, *(other.fileno() for other in others)]
            socket.send_fds(line, [b"."], handed)
            line.sendall(json.dumps({"words": answer}).encode())
        for other in others:
            other.close()
        if guest is None:
            for one in sockets:
                one.close()
            return
        asyncio.run_coroutine_threadsafe(self._take(guest, sockets), self._runner).result(SECONDS)

    def _start(self, words: list[str], pid: int) -> tuple[list[str], Guest]:
        if "-daemonize" in words:
            at = words.index("-qmp")
            monitor = ["-chardev", "socket,id=own,fd=@1@", "-mon", "chardev=own,mode=control"]
            return [*words[:at], *words[at + 2 :], *monitor], Guest(_PROBED, self.processor, pid)
        sorted_words = _Words(words)
        sorted_words.sort()
        guest = Guest(sorted_words.order(), self.processor, pid)
        # Tried in memory of its own first: QEMU would end before it has any.
        VirtualMachine(guest.order, self.processor).shut_down()
        guest.ram = RamFile(sorted_words.ram_size)
        self.guests.append(guest)
        return sorted_words.kept, guest

    async def _take(self, guest: Guest, sockets: list[socket.socket]) -> None:
        task = asyncio.create_task(self._relay(guest, *sockets))
        self._tasks.add(task)

    async def _relay(
        self,
        guest: Guest,
        listener: socket.socket,
        monitor: socket.socket,
        question: socket.socket,
    ) -> None:
        for one in (listener, monitor, question):
            one.setblocking(False)
        writers: list[asyncio.StreamWriter] = []
        try:
            reader, writer = await asyncio.open_connection(sock=monitor, limit=1 << 24)
            writers.append(writer)
            greeting = await reader.readline()
            if not greeting:
                return  # QEMU ended with an error of its own, which libvirt tells
            session = await guest.prepare(question)
            client, _ = await asyncio.get_running_loop().sock_accept(listener)
            upper, up_writer = await asyncio.open_connection(sock=client)
            writers.append(up_writer)
            up_writer.write(greeting)
            ways = (
                _upwards(reader, up_writer),
                _downwards(upper, up_writer, writer, session, self.delays),
            )
            tasks = [asyncio.create_task(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except Exception as problem:  # shown by the test that waits for this machine
            self.problems.append(repr(problem))
            raise
        finally:
            for stream in writers:
                stream.transport.abort()
            for one in (listener, question):
                one.close()
            if guest.machine is not None:
                self.processor.decommission(guest.machine.handle)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def _upwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()


async def _downwards(
    reader: asyncio.StreamReader,
    up: asyncio.StreamWriter,
    down: asyncio.StreamWriter,
    session: QmpSession,
    delays: dict[str, float],
) -> None:
    stream = JsonStream()
    while data := await reader.read(1 << 16):
        for message in stream.feed(data):
            command = message.get("execute") if isinstance(message, dict) else None
            if command in _HERE:
                _, reply = session.handle(message)
                await asyncio.sleep(delays.get(command, 0))
                up.write(json.dumps(reply).encode() + b"\r\n")
                continue
            if command == "cont":
                session.machine.resume()
            down.write(json.dumps(message).encode() + b"\n")
            with contextlib.suppress(ConnectionError):
                await down.drain()


def _read(path: str | None) -> bytes | None:
    return None if path is None else Path(os.fspath(path)).read_bytes()
