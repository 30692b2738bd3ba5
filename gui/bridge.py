# SPDX-License-Identifier: Apache-2.0
"""Carries work to an asyncio loop in a thread of its own, and results back to the GUI thread.

QtAsyncio has no sockets, and qasync loses tasks when a modal dialog opens; so one
plain thread owns the loop. Nobody waits for it: whatever comes back, comes by a
queued signal. It is the only place where core code that waits is started from.
"""

from __future__ import annotations

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

    def __init__(self, parent: QObject, cancel: Callable[[Job], None]) -> None:
        super().__init__(parent)
        self._cancel = cancel

    def cancel(self) -> None:
        """Ask the work to stop; ``cancelled`` comes once it has cleaned up."""
        self._cancel(self)


@dataclass(slots=True)
class _Order:
    """A job's other half, used in the loop's thread alone."""

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
        self._orders: dict[Job, _Order] = {}
        self._closing = False
        queued = Qt.ConnectionType.QueuedConnection
        self._reported.connect(self._deliver_report, queued)
        self._ended.connect(self._deliver_end, queued)

    @property
    def busy(self) -> bool:
        """Whether any work is on its way."""
        return bool(self._orders)

    def submit(self, work: Work) -> Job:
        """Have a coroutine run; connect to the job's signals at once, none comes earlier."""
        job = Job(self, self._cancel)
        order = self._orders[job] = _Order(work)
        self._running_loop().call_soon_threadsafe(self._begin, job, order)
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
        self._orders.clear()
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

    def _cancel(self, job: Job) -> None:
        order = self._orders.get(job)
        if order is not None and not self._closing:
            self._running_loop().call_soon_threadsafe(self._cancel_order, order)

    @Slot(object, object)
    def _deliver_report(self, job: Job, value: object) -> None:
        if job in self._orders:
            job.progress.emit(value)

    @Slot(object, object)
    def _deliver_end(self, job: Job, task: asyncio.Task[object]) -> None:
        if self._orders.pop(job, None) is None:
            return
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
        job.deleteLater()

    # -- in the loop's thread ----------------------------------------------------

    def _live(self, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        import asyncio  # noqa: PLC0415 - see above

        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            loop.set_exception_handler(self._unhandled)
            runner.run(_until(stop))

    def _begin(self, job: Job, order: _Order) -> None:
        report = partial(self._report, job)
        order.task = self._running_loop().create_task(_run(order.work, report))
        order.task.add_done_callback(partial(self._over, job))

    def _cancel_order(self, order: _Order) -> None:
        if order.task is not None:  # it is: what is called first is done first
            order.task.cancel()

    def _report(self, job: Job, value: object) -> None:
        if not self._closing:
            self._reported.emit(job, value)

    def _over(self, job: Job, task: asyncio.Task[object]) -> None:
        if not self._closing:
            self._ended.emit(job, task)

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
