# SPDX-License-Identifier: Apache-2.0
"""One real QEMU: started paused, listened to, and ended without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import signal
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from ..errors import HostError
from .fw_cfg import FwCfgReader
from .qemu_errors import linux_needed, qemu_not_started
from .qemu_files import HandedFiles, command_line, find_program
from .qemu_monitor import QemuMonitor
from .ram_file import RamFile
from .virtual_machine import QmpError, StartOrder, check_order

_START_SECONDS = 30.0
_MOST_PRINTED = 16 << 10
_SAMPLES = 6
_SAMPLE_SECONDS = 0.05
_LOOP_BYTES = 32
_INTERRUPTS_ON = 1 << 9
_CONSOLE_PIPE = 1 << 20
_REGISTERS = re.compile(
    r"[ER]IP=(?P<place>[0-9a-f]{1,16})\s+[ER]FL=(?P<flags>[0-9a-f]{1,8}).*?HLT=(?P<halted>[01])",
    re.DOTALL,
)
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class QemuProcess:
    """A QEMU of this process, with its guest's memory; made by :meth:`start`.

    ``console`` is what the guest writes to its serial port: read it all the time, since
    what doesn't fit into the pipe (1 MiB) is lost. ``visible_kernel`` is the kernel as its
    firmware will read it, None without one.
    """

    def __init__(self, order: StartOrder, folder: Path) -> None:
        self.order = order
        self.ram = RamFile(order.ram_size)
        self.visible_kernel: bytes | None = None
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._handle = -1
        self._pipe: asyncio.ReadTransport | None = None
        self._monitor: QemuMonitor | None = None
        self._console: asyncio.StreamReader | None = None
        self._printed = bytearray()
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    @classmethod
    async def start(cls, order: StartOrder, folder: Path) -> QemuProcess:
        """Start it paused; ``folder`` (mode 0700) takes what the guest writes to its disk.

        Raises StartFailure and UsageError as ``check_order``, UsageError ``program-missing`` and
        ``linux-needed``, HostError ``qemu-not-started``, and BadInput ``kernel-not-bootable``.
        """
        check_order(order)
        if not hasattr(os, "memfd_create") or not hasattr(os, "pidfd_open"):
            raise linux_needed()
        started = cls(order, folder)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await started._begin()
        except TimeoutError:
            await started.end()
            raise qemu_not_started(started.printed) from None
        except BaseException:
            await started.end()
            raise
        return started

    @property
    def monitor(self) -> QemuMonitor:
        """The line to its monitor."""
        if self._monitor is None:
            raise qemu_not_started(self.printed)
        return self._monitor

    @property
    def console(self) -> asyncio.StreamReader:
        """What the guest writes to its serial port."""
        if self._console is None:
            raise qemu_not_started(self.printed)
        return self._console

    @property
    def printed(self) -> str:
        """What QEMU itself printed, at most 16 KiB of it."""
        return self._printed.decode("utf-8", "replace")

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def stands_still(self) -> bool:
        """Whether the first processor does nothing any more: it goes round in one place, or sleeps
        with interrupts off. That is how firmware halts a machine.
        """
        places: list[int] = []
        for _ in range(_SAMPLES):
            try:
                answer = await self.monitor.execute(
                    "human-monitor-command", {"command-line": "info registers"}
                )
            except (QmpError, HostError):
                return False
            found = _REGISTERS.search(str(answer))
            if found is None:
                return False
            if found["halted"] == "1" and int(found["flags"], 16) & _INTERRUPTS_ON:
                return False
            places.append(int(found["place"], 16))
            await asyncio.sleep(_SAMPLE_SECONDS)
        return max(places) - min(places) <= _LOOP_BYTES

    def kill(self) -> None:
        """End it at once; :meth:`end` waits until it is gone. May be called again."""
        # Not by asyncio's kill(): it may take the exit status away from who waits for it.
        if self._handle >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    async def end(self) -> None:
        """End it, wait for it, and let go of its memory; may be called again."""
        self.kill()
        cancelled = False
        if self._process is not None:
            cancelled = await _cancelled_until(asyncio.ensure_future(self._process.wait()))
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.transport.abort()
        if self._pipe is not None:
            self._pipe.close()
        self.ram.wipe()
        await asyncio.gather(*tasks, return_exceptions=True)
        if cancelled:
            raise asyncio.CancelledError

    async def _begin(self) -> None:
        monitor, question = await self._spawn()
        self._monitor = QemuMonitor(*monitor)
        self._tasks.append(asyncio.create_task(self._monitor.listen()))
        try:
            await self._monitor.negotiate()
            if self.order.kernel is not None:
                reader = FwCfgReader(*question, self.ram)
                self.visible_kernel = await reader.visible_kernel(self.order.kernel)
        except (HostError, ConnectionError):
            await self._last_words()
            raise qemu_not_started(self.printed) from None
        question[1].close()

    async def _spawn(self) -> list[_Streams]:
        with contextlib.ExitStack() as theirs, HandedFiles() as files:
            sockets: list[int] = []
            streams: list[_Streams] = []
            for _ in range(2):
                own, other = socket.socketpair()
                sockets.append(theirs.enter_context(other).fileno())
                streams.append(await self._connect(own))
            reading, console = os.pipe()
            files.descriptors.append(console)
            await self._read_console(reading)
            others = (sockets[0], console, sockets[1])
            command = command_line(self.order, files, self.ram.descriptor, others)
            await self._start_whole(
                asyncio.create_subprocess_exec(
                    *_bound_to_this_process(),
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                    pass_fds=(self.ram.descriptor, *sockets, *files.descriptors),
                    env=_environment(self._folder),
                    start_new_session=True,
                )
            )
        return streams

    async def _start_whole(self, creating: Coroutine[Any, Any, asyncio.subprocess.Process]) -> None:
        """Let it be started also where this is cancelled meanwhile; :meth:`end` ends it then.

        asyncio, cancelled before all pipes of a new process are connected, may wait for ever.
        """
        task = asyncio.ensure_future(creating)
        cancelled = await _cancelled_until(task)
        self._process = task.result()
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self._handle = os.pidfd_open(self._process.pid)
        self._tasks.append(asyncio.create_task(self._collect_words()))
        if cancelled:
            raise asyncio.CancelledError

    async def _read_console(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):  # a smaller pipe will do
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _CONSOLE_PIPE)
        self._console = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(self._console)
        pipe = os.fdopen(descriptor, "rb", buffering=0)
        loop = asyncio.get_running_loop()
        try:
            self._pipe, _ = await loop.connect_read_pipe(lambda: protocol, pipe)
        except BaseException:
            pipe.close()
            raise

    async def _connect(self, own: socket.socket) -> _Streams:
        own.setblocking(False)
        try:
            reader, writer = await asyncio.open_connection(sock=own)
        except BaseException:
            own.close()
            raise
        self._writers.append(writer)
        return reader, writer

    async def _collect_words(self) -> None:
        stream = None if self._process is None else self._process.stderr
        while stream is not None and (data := await stream.read(4096)):
            self._printed += data[: _MOST_PRINTED - len(self._printed)]

    async def _last_words(self) -> None:
        """What it printed before it ended is often still on its way."""
        self.kill()
        if self._process is not None:
            await self._process.wait()
        await asyncio.wait(self._tasks, timeout=1.0)


async def _cancelled_until(task: asyncio.Task[Any]) -> bool:
    """Wait for what takes milliseconds, whatever happens; whether this was cancelled meanwhile."""
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TMPDIR": str(folder)}


def _bound_to_this_process() -> list[str]:
    """Have the system end QEMU if this process is killed; without setpriv it would go on."""
    setpriv = find_program("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "KILL", "--"]
