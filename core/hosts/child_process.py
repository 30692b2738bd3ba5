# SPDX-License-Identifier: Apache-2.0
"""A program in a session of its own, with pipes to it, that never leaves anything behind."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import IO, Final, Self

from .process_end import exit_status, kill_group

_LOOK_SECONDS: Final = 0.005
_KILLED_SECONDS: Final = 10.0
_REAPED_SECONDS: Final = 1.0


class ChildProcess:
    """A running program. Whoever starts it has to :meth:`end` it.

    Not asyncio's subprocess: that one reaps a program as soon as it ends, and what it has
    started could not be killed any more without hitting others (see process_end.py).

    ``stdin``   where it reads from; None where it has no input
    ``stdout``  what it prints; its errors too, unless they were wanted apart
    ``stderr``  its errors; None where they are in ``stdout``
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Use :meth:`start`."""
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout = asyncio.StreamReader()
        self.stderr: asyncio.StreamReader | None = None
        self._process = process
        self._pipes: list[asyncio.BaseTransport] = []

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        takes_input: bool = False,
        errors_apart: bool = False,
    ) -> Self:
        """Start it. Raises OSError where the system does not let us."""
        process = _popen(command, environment, takes_input, errors_apart)
        child = cls(process)
        async with AsyncExitStack() as unless_all_is_well:
            unless_all_is_well.push_async_callback(child.end)
            await child._connect()
            unless_all_is_well.pop_all()
        return child

    async def _connect(self) -> None:
        process = self._process
        if process.stdout is not None:
            await self._read(process.stdout, self.stdout)
        if process.stderr is not None:
            self.stderr = asyncio.StreamReader()
            await self._read(process.stderr, self.stderr)
        if process.stdin is not None:
            loop = asyncio.get_running_loop()
            pipe, protocol = await loop.connect_write_pipe(
                lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), process.stdin
            )
            self._pipes.append(pipe)
            self.stdin = asyncio.StreamWriter(pipe, protocol, None, loop)

    async def _read(self, stream: IO[bytes], reader: asyncio.StreamReader) -> None:
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), stream
        )
        self._pipes.append(pipe)

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return exit_status(self._process)

    async def wait(self) -> int:
        """Its exit status once it has ended; what it started may run on until :meth:`end`."""
        while (status := self.status) is None:  # noqa: ASYNC110 - who tells, reaps
            await asyncio.sleep(_LOOK_SECONDS)
        return status

    async def end(self) -> None:
        """Kill it with its children, and let go of its pipes; may be called again."""
        kill_group(self._process)
        process = self._process
        connected = [pipe.get_extra_info("pipe") for pipe in self._pipes]
        for pipe in self._pipes:
            if isinstance(pipe, asyncio.WriteTransport) and not pipe.is_closing():
                pipe.abort()  # what was not written yet is wanted by nobody
            pipe.close()
        self._pipes.clear()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None and stream not in connected:
                stream.close()
        try:
            async with asyncio.timeout(_KILLED_SECONDS):
                await self.wait()
        except TimeoutError:
            pass  # nothing more can be done about one that the kernel does not let go
        finally:
            # Also when this is cancelled: it was killed, so that this takes milliseconds.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_REAPED_SECONDS)
        await asyncio.sleep(0)  # for the pipes, which are closed by the loop


def _popen(
    command: Sequence[str], environment: Mapping[str, str], takes_input: bool, errors_apart: bool
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if errors_apart else subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
    )
