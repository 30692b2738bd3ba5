# SPDX-License-Identifier: Apache-2.0
"""Runs the owner's own command that has a VM started: no shell, no secrets, bounded time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import BadInput, HostError
from ..hosts.host_words import visible
from ..hosts.limits import HOST_WORDS
from ..hosts.process_start import kill_whole, start_whole

_PIECE: Final = 1 << 16
_PIECES_LEFT: Final = 16
_TAIL: Final = 4 * HOST_WORDS
"""Bytes; a character may take four."""


@dataclass(frozen=True, slots=True)
class StartCommand:
    """A program with its arguments.

    ``folder``       where it runs, and from where its path counts
    ``seconds``      how long it may take; then it and what it has started are killed
    ``environment``  all that it finds there; no secret of ours belongs in it
    """

    words: Sequence[str]
    folder: Path
    seconds: float
    environment: Mapping[str, str]

    async def run(self) -> None:
        """Run it to its end.

        Raises BadInput ``start-command-unusable`` if it can't be run, HostError
        ``start-command-failed`` or ``start-command-timeout``, with its last words.
        What it leaves running after it ended well is let alone.
        """
        with _Output() as output:
            process = await self._begin(output.writer)
            output.read_alone()
            try:
                async with asyncio.timeout(self.seconds):
                    status = await process.wait()
            except TimeoutError:
                raise self._took_too_long(output.tail()) from None
            finally:
                await kill_whole(process)
            if status != 0:
                raise self._failed(status, output.tail())

    async def _begin(self, output: int) -> asyncio.subprocess.Process:
        try:
            return await start_whole(
                asyncio.create_subprocess_exec(
                    *self.words,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.folder,
                    env=dict(self.environment),
                    start_new_session=True,
                )
            )
        except (OSError, ValueError) as fault:
            number = fault.errno if isinstance(fault, OSError) else None
            why = os.strerror(number) if number else "a word in it can't be passed on"
            raise BadInput(
                "start-command-unusable",
                "the start command",
                f"{visible(self.words[0])} can't be run from {visible(str(self.folder))}: {why}.",
                "Check the path of the program and its permissions.",
            ) from None

    def _took_too_long(self, tail: str) -> HostError:
        return HostError(
            "start-command-timeout",
            "The start command did not come to an end",
            f"{visible(self.words[0])} took more than {self.seconds:g} seconds and was killed."
            f"{tail}",
            "Let it return once the VM is started, or raise start_seconds.",
        )

    def _failed(self, status: int, tail: str) -> HostError:
        how = f"exit status {status}" if status > 0 else f"killed by signal {-status}"
        return HostError(
            "start-command-failed",
            "The start command failed",
            f"{visible(self.words[0])} ended with {how}.{tail}",
            "Mend what it complains about. The launch is prepared and can be completed once its"
            " VM is started.",
            {"status": status},
        )


class _Output:
    """What a command writes: read all along, so that it never has to wait, and the end kept.

    A pipe of our own: asyncio's would keep us waiting for what the command leaves running.
    """

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._tail = b""

    def __enter__(self) -> _Output:
        asyncio.get_running_loop().add_reader(self._reader, self._read)
        return self

    def __exit__(self, *problem: object) -> None:
        asyncio.get_running_loop().remove_reader(self._reader)
        os.close(self._reader)
        self._close_writer()

    def read_alone(self) -> None:
        """Keep only the end to read from, once the command has the other."""
        self._close_writer()

    def tail(self) -> str:
        """The last words, as the end of a message; empty if there were none."""
        # As much as a pipe holds, whatever those write on whom the command has left running.
        for _ in range(_PIECES_LEFT):
            self._read()
        words = visible(self._tail.decode("utf-8", "replace").strip()[-HOST_WORDS:])
        return f" Its last words: {words}" if words else ""

    def _read(self) -> None:
        try:
            piece = os.read(self._reader, _PIECE)
        except OSError:  # nothing there now
            return
        if not piece:
            asyncio.get_running_loop().remove_reader(self._reader)
        self._tail = (self._tail + piece)[-_TAIL:]

    def _close_writer(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1
