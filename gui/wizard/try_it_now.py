# SPDX-License-Identifier: Apache-2.0
"""*Try it now*: the wizard over a rehearsal, with a simulated host, honest or not."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QVBoxLayout, QWidget

from watchword.core.errors import ExitStatus
from watchword.core.hosts.limits import DEFAULT_LIMITS, HostLimits
from watchword.core.launch.engine import Launch
from watchword.core.launch.sev_steps import Observer
from watchword.core.rehearsal.stepwise import RehearsalRun

from ..bridge import Bridge
from .conductor import Conductor
from .evidence import EvidencePage
from .flow import exit_status, was_begun
from .frame import DWELL, WizardFrame
from .guest import GuestPage
from .measurement import MeasurementPage
from .platform import PlatformPage
from .rehearsal_choices import RehearsalChoices
from .remedies import Remedy
from .runs import REHEARSAL, WizardRun
from .secret import SecretPage
from .session import SessionPage
from .start import StartPage

_CA_BITS = 2048
"""Of the simulated root: made in a moment, and no verdict rests on the size."""


class TryItNow(QWidget):
    """Opens a rehearsal at once, and another one whenever the owner wants a new launch."""

    left = Signal()

    def __init__(
        self,
        bridge: Bridge,
        *,
        attack: str | None = None,
        limits: HostLimits = DEFAULT_LIMITS,
        dwell: int = DWELL,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._limits = limits
        self._status = ExitStatus.OK
        self.choices = RehearsalChoices(attack)
        self.choices.hostChosen.connect(self.begin)
        self.choices.guestChanged.connect(self._change_guest)
        self.choices.paceChanged.connect(self._change_pace)
        session, measurement = SessionPage(), MeasurementPage()
        pages = (
            GuestPage(self.choices),
            PlatformPage(),
            session,
            StartPage(),
            measurement,
            SecretPage(),
            EvidencePage(),
        )
        self.frame = WizardFrame(self.tr("Try it now"), pages, dwell=dwell)
        self.frame.left.connect(self.left)
        self.frame.startOver.connect(self.begin)
        session.saving.connect(self.frame.save)
        measurement.remedyChosen.connect(self._begin_again)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.frame)

    @Slot()
    def begin(self) -> None:
        """A new rehearsal in place of the one that is shown."""
        self._status = self.status
        guest, attack, limits = self.choices.guest(), self.choices.attack, self._limits

        def rehearsal(observe: Observer) -> RehearsalRun:
            return RehearsalRun(guest, observe, attack=attack, ca_bits=_CA_BITS, limits=limits)

        self.frame.tell(self.choices.story if attack is not None else "")
        conductor = Conductor(self._bridge, guest.new_launch(attack), REHEARSAL, self)
        self.frame.attach(conductor)
        conductor.open(rehearsal, until="guest")

    @Slot(object)
    def _begin_again(self, remedy: Remedy) -> None:
        """Another rehearsal after a mismatch: with another approval, or the host asked otherwise.

        What is approved now is shown on the first page, and nothing is done before it was read.
        """
        if remedy.changes and not self.choices.approve(remedy.changes):
            return
        if remedy.instruction:
            QGuiApplication.clipboard().setText(remedy.instruction)
        self.begin()
        if remedy.changes:
            self.frame.row.say(self.tr("Changed: look at what is approved now, then go on."))
        else:
            self.frame.row.say(self.tr("The host is as you choose it here: honest, or not."))

    @property
    def handing_over(self) -> bool:
        """Whether the secret is on its way at this moment."""
        conductor = self.frame.conductor
        return conductor is not None and conductor.handing_over

    @property
    def status(self) -> ExitStatus:
        """How the launch that was begun last ended, for whoever started the program."""
        conductor = self.frame.conductor
        if conductor is None or not was_begun(conductor.launch):
            return self._status
        return exit_status(conductor.launch)

    def close_launch(self) -> None:
        """End the rehearsal; the simulated host ends with it."""
        self._status = self.status
        self.frame.detach()

    @Slot()
    def _change_guest(self) -> None:
        """Approve another guest; at once if nothing else was done yet."""
        conductor = self.frame.conductor
        if conductor is None:
            return
        guest = self.choices.guest()

        def change(run: WizardRun) -> Launch:
            return run.change(guest) if isinstance(run, RehearsalRun) else run.launch

        conductor.change(change, until=None if was_begun(conductor.launch) else "guest")

    @Slot(bool)
    def _change_pace(self, slow: bool) -> None:
        self.frame.set_slow(slow)
