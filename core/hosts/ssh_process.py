# SPDX-License-Identifier: Apache-2.0
"""One ssh that was started: its words read all along, and its end, with all that it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Sequence
from typing import Final

from ..errors import HostError
from .host_words import visible
from .limits import HOST_WORDS
from .process_end import exit_status, kill_group
from .ssh_command import environment

_PIECE: Final = 1 << 14
_KEPT: Final = 16 * HOST_WORDS
_LINES_SHOWN: Final = 2
_LOOK_SECONDS: Final = 0.01


class SshProcess:
    """A process group of its own, without terminal and input; the running loop reads its words.

    Not asyncio's subprocess: that one can't be ended and reaped without waiting for the loop.
    """

    def __init__(self, command: Sequence[str], url: str) -> None:
        """Start it. Raises HostError ``ssh-failed`` where the system does not let us."""
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment(),
                start_new_session=True,
            )
        except OSError as fault:
            raise HostError(
                "ssh-failed",
                "ssh could not be started",
                f"ssh could not be started for {url}: {os.strerror(fault.errno or 0)}.",
                "Check that `ssh -V` works here.",
                {"host": url},
            ) from None
        self._tail = b""
        self._loop = asyncio.get_running_loop()
        self._stderr = self._process.stderr
        if self._stderr is not None:
            os.set_blocking(self._stderr.fileno(), False)
            self._loop.add_reader(self._stderr, self._read)

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return exit_status(self._process)

    @property
    def said(self) -> str:
        """The end of what it wrote, line by line, as it is; a host may have chosen the words."""
        return self._tail.decode("utf-8", "replace").strip()

    @property
    def shown(self) -> str:
        """Its last two lines, fit to be shown."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        return visible(" / ".join(lines[-_LINES_SHOWN:]))

    async def wait(self, seconds: float) -> int | None:
        """Its exit status once it ends; None if it still runs after so long."""
        deadline = self._loop.time() + seconds
        while True:
            status = self.status
            if status is not None or self._loop.time() >= deadline:
                self._read()
                return status
            await asyncio.sleep(_LOOK_SECONDS)

    def close(self, seconds: float) -> None:
        """Kill it and what it started, and reap it, within so long; may be called again."""
        # The group first, before it is reaped: a ProxyCommand may hold the pipe.
        kill_group(self._process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        if self._stderr is not None:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._stderr)
            self._stderr.close()
            self._stderr = None

    def _read(self) -> None:
        """Take in what there is; the pipe never fills up, and nothing but the end is kept."""
        while self._stderr is not None:
            try:
                piece = os.read(self._stderr.fileno(), _PIECE)
            except OSError:  # nothing there now
                return
            if not piece:
                self._loop.remove_reader(self._stderr)
                return
            self._tail = (self._tail + piece)[-_KEPT:]
