# SPDX-License-Identifier: Apache-2.0
"""*Rehearse this guest*: the wizard over a rehearsal in which the guest really boots."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.guest.profile import GuestProfile
from watchword.core.launch.engine import Launch
from watchword.core.launch.sev_steps import LAUNCH_STEPS

from ..asking import ask
from ..bridge import Bridge
from ..qemu_rehearsals import QemuRehearsals, Rehearsed
from ..vault_gate import VaultGate
from .conductor import Conductor
from .frame import DWELL, WizardFrame
from .measurement import MeasurementPage
from .platform import PlatformPage
from .qemu_choices import QemuChoices
from .qemu_evidence import QemuEvidencePage
from .recorded_guest import RecordedGuestPage
from .runs import GUEST_REHEARSAL
from .secret import SecretPage
from .session import SessionPage
from .start import StartPage
from .watched_run import WatchedRun


class QemuRehearsal(QWidget):
    """Begin with :meth:`begin`; one rehearsal after the other of the guest with this name.

    ``disk``  the image that is filled in already
    """

    left = Signal()

    def __init__(
        self,
        bridge: Bridge,
        service: QemuRehearsals,
        guest: str,
        *,
        disk: str = "",
        dwell: int = DWELL,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._service = service
        self._guest_name = guest
        self._asked: Rehearsed | None = None
        self.choices = QemuChoices(guest)
        self.choices.disk.set_path(disk)
        self.guest = RecordedGuestPage(self.choices, rehearsal=True)
        session = SessionPage()
        self.evidence = QemuEvidencePage()
        pages = (
            self.guest,
            PlatformPage(),
            session,
            StartPage(),
            MeasurementPage(),
            SecretPage(),
            self.evidence,
        )
        self.frame = WizardFrame(self.tr("Rehearse a guest"), pages, dwell=dwell)
        self.gate = VaultGate(bridge, service.vaults, self)
        self.frame.left.connect(self.left)
        self.frame.startOver.connect(self._start_over)
        self.choices.againWanted.connect(self.begin)
        self.guest.waived.connect(self._waive)
        self.gate.refused.connect(self._not_opened)
        self.gate.dismissed.connect(self.begin, Qt.ConnectionType.QueuedConnection)
        session.saving.connect(self.frame.save)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.frame)

    # -- one rehearsal after the other ---------------------------------------------------

    @Slot()
    def begin(self) -> None:
        """Nothing is open: it is to be chosen what is rehearsed."""
        self._attach(self._nothing_yet(""))
        self.guest.show_refusal(None)
        self.choices.set_choosing(True)
        self.frame.go("guest")

    @Slot()
    def _start_over(self) -> None:
        """Begin what was chosen; after one that went wrong it can be changed first."""
        conductor = self.frame.conductor
        if conductor is not None and conductor.launch.id:
            self.begin()
        else:
            self._rehearse(self.choices.wanted())

    def _rehearse(self, wanted: Rehearsed) -> None:
        self.frame.problem.clear()
        if not wanted.disk:
            self.choices.disk.set_problem(self.tr("Name the image whose disk is to be opened."))
            self.choices.disk.edit.setFocus()
            return
        self.choices.disk.set_problem("")
        self._asked = wanted
        self.choices.set_choosing(False)
        self.guest.show_refusal(None)
        self._attach(self._nothing_yet("rehearsal")).expect(True)
        ask(
            self._bridge,
            self,
            lambda: self._service.profile(self._guest_name),
            self._look_for_secrets,
            self._not_opened,
        )

    def _look_for_secrets(self, found: object) -> None:
        """The vault is opened where the profile takes anything from it."""
        if cast("GuestProfile", found).secret_references:
            self.gate.open_then(self._open)
        else:
            self._open()

    def _open(self) -> None:
        wanted, conductor = self._asked, self.frame.conductor
        if wanted is None or conductor is None or not conductor.at_work:  # cancelled meanwhile
            return
        conductor.broken.connect(self.guest.show_refusal)
        self.frame.tell(self.choices.story if wanted.attack is not None else "")
        log = self.evidence.follow(wanted.limit)
        conductor.open(self._service.opener(wanted, log), until="guest")

    @Slot(object)
    def _not_opened(self, error: object) -> None:
        """Profile or vault can't be had, so that nothing can be opened."""
        self.begin()
        self.frame.problem.show_error(cast("WatchwordError", error))

    def _nothing_yet(self, launch_id: str) -> Launch:
        return Launch(launch_id, "sev", LAUNCH_STEPS, simulated=True)

    def _attach(self, launch: Launch) -> Conductor:
        conductor = Conductor(self._bridge, launch, GUEST_REHEARSAL, self)
        conductor.changed.connect(self._follow_run)  # before the pages are shown it
        self.frame.attach(conductor)
        return conductor

    @Slot()
    def _follow_run(self) -> None:
        conductor = self.frame.conductor
        if conductor is None:
            return
        run = conductor.run
        self.evidence.set_run(run if isinstance(run, WatchedRun) else None)
        self.choices.set_idle(not conductor.at_work)

    @Slot(str, str)
    def _waive(self, waiver: str, reason: str) -> None:
        """The same rehearsal, with its policy or firmware accepted for this once."""
        if self._asked is None:
            return
        if waiver == "policy_waiver":
            self._rehearse(replace(self._asked, policy_waiver=reason))
        elif waiver == "firmware_waiver":
            self._rehearse(replace(self._asked, firmware_waiver=reason))

    @property
    def handing_over(self) -> bool:
        """Whether the secret is on its way at this moment."""
        conductor = self.frame.conductor
        return conductor is not None and conductor.handing_over

    def close_launch(self) -> None:
        """End the rehearsal; its QEMU ends with it."""
        self.frame.detach()
