# SPDX-License-Identifier: Apache-2.0
"""A rehearsal with a real QEMU as the wizard drives it: the launch, then the guest's console.

Whatever way it ends, its QEMU ends with it: after a verdict, a refusal and a cancellation
there is none left. Knows no Qt.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from watchword.core.errors import WatchwordError
from watchword.core.launch.engine import Launch
from watchword.core.launch.sev_steps import Observer
from watchword.core.rehearsal.guest import RehearsedGuest
from watchword.core.rehearsal.qemu_run import QemuOutcome, QemuRun
from watchword.core.rehearsal.qemu_verdict import Sighting
from watchword.core.rehearsal.qemu_words import verdict_error
from watchword.core.sev.session import LaunchMaterial

MOST_LINES: Final = 1000
"""Of the console, as they are kept and shown: a guest may print without end."""


class ConsoleLog:
    """Lines on their way from the loop's thread to the window, the newest ones, as they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    def add(self, line: str) -> None:
        """One more; where nobody takes them, the oldest one goes."""
        with self._lock:
            self._lines.append(line)

    def take(self) -> list[str]:
        """What has come since the last time; it may hold any character."""
        with self._lock:
            lines = list(self._lines)
            self._lines.clear()
        return lines


class WatchedRun:
    """Fits WizardRun; begin with :meth:`begin`, and :meth:`end` in any case.

    ``new_run``  makes the rehearsal; it is made anew after one that was cancelled or failed
    ``outcome``  what came of it, once there is anything to say
    ``since``    when the guest began to run (``time.monotonic``), None before
    """

    def __init__(
        self,
        guest: RehearsedGuest,
        new_run: Callable[[Observer], QemuRun],
        observe: Observer,
        attack: str | None,
        log: ConsoleLog,
    ) -> None:
        self.launch = guest.new_launch(attack)
        self.material: LaunchMaterial | None = None
        self.outcome: QemuOutcome | None = None
        self.since: float | None = None
        self._guest = guest
        self._new_run = new_run
        self._observe = observe
        self._attack = attack
        self._log = log
        self._run: QemuRun | None = None

    @property
    def watching(self) -> bool:
        """Whether the guest runs, and its console is read for a sign."""
        return self.since is not None and self.outcome is None

    async def begin(self) -> QemuRun:
        """The rehearsal that is open, or a new one. Raises as QemuRun does."""
        run = self._run
        if run is None:
            self.outcome = self.since = None
            run = self._new_run(self._see)
            await run.__aenter__()
            self._run = run
        return run

    async def run(self, until: str | None = None) -> Launch:
        """Take steps; after the last one watch the guest until its verdict is clear.

        Raises as QemuRun.run and as ``verdict_error`` says of a disk that did not open: then
        the last step has failed, and its mark says the same.
        """
        run = await self.begin()
        try:
            await run.run(until)
            if run.launch.complete:
                await self._watch(run)
        except WatchwordError as error:
            self.outcome = self._outcome(run, None, error)
            await self.end()
            raise
        except BaseException:
            await self.end()
            self.since = None
            self._see(self._guest.new_launch(self._attack))
            raise
        if self.outcome is not None:
            self._judge(self.outcome)
        return self.launch

    async def end(self) -> None:
        """End QEMU and everything that belongs to it; may be called again."""
        run, self._run = self._run, None
        if run is not None:
            try:
                await run.__aexit__(None, None, None)
            finally:
                run.forget()

    async def _watch(self, run: QemuRun) -> None:
        self.since = time.monotonic()
        self._see(run.launch)
        sighting = await run.watch(self._log.add)
        self.outcome = self._outcome(run, sighting, None)
        await self.end()
        self._see(run.launch)

    def _judge(self, outcome: QemuOutcome) -> None:
        error = verdict_error(outcome, self._attack)
        if error is not None:
            reason = {**error.as_json(), "exit_status": int(error.exit_status)}
            self._see(outcome.launch.fail(outcome.launch.steps[-1].id, reason))
            raise error

    def _outcome(
        self, run: QemuRun, sighting: Sighting | None, error: WatchwordError | None
    ) -> QemuOutcome:
        return QemuOutcome(
            **asdict(run.what_happened()),
            launch=run.launch,
            error=error,
            sighting=sighting,
            edited_bytes=run.edited_bytes,
            seconds=dict(run.seconds),
        )

    def _see(self, launch: Launch) -> None:
        self.launch = launch
        self.material = None if self._run is None else self._run.material
        self._observe(launch)
