# SPDX-License-Identifier: Apache-2.0
"""Starts a program whole: one that is cancelled meanwhile is killed, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Coroutine
from typing import Any


async def start_whole(creating: Coroutine[Any, Any, Process]) -> Process:
    """The process that ``create_subprocess_exec(…, start_new_session=True)`` makes.

    asyncio, cancelled before all pipes of a new process are connected, kills only the process
    itself and may wait for ever for the pipes. So it is let finish, which takes milliseconds;
    then the whole group is killed. Raises as ``creating`` does.
    """
    task = asyncio.ensure_future(creating)
    if not await _cancelled_until(task):
        return task.result()
    if task.exception() is None:
        await kill_whole(task.result())
    raise asyncio.CancelledError


async def kill_whole(process: Process) -> None:
    """End a program that has not ended by itself, and all that it started."""
    ended = process.returncode is not None
    if not ended:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    # Before waiting: asyncio waits for the ends of pipes too, and reads none that are full.
    if (transport := getattr(process, "_transport", None)) is not None:
        transport.close()
    if not ended and await _cancelled_until(asyncio.ensure_future(process.wait())):
        raise asyncio.CancelledError


async def _cancelled_until(task: asyncio.Task[Any]) -> bool:
    """Wait for what takes milliseconds, whatever happens; whether this was cancelled meanwhile."""
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled
