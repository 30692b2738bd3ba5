# SPDX-License-Identifier: Apache-2.0
"""Ends a program that reaches a host, with all that it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal


async def end_process(process: asyncio.subprocess.Process) -> None:
    """Kill it with its children, and let go of its pipes; for one that leads a session."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    transport = getattr(process, "_transport", None)
    for number in range(3):
        if transport is not None and (pipe := transport.get_pipe_transport(number)) is not None:
            pipe.close()
    # Before the transport is closed, which would take the exit status from who waits for it.
    await process.wait()
    if transport is not None:
        transport.close()
