# SPDX-License-Identifier: Apache-2.0
"""Runs file work beside the loop, and waits for it only so long: shares and sticks may hang."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

_T = TypeVar("_T")


async def in_thread(work: Callable[[], _T], seconds: float) -> _T:
    """What ``work`` returns or raises, in a daemon thread of its own.

    Raises TimeoutError after ``seconds``. Work that hangs is given up, not ended: its
    thread costs no more than itself, and doesn't keep the program from ending.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(finish: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(lambda: None if done.done() else finish())

    def run() -> None:
        try:
            value = work()
        except Exception as fault:  # noqa: BLE001 - handed over to whoever waits
            settle(partial(done.set_exception, fault))
        else:
            settle(partial(done.set_result, value))

    threading.Thread(target=run, name="watchword-files", daemon=True).start()
    return await asyncio.wait_for(done, seconds)
