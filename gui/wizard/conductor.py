# SPDX-License-Identifier: Apache-2.0
"""Takes one launch through its steps by way of the bridge, and tells the wizard how it goes.

The launch lives in the loop's thread; here are only its latest value, which never
changes by itself, and what is going on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

from PySide6.QtCore import QObject, Signal

from watchword.core.errors import WatchwordError
from watchword.core.files import write_file
from watchword.core.launch.engine import Launch, StepState
from watchword.core.sev.session import LaunchMaterial

from ..bridge import Bridge, Job, Report, Work
from .flow import Situation
from .runs import OpenRun, RunKind, WizardRun

Change = Callable[[WizardRun], Launch]
"""Gives the owner's new answers to a launch; called in the loop's thread."""


class Conductor(QObject):
    """One launch, from opening to leaving it.

    ``changed``  the launch, or what goes on, is another now
    ``opened``   steps can be taken
    ``rested``   no more steps are taken; they were to be taken until the one that is named
    ``saved``    with the path of a file that was written
    ``broken``   with a WatchwordError that is no step's: the launch could not be opened
    """

    changed = Signal()
    opened = Signal()
    rested = Signal(str)
    saved = Signal(str)
    broken = Signal(object)

    def __init__(
        self, bridge: Bridge, launch: Launch, kind: RunKind, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.launch = launch
        self.kind = kind
        self.material: LaunchMaterial | None = None
        self.error: WatchwordError | None = None
        self._bridge = bridge
        self._run: WizardRun | None = None
        self._keeping: Job | None = None
        self._taking: Job | None = None
        self._opening = False
        self._until = ""

    def situation(self, *, slow: bool = False) -> Situation:
        """What the wizard's buttons follow from."""
        return Situation(
            self.launch,
            self.kind,
            opening=self._opening,
            over=self._keeping is None,
            busy=self._taking is not None,
            slow=slow,
        )

    @property
    def at_work(self) -> bool:
        """Whether something is going on that can be cancelled."""
        return self._opening or self._taking is not None

    @property
    def run(self) -> WizardRun | None:
        """The run that takes the steps, while it is open; it belongs to the loop's thread."""
        return self._run

    @property
    def handing_over(self) -> bool:
        """Whether the secret is on its way at this moment."""
        return self.launch.status("secret").state is StepState.BUSY

    def expect(self, expected: bool) -> None:
        """Whether :meth:`open` is to be called soon: until then something is going on."""
        if self._keeping is None:
            self._opening = expected
            self.changed.emit()

    def open(self, open_run: OpenRun, until: str) -> None:
        """Open the launch and take its first steps; it stays open until ``close``."""

        async def keep(report: Report) -> None:
            async with open_run(report) as run:
                await run.run(until)
                report(run)
                await asyncio.Event().wait()

        self._opening = True
        self._keeping = self._bridge.submit(keep)
        self._keeping.progress.connect(self._hear)
        self._keeping.failed.connect(self._break)
        self._keeping.finished.connect(self._end_keeping)
        self.changed.emit()

    def take(self, until: str) -> None:
        """Take the steps up to and including ``until``; nothing while others are taken."""
        run = self._run
        if run is None or self._taking is not None:
            return

        async def steps(_report: Report) -> None:
            await run.run(until)

        self._submit(steps, until)

    def change(self, change: Change, until: str | None = None) -> None:
        """Give the launch other answers; what rested on the old ones is stale then.

        ``until``  the last step to take again at once, none by default
        """
        run = self._run
        if run is None or self._taking is not None:
            return

        async def answer(_report: Report) -> None:
            change(run)
            if until is not None:
                await run.run(until)

        self._submit(answer, "")

    def save(self, path: str, text: str) -> None:
        """Write a text into a file, beside whatever goes on."""

        async def write(_report: Report) -> None:
            await asyncio.to_thread(write_file, Path(path), text.encode(), field="the file")

        job = self._bridge.submit(write)
        job.failed.connect(self._break)
        job.succeeded.connect(lambda _: self.saved.emit(path))

    def cancel(self) -> None:
        """Stop what is going on; ``rested`` comes once it has stopped."""
        if self._taking is not None:
            self._taking.cancel()
        elif self._opening and self._keeping is not None:
            self._keeping.cancel()
        else:
            self.expect(False)

    def close(self) -> None:
        """Leave the launch; what is open for it is closed in the loop's thread."""
        if self._taking is not None:
            self._taking.cancel()
        if self._keeping is not None:
            self._keeping.cancel()
        self._run = None

    def _submit(self, work: Work, until: str) -> None:
        self._until = until
        self._taking = self._bridge.submit(work)
        self._taking.failed.connect(self._fail)
        self._taking.finished.connect(self._rest)
        self.changed.emit()

    def _hear(self, news: object) -> None:
        """A changed launch, or at last the run that it is taken by."""
        opened = not isinstance(news, Launch)
        if isinstance(news, Launch):
            self.launch = news
        else:
            self._run, self._opening = cast("WizardRun", news), False
        if self._run is not None:
            self.material = self._run.material
        self.changed.emit()
        if opened:
            self.opened.emit()

    def _fail(self, error: WatchwordError) -> None:
        """A step's error stands in the launch already; any other must be told."""
        if not self._is_of_step(error):
            self._break(error)

    def _is_of_step(self, error: WatchwordError) -> bool:
        return any(mark.reason.get("code") == error.code for mark in self.launch.marks.values())

    def _break(self, error: WatchwordError) -> None:
        self.error = error
        self.broken.emit(error)

    def _rest(self) -> None:
        self._taking = None
        self.changed.emit()
        if self._until:
            self.rested.emit(self._until)

    def _end_keeping(self) -> None:
        self._keeping, self._opening, self._run = None, False, None
        self.changed.emit()
