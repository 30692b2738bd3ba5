# SPDX-License-Identifier: Apache-2.0
"""Tells systemd how the service fares: ready, reloading, stopping, and that it is alive.

The protocol is that of sd_notify(3): lines of text in one datagram, to the socket that
``NOTIFY_SOCKET`` names. Outside of a service nothing is told, and nothing goes wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Final, Self

SOCKET_VARIABLE: Final = "NOTIFY_SOCKET"
_WATCHDOG: Final = "WATCHDOG_USEC"
_WATCHDOG_PROCESS: Final = "WATCHDOG_PID"
_SECONDS_TO_TELL: Final = 2.0
_KIND: Final = socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)
_LONGEST_STATUS: Final = 200
_LONGEST_WATCHDOG: Final = 24 * 3600.0


class ServiceManager:
    """Who started this service and wants to know of it; nobody, where ``address`` is None.

    ``address``           path of a datagram socket, or ``@name`` for an abstract one
    ``watchdog_seconds``  within which a sign of life is wanted; None where none is
    """

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        self._address = _for_the_kernel(address)
        self.watchdog_seconds = watchdog_seconds if self._address is not None else None

    @classmethod
    def of_this_process(cls, environment: MutableMapping[str, str] | None = None) -> Self:
        """What the environment says, and it is taken out of there: children have no say."""
        values = os.environ if environment is None else environment
        address = values.pop(SOCKET_VARIABLE, None)
        microseconds = values.pop(_WATCHDOG, "")
        process = values.pop(_WATCHDOG_PROCESS, "")
        seconds: float | None = None
        wanted_of_us = process in ("", str(os.getpid()))
        if wanted_of_us and microseconds.isascii() and microseconds.isdigit():
            seconds = int(microseconds[:18]) / 1e6
        return cls(address, seconds if seconds and seconds <= _LONGEST_WATCHDOG else None)

    @property
    def listens(self) -> bool:
        """Whether anybody wants to know."""
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """It works, from now on or again; whether that was told."""
        return self._tell("READY=1", *_status(status))

    def reloading(self, status: str = "") -> bool:
        """Its settings are read anew; READY comes after that."""
        # systemd holds this time against its own, to know which reload READY is for.
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        return self._tell("RELOADING=1", f"MONOTONIC_USEC={now}", *_status(status))

    def stopping(self, status: str = "") -> bool:
        """It comes to its end."""
        return self._tell("STOPPING=1", *_status(status))

    def status(self, status: str) -> bool:
        """What `systemctl status` is to show, one line."""
        return self._tell(*_status(status))

    def alive(self) -> bool:
        """A sign of life for the watchdog."""
        return self._tell("WATCHDOG=1")

    async def keep_alive(self, turns: Callable[[], bool]) -> None:
        """Give signs of life, twice as often as wanted, for as long as this is not cancelled.

        None is given while ``turns`` says that the work stands still; nor can one be while
        something blocks the event loop, in which this runs.
        """
        if self.watchdog_seconds is None:
            return
        while True:
            if turns():
                self.alive()
            await asyncio.sleep(self.watchdog_seconds / 2)

    def _tell(self, *lines: str) -> bool:
        if self._address is None or not lines:
            return False
        data = "\n".join(lines).encode("utf-8", "replace")
        # A service is not to end because nobody listens.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, _KIND) as sending:
            sending.settimeout(_SECONDS_TO_TELL)
            return sending.sendto(data, self._address) == len(data)
        return False


def _status(text: str) -> tuple[str, ...]:
    """At most one line: a line break in it would begin another message."""
    shown = "".join(one if one.isprintable() else "�" for one in text[:_LONGEST_STATUS])
    return (f"STATUS={shown}",) if shown else ()


def _for_the_kernel(address: str | None) -> str | bytes | None:
    """The address as the kernel takes it; None for one that is of no kind known here."""
    if address is None or len(address) < 2 or "\0" in address:
        return None
    if address.startswith("@"):
        return b"\0" + os.fsencode(address[1:])
    return address if address.startswith("/") else None
