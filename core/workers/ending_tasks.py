# SPDX-License-Identifier: Apache-2.0
"""Ends tasks of an event loop for certain, also where what they await loses a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any


def keep_cancelled() -> None:
    """Raise CancelledError if this task was cancelled, and what it has awaited has lost that.

    Python 3.11's ``asyncio.wait_for``, which drivers use, does so where the answer comes at
    the same time.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def end_all(tasks: Collection[asyncio.Task[Any]], again: float) -> None:
    """Cancel tasks until they have ended, anew each ``again`` seconds.

    Once is not enough: what a driver awaits may lose a cancellation, and the task goes on.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=again)
    await asyncio.gather(*tasks, return_exceptions=True)
