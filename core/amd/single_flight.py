# SPDX-License-Identifier: Apache-2.0
"""Lets several callers who want the same thing at the same time share one piece of work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class SingleFlight(Generic[T]):
    """Work under way, by key; belongs to one event loop.

    Whoever asks for a key that is being worked on waits for that work and shares what
    comes of it, result or error. Cancelling one caller leaves the work to the others;
    with the last one the work is cancelled, and is over before the caller learns of it.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What ``work`` gives, started only if nobody is at it already."""
        flight = self._flights.get(key)
        if flight is None:
            flight = _Flight(asyncio.create_task(work()))
            self._flights[key] = flight
            flight.task.add_done_callback(lambda _: self._forget(key, flight))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0:
                self._forget(key, flight)
                await _end(flight.task)

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


async def _end(task: asyncio.Task[T]) -> None:
    """Cancel the task if it still runs and wait for its end, so that its sockets are closed."""
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # looked at, or asyncio complains that nobody did
