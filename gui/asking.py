# SPDX-License-Identifier: Apache-2.0
"""Asks something over the bridge for a widget, which hears the answer only while it is there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from PySide6.QtCore import QObject
from shiboken6 import isValid

from .bridge import Bridge, Job, Report

Then = Callable[[object], object]
"""Gets a result or an error, in the GUI thread."""


def _while_there(owner: QObject, then: Then) -> Then:
    """Calls ``then`` if the owner is still there."""

    def hear(answer: object) -> None:
        if isValid(owner):
            then(answer)

    return hear


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
    job.succeeded.connect(_while_there(owner, then))
    job.failed.connect(_while_there(owner, failed))
    return job
