# SPDX-License-Identifier: Apache-2.0
"""Waits, for a bounded time, until somebody answers where a launch's VM is to be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from ..errors import AnswerPending, HostError
from ..hosts.protocol import Host

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_ABSENT: Final = "host-socket-missing"
_REFUSED: Final = "host-refused-connection"
_LEFT_BEHIND: Final = ("qmp+unix:", "qmp+ssh:")
"""Where sockets are files, which a QEMU that ended leaves behind."""

Connect = Callable[[str], Awaitable[Host]]
"""Reaches the host of a URL; raises UsageError or HostError."""


def _no_longer() -> float:
    return _LONGEST_PAUSE


async def wait_for_vm(
    connect: Connect,
    url: str,
    seconds: float,
    *,
    go_on: str,
    started_here: bool = False,
    longest_pause: Callable[[], float] = _no_longer,
) -> None:
    """Return once a monitor answers at the URL; what it says is not looked at.

    ``seconds``       how long to try; 0 tries once
    ``go_on``         the command that takes the launch on later
    ``longest_pause`` seconds between two looks, where they are to be more than two
    ``started_here``  whether a command of ours has started it, so that nobody else is awaited
    Raises AnswerPending ``vm-not-started`` where a person has still to start the VM, HostError
    ``vm-did-not-appear`` where our command should have, and any other HostError at once.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    pause = _FIRST_PAUSE
    while True:
        try:
            host = await connect(url)
        except HostError as error:
            if not nobody_there(error):
                raise
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise _not_there(url, seconds, error, go_on, started_here=started_here) from None
        else:
            await host.close()
            return
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, max(_LONGEST_PAUSE, longest_pause()))


def nobody_there(error: HostError) -> bool:
    """Whether this is how it looks where no VM was started yet."""
    return error.code in (_ABSENT, _REFUSED)


def _not_there(
    url: str, seconds: float, error: HostError, go_on: str, *, started_here: bool
) -> HostError | AnswerPending:
    if started_here:
        return HostError(
            "vm-did-not-appear",
            "The VM did not appear",
            f"The start command ended well, but {seconds:g} seconds later nobody answers at {url}.",
            "Look why the VM ended, or raise wait. The launch is prepared: start its VM with the"
            f" files that were written, and go on with {go_on}.",
            {"host": url, "connection": error.code},
        )
    if error.code == _REFUSED and url.startswith(_LEFT_BEHIND):
        return error
    return AnswerPending(
        "vm-not-started",
        "The VM is not started yet",
        f"The launch is prepared, and nobody answers at {url} yet.",
        "Have the VM started, paused, with the files that were written for it; then go on with"
        f" {go_on}.",
        {"host": url},
    )
