# SPDX-License-Identifier: Apache-2.0
"""Ends tasks for certain, also where what they await loses a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

_AGAIN_SECONDS: Final = 5.0
"""Within which whoever was cancelled has closed what he holds: anew would cut that off."""


async def end_tasks(tasks: Callable[[], Iterable[asyncio.Task[Any]]]) -> None:
    """Cancel tasks until none is left, each few seconds anew; what they raise is dropped.

    ``tasks`` gives those that there are now: while some end, others may begin. Once is not
    enough: asyncio (3.11) loses a cancellation that comes together with an answer.
    """
    while left := [task for task in tasks() if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_AGAIN_SECONDS)
    for task in tasks():
        if not task.cancelled():
            task.exception()
