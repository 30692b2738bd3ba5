# SPDX-License-Identifier: Apache-2.0
"""Runs calls that may never return in one thread of their own, and waits for each only so long."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class CallBlocked(Exception):
    """The call did not return in time; its thread is given up."""


class _Job(Generic[T]):
    """A call, and its end as the thread leaves it: a value or an exception."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._done = threading.Event()
        self._value: T | None = None
        self._fault: Exception | None = None

    def run(self) -> None:
        try:
            self._value = self._work()
        except Exception as fault:  # noqa: BLE001 - handed over to the caller's thread
            self._fault = fault
        except BaseException:  # noqa: BLE001 - foreign code doesn't end the program
            self._fault = RuntimeError()
        self._done.set()

    def wait(self, seconds: float) -> T:
        if not self._done.wait(seconds):
            raise CallBlocked
        # The fault's frames know this job: kept here, they and all that they hold (a key,
        # a connection) would stay until the garbage collector comes by.
        fault, self._fault = self._fault, None
        try:
            if fault is not None:
                raise fault
        finally:
            del fault
        return self._value  # type: ignore[return-value]  # None is a value of T then


class LimitedThread:
    """One daemon thread, started by the first call; calls run in it one after the other.

    A call that blocks for ever costs the thread, not the program: after ``limit``
    seconds :meth:`call` raises CallBlocked, and so does each later one at once.
    """

    def __init__(self, name: str, limit: float) -> None:
        self._name = name
        self._limit = limit
        self._jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._blocked = False

    def call(self, work: Callable[[], T]) -> T:
        """What ``work`` returns or raises. Raises CallBlocked after ``limit`` seconds."""
        if self._blocked:
            raise CallBlocked
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        job: _Job[T] = _Job(work)
        self._jobs.put(job)  # type: ignore[arg-type]  # the queue only runs it
        try:
            return job.wait(self._limit)
        except CallBlocked:
            self._blocked = True
            raise

    def close(self) -> None:
        """Let the thread end; one that is blocked ends by itself when its call does."""
        if self._thread is None:
            return
        self._jobs.put(None)
        if not self._blocked:
            self._thread.join(self._limit)
        self._thread = None

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            del job  # an answer that came too late may be a key: nobody keeps it
