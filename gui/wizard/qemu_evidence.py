# SPDX-License-Identifier: Apache-2.0
"""The last page of a rehearsal with a real QEMU: the console, the verdict, what it proves."""

from __future__ import annotations

import time
from typing import ClassVar, Final

from PySide6.QtCore import QTimer, Slot
from PySide6.QtGui import QHideEvent, QShowEvent

from watchword.core.launch.engine import Fact, Launch, Mark, StepStatus
from watchword.core.rehearsal.qemu_run import QemuOutcome
from watchword.core.rehearsal.qemu_verdict import Verdict as Seen
from watchword.core.rehearsal.qemu_words import ABSENT, REAL, SIMULATED, kernel_note
from watchword.core.sev.session import LaunchMaterial

from ..widgets.section import Section
from ..widgets.tones import Tone
from .console_pane import ConsolePane
from .flow import Situation
from .page import Line, Record, Verdict, WizardPage
from .watched_run import ConsoleLog, WatchedRun

_PULSE: Final = 150
"""Milliseconds between two looks at what the console has said."""

_NOT_OPENED: Final = tuple(f"guest-{seen.value}" for seen in (Seen.ASKED, Seen.STUCK, Seen.ENDED))
"""Errors whose remedy names options of the command line."""


class QemuEvidencePage(WizardPage):
    """Give it each rehearsal by :meth:`follow`; it looks for news of it while it is seen."""

    step: ClassVar[str] = "run"

    def __init__(self) -> None:
        super().__init__(
            self.tr("Does the disk open by itself?"),
            self.tr("The guest runs in a real QEMU on this computer; its console tells how it is."),
            self.tr("Letting the guest run…"),
        )
        self.log = ConsoleLog()
        self.run: WatchedRun | None = None
        self._limit = 0
        self._seen: object = None
        self.console = ConsolePane()
        self.console_section = Section(self.tr("The guest's serial console"))
        self.console_section.body.addWidget(self.console)
        self.controls.addWidget(self.console_section)
        self._pulse = QTimer(self)
        self._pulse.setInterval(_PULSE)
        self._pulse.timeout.connect(self._look)

    def follow(self, limit: int) -> ConsoleLog:
        """Show another rehearsal from now on; gives the log that its console goes to."""
        self.run, self._limit = None, limit
        self.log = ConsoleLog()
        self.console.clear()
        self._shown = None
        return self.log

    def set_run(self, run: WatchedRun | None) -> None:
        """The run that is open; nothing if it is closed, and then the last one stays."""
        if run is not None and run is not self.run:
            self.run, self._shown = run, None

    @property
    def outcome(self) -> QemuOutcome | None:
        """What came of it, once the guest's fate is clear."""
        return None if self.run is None else self.run.outcome

    # -- what is shown -----------------------------------------------------------------

    def show_launch(self, now: Situation, material: LaunchMaterial | None) -> None:
        """As any page; the verdict comes after the step, and changes no fact of it."""
        seen = (self.outcome, self.run is not None and self.run.watching, now.busy)
        if seen != self._seen:
            self._seen, self._shown = seen, None
        super().show_launch(now, material)
        self.console_section.setVisible(self.run is not None and self.run.since is not None)
        self._look()

    def _show_work(self, now: Situation, status: StepStatus) -> None:
        if self.run is not None and self.run.watching and now.busy:
            self.busy.begin(self._watching_words(), can_cancel=False)
        else:
            super()._show_work(now, status)

    def _watching_words(self) -> str:
        since = None if self.run is None else self.run.since
        seconds = 0 if since is None else int(time.monotonic() - since)
        words = self.tr(
            "Waiting for its console to show an opened disk: {n} of {most} seconds at most…"
        )
        return words.format(n=min(seconds, self._limit), most=self._limit)

    @Slot()
    def _look(self) -> None:
        self.console.add(self.log.take())
        if self.run is not None and self.run.watching and self.busy.isVisible():
            self.busy.say(self._watching_words())

    def showEvent(self, event: QShowEvent) -> None:
        """Look for news while the page is seen."""
        super().showEvent(event)
        self._pulse.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """The log keeps the newest lines meanwhile."""
        super().hideEvent(event)
        self._pulse.stop()

    def verdict(self, launch: Launch, record: Record) -> Verdict | None:
        """That the disk has opened; anything else is the step's failure, nothing before the end."""
        del record
        outcome = self.outcome
        if outcome is None or outcome.sighting is None:
            return None
        tone = Tone.WARN if launch.waivers else Tone.OK
        return Verdict(tone, self.tr("Unlocked: the disk opened by itself"), self._sign(outcome))

    def _say_error(self, tone: Tone, reason: Record) -> None:
        """As any page, with what can be done about it in the window's words."""
        if reason.get("code") in _NOT_OPENED:
            remedy = self.tr(
                "See the last lines of the console: whether the guest looks for the secret, under"
                " which GUID, whether the passphrase is the disk's, and whether it prints on its"
                " serial port. Another sign of an opened disk can be named on the first page."
            )
            reason = {**reason, "remedy": remedy}
        super()._say_error(tone, reason)

    def _sign(self, outcome: QemuOutcome) -> str:
        sighting = outcome.sighting
        if sighting is None or sighting.verdict is not Seen.UNLOCKED:
            return ""
        words = self.tr("Its console said “{marker}”, {n} seconds after the guest began to run.")
        return words.format(marker=(sighting.marker or "").strip(), n=round(sighting.seconds))

    def build(self, launch: Launch, fact: Fact | None, mark: Mark | None) -> None:
        """What was real, what was simulated, and what was not there at all."""
        del launch, fact, mark
        outcome = self.outcome
        if outcome is None:
            return
        note = kernel_note(outcome)
        if note is not None:
            self.body.addWidget(Line("info", Tone.NEUTRAL, note))
        if outcome.secret_seen:
            words = self.tr("The host saw the secret in clear. This is a fault of Watchword's.")
            self.body.addWidget(Line("bad", Tone.BAD, words, bold=True))
        for title, icon, tone, lines in (
            (self.tr("What was real"), "ok", Tone.OK, REAL),
            (self.tr("What was simulated"), "simulated", Tone.WARN, SIMULATED),
            (self.tr("What was not there"), "info", Tone.NEUTRAL, ABSENT),
        ):
            section = Section(title)
            for text in lines:
                section.body.addWidget(Line(icon, tone, text))
            self.body.addWidget(section)
        words = self.tr("A rehearsal leaves no record: no ledger entry and no evidence.")
        self.body.addWidget(Line("simulated", Tone.WARN, words))
