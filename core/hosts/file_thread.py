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
    arguments = (work, loop, done)
    threading.Thread(target=_run, args=arguments, name="watchword-files", daemon=True).start()
    try:
        # Not wait_for(): Python 3.11's loses a cancellation that comes together with the result.
        async with asyncio.timeout(seconds):
            return await done
    finally:
        # The fault's frames know them, and they the fault: all would stay until the garbage
        # collector comes by.
        del done, arguments


def _run(work: Callable[[], _T], loop: asyncio.AbstractEventLoop, done: asyncio.Future[_T]) -> None:
    finish = _finish(work, done)
    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(_settle, done, finish)
    del done, finish  # as above


def _finish(work: Callable[[], _T], done: asyncio.Future[_T]) -> Callable[[], None]:
    """Do the work; what gives the waiting one its end."""
    try:
        return partial(done.set_result, work())
    except Exception as fault:  # noqa: BLE001 - handed over to whoever waits
        return partial(done.set_exception, fault)
    finally:
        del done  # as above


def _settle(done: asyncio.Future[_T], finish: Callable[[], None]) -> None:
    if not done.done():
        finish()
