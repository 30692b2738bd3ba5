# SPDX-License-Identifier: Apache-2.0
"""The one fleet that the window has under way: begun, followed, and stopped in order."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot

from ..bridge import Bridge, Job, Report
from ..fleet_service import CheckedFleet, FleetOrder, FleetService


class FleetRun(QObject):
    """Exactly one of ``ended`` (a BatchSummary), ``failed`` and ``stopped`` comes at the end.

    ``happened``  events, as many as came together
    ``stopped``   it was stopped before a launch was begun
    ``changed``   whether it runs, or is being stopped
    """

    happened = Signal(object)
    ended = Signal(object)
    failed = Signal(object)
    stopped = Signal()
    changed = Signal()

    def __init__(self, bridge: Bridge, service: FleetService, parent: QObject) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._service = service
        self._job: Job | None = None
        self.stopping = False

    @property
    def running(self) -> bool:
        """Whether a fleet is under way."""
        return self._job is not None

    def start(self, checked: CheckedFleet, order: FleetOrder) -> None:
        """Launch what is ordered; nothing happens while another fleet is under way."""
        if self._job is not None:
            return
        service = self._service

        async def work(report: Report) -> object:
            return await service.run(checked, order, report)

        job = self._job = self._bridge.submit(work)
        job.progress.connect(self.happened)
        job.succeeded.connect(self._succeed)
        job.failed.connect(self._fail)
        job.cancelled.connect(self._stop)
        self.changed.emit()

    @Slot()
    def stop(self) -> None:
        """End it in order: what is under way stops where the records know it.

        Asked once only: a second time would cut that short.
        """
        if self._job is not None and not self.stopping:
            self.stopping = True
            self._job.cancel()
            self.changed.emit()

    def _over(self) -> None:
        self._job, self.stopping = None, False

    @Slot(object)
    def _succeed(self, summary: object) -> None:
        self._over()
        self.ended.emit(summary)
        self.changed.emit()

    @Slot(object)
    def _fail(self, error: object) -> None:
        self._over()
        self.failed.emit(error)
        self.changed.emit()

    @Slot()
    def _stop(self) -> None:
        self._over()
        self.stopped.emit()
        self.changed.emit()
