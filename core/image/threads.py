# SPDX-License-Identifier: Apache-2.0
"""Runs long work on bytes in a thread that cancelling ends, before the caller goes on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from .programs import no_room

Result = TypeVar("Result")

FULL: Final = (errno.ENOSPC, errno.EDQUOT)
"""How the system says that there is no room."""


class _Stopped(Exception):
    """The work was called off."""


class Stop:
    """Asked by work in a thread, as often as it can: raises when it is to end."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def call_off(self) -> None:
        """Let the next :meth:`check` raise."""
        self._event.set()

    def check(self) -> None:
        """Raise if the work was called off."""
        if self._event.is_set():
            raise _Stopped


async def in_thread(work: Callable[[Stop], Result], place: object) -> Result:
    """What the work gives; ``place`` is where it writes, for the error of a full disk.

    When this is cancelled the work is called off, and has ended when the cancellation goes on.
    Raises BadInput ``no-room``, and what the work raises.
    """
    stop = Stop()
    task = asyncio.create_task(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.call_off()
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):  # once is enough
                await asyncio.wait([task])
        task.exception()  # looked at, or asyncio complains that nobody did
        raise
    except OSError as fault:
        if fault.errno in FULL:
            raise no_room(str(place)) from None
        raise
    finally:
        del task  # the fault's frames would keep it, and it the fault
