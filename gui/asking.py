# SPDX-License-Identifier: Apache-2.0
"""Asks something over the bridge for a widget, which hears the answer only while it is there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from PySide6.QtCore import QObject, Slot

from .bridge import Bridge, Job, Report

Then = Callable[[object], object]
"""Gets a result or an error, in the GUI thread."""


class Asking(QObject):
    """One question; it goes with its owner, and then nobody hears the answer."""

    def __init__(self, owner: QObject, job: Job, then: Then, failed: Then) -> None:
        super().__init__(owner)
        self._then = then
        self._failed = failed
        job.succeeded.connect(self._succeed)
        job.failed.connect(self._fail)
        job.finished.connect(self.deleteLater)

    @Slot(object)
    def _succeed(self, result: object) -> None:
        self._then(result)

    @Slot(object)
    def _fail(self, error: object) -> None:
        self._failed(error)


def ask(
    bridge: Bridge, owner: QObject, call: Callable[[], object], then: Then, failed: Then
) -> Job:
    """Have a blocking call run in a thread of its own."""

    async def work() -> object:
        import asyncio  # noqa: PLC0415 - the first window need not wait for it

        return await asyncio.to_thread(call)

    return ask_async(bridge, owner, work, then, failed)


def ask_async(
    bridge: Bridge,
    owner: QObject,
    work: Callable[[], Coroutine[object, object, object]],
    then: Then,
    failed: Then,
) -> Job:
    """Have a coroutine run in the bridge's loop."""

    async def reported(_report: Report) -> object:
        return await work()

    job = bridge.submit(reported)
    Asking(owner, job, then, failed)
    return job
