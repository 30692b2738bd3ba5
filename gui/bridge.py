# SPDX-License-Identifier: Apache-2.0
"""Carries work to an asyncio loop in a thread of its own, and results back to the GUI thread.

QtAsyncio has no sockets, and qasync loses tasks when a modal dialog opens; so one
plain thread owns the loop. Nobody waits for it: whatever comes back, comes by a
queued signal. It is the only place where core code that waits is started from.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt, Signal, Slot

from watchword.core.errors import WatchwordError

if TYPE_CHECKING:
    import asyncio  # it costs 50 ms, which the first window need not wait for

Report = Callable[[object], None]
"""Called by the work, in its own thread, with whatever the GUI should hear of meanwhile."""
Work = Callable[[Report], Coroutine[object, object, object]]

SHUTDOWN_SECONDS: Final = 3.0
"""How long the end of the program waits for work that cleans up after itself."""


class Job(QObject):
    """Work on its way, seen from the GUI thread; all signals come there.

    Exactly one of ``succeeded`` (the result), ``failed`` (a WatchwordError) and
    ``cancelled`` comes, then ``finished``; ``progress`` comes before them.
    """

    progress = Signal(object)
    succeeded = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    finished = Signal()

    # Without a parent and without deleteLater: it goes with its last reference, in the GUI
    # thread. Bindings up to 6.11 have been seen to destroy an object twice whose Python half
    # is held by its parent alone when Qt deletes it later.
    def __init__(self, cancel: Callable[[], None]) -> None:
        super().__init__()
        self._cancel = cancel

    def cancel(self) -> None:
        """Ask the work to stop; ``cancelled`` comes once it has cleaned up."""
        self._cancel()


@dataclass(slots=True)
class _Order:
    """A job's other half, used in the loop's thread alone, which knows the job by its number.

    Were the job itself known there, the last one to let go of it might be that thread, and
    destroy it while the GUI thread does: the program would end without a word. For the same
    reason the GUI thread keeps the order, and with it all that the work refers to.
    """

    work: Work
    task: asyncio.Task[object] | None = None


class Bridge(QObject):
    """Owns the loop's thread, which starts with the first work.

    ``crashed`` comes with an exception that is nobody's WatchwordError; the job that
    met it has failed too.
    """

    crashed = Signal(object)
    _reported = Signal(object, object)
    _ended = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self._jobs: dict[int, tuple[Job, _Order]] = {}
        self._numbers = itertools.count(1)
        self._closing = False
        queued = Qt.ConnectionType.QueuedConnection
        self._reported.connect(self._deliver_report, queued)
        self._ended.connect(self._deliver_end, queued)

    @property
    def busy(self) -> bool:
        """Whether any work is on its way."""
        return bool(self._jobs)

    def submit(self, work: Work) -> Job:
        """Have a coroutine run; connect to the job's signals at once, none comes earlier."""
        number = next(self._numbers)
        job = Job(partial(self._cancel, number))
        order = _Order(work)
        self._jobs[number] = (job, order)
        self._running_loop().call_soon_threadsafe(self._begin, number, order)
        return job

    def shutdown(self, seconds: float = SHUTDOWN_SECONDS) -> bool:
        """Cancel all work and end the thread; no signal comes any more.

        For the end of the program, when no window is shown. False if something did
        not stop in time: the thread is a daemon, so the program ends in any case.
        """
        self._closing = True
        loop, thread, stop = self._loop, self._thread, self._stop
        if loop is None or thread is None or stop is None:
            return True
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
            thread.join(seconds)
        self._jobs.clear()
        return not thread.is_alive()

    # -- in the GUI thread -------------------------------------------------------

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            import asyncio  # noqa: PLC0415 - see above

            self._loop = asyncio.new_event_loop()
            self._stop = asyncio.Event()
            self._thread = threading.Thread(
                target=self._live, args=(self._loop, self._stop), name="watchword-work", daemon=True
            )
            self._thread.start()
        return self._loop

    def _cancel(self, number: int) -> None:
        if number in self._jobs and not self._closing:
            _, order = self._jobs[number]
            self._running_loop().call_soon_threadsafe(self._cancel_order, order)

    @Slot(object, object)
    def _deliver_report(self, number: int, value: object) -> None:
        if number in self._jobs:
            self._jobs[number][0].progress.emit(value)

    @Slot(object, object)
    def _deliver_end(self, number: int, task: asyncio.Task[object]) -> None:
        if number not in self._jobs:
            return
        job, _order = self._jobs.pop(number)
        if task.cancelled():
            job.cancelled.emit()
        elif (error := task.exception()) is None:
            job.succeeded.emit(task.result())
        elif isinstance(error, WatchwordError):
            job.failed.emit(error)
        else:
            self.crashed.emit(error)
            job.failed.emit(unexpected())
        job.finished.emit()

    # -- in the loop's thread ----------------------------------------------------

    def _live(self, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        import asyncio  # noqa: PLC0415 - see above

        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            loop.set_exception_handler(self._unhandled)
            runner.run(_until(stop))

    def _begin(self, number: int, order: _Order) -> None:
        report = partial(self._report, number)
        order.task = self._running_loop().create_task(_run(order.work, report))
        order.task.add_done_callback(partial(self._over, number))

    def _cancel_order(self, order: _Order) -> None:
        if order.task is not None:  # it is: what is called first is done first
            order.task.cancel()

    def _report(self, number: int, value: object) -> None:
        if not self._closing:
            self._reported.emit(number, value)

    def _over(self, number: int, task: asyncio.Task[object]) -> None:
        if not self._closing:
            self._ended.emit(number, task)

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """What nobody awaited: reported like any other fault, unless all is ending anyway."""
        del loop
        error = context.get("exception")
        if isinstance(error, Exception) and not self._closing:
            self.crashed.emit(error)


async def _run(work: Work, report: Report) -> object:
    return await work(report)


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


def unexpected() -> WatchwordError:
    """What a page shows of a fault of ours; the particulars are in the crash dialog."""
    return WatchwordError(
        "unexpected",
        "Something unexpected happened",
        "This is a fault of Watchword's. What was asked for is not done.",
        "Copy the report that was shown, and send it in; there are no secrets in it.",
    )
