# SPDX-License-Identifier: Apache-2.0
"""Lets what concerns the same thing happen one after the other, and not too much at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit


class Turns:
    """At most ``limit`` holders of each key at a time; a key that nobody holds takes no memory."""

    def __init__(self, limit: int = 1) -> None:
        self._limit = limit
        self._held: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @contextlib.asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Wait for a turn; whoever waits keeps nobody else out of other keys."""
        turn, users = self._held.get(key) or (asyncio.Semaphore(self._limit), 0)
        self._held[key] = turn, users + 1
        try:
            async with turn:
                yield
        finally:
            turn, users = self._held[key]
            if users == 1:
                del self._held[key]
            else:
                self._held[key] = turn, users - 1


def machine_of(url: str) -> str:
    """The machine that a URL names, whatever the way to it; empty for this one."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
