# SPDX-License-Identifier: Apache-2.0
"""The wizard over a recorded launch: a new one, or one that is taken up again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, cast

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.launch.engine import Launch
from watchword.core.launch.orders import LaunchOrder
from watchword.core.launch.record import LaunchState
from watchword.core.launch.sev_steps import LAUNCH_STEPS
from watchword.core.launch.store import LaunchSummary

from ..asking import Then, ask
from ..bridge import Bridge
from ..evidence_documents import EvidenceForm
from ..evidence_files import pdf_of, save_bytes
from ..guest_glance import GuestGlance, glance
from ..launch_service import LaunchService
from ..vault_gate import VaultGate
from .conductor import Conductor
from .connection_tester import ConnectionTester
from .domain_pane import DomainPanes
from .exchange_panel import ExchangePanel
from .frame import DWELL, WizardFrame
from .host_files import HostFiles
from .recorded_choices import RecordedChoices
from .recorded_evidence import RecordedEvidencePage
from .recorded_guest import RecordedGuestPage
from .recorded_measurement import RecordedMeasurementPage
from .recorded_platform import RecordedPlatformPage
from .recorded_run import RecordedRun
from .recorded_start import RecordedSessionPage, RecordedStartPage
from .remedies import Remedy
from .runs import RECORDED, OpenRun
from .second_opinions import SecondOpinions
from .secret import SecretPage
from .start_panel import StartMaker
from .starting_again import StartingAgain
from .wanted import Wanted

_GOALS: Final = {LaunchState.PREPARING.value: "session", LaunchState.HANDED_OVER.value: "run"}
"""How far a launch is taken by itself when it is taken up; others as far as the verdict."""
_LANDINGS: Final = {
    LaunchState.PREPARING.value: "platform",
    LaunchState.PREPARED.value: "start",
    LaunchState.VERIFIED.value: "secret",
    LaunchState.SEALED.value: "secret",
    LaunchState.HANDED_OVER.value: "run",
    LaunchState.REFUSED.value: "measurement",
}
"""The page that is shown at once, while all before it is verified anew: most likely it is there
that a person is needed. Where it is not, the right one is shown at the end."""
_VERDICT: Final = "measurement"
_EXCHANGE_STEPS: Final = {1: "session", 3: "measurement", 5: "run"}
"""How far a launch is taken once a turn's answer is there."""


class RecordedLaunch(QWidget):
    """Begin with :meth:`begin`; ``guest`` is chosen, ``summary`` taken up again.

    With ``at_once`` the guest is launched as its profile says, without another question.
    ``ledgerWanted``   with the sequence of an entry that is to be shown
    ``profileWanted``  with the HostDraft of a VM that a profile is to be made of
    """

    left = Signal()
    ledgerWanted = Signal(int)
    profileWanted = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        service: LaunchService,
        *,
        guest: str = "",
        summary: LaunchSummary | None = None,
        at_once: bool = False,
        dwell: int = DWELL,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._service = service
        self._guest = guest
        self._summary = summary
        self._at_once = at_once
        self._asked: Wanted | LaunchOrder | None = None
        self.choices = RecordedChoices()
        self.choices.guestChosen.connect(self._look_at_guest)
        self.guest = RecordedGuestPage(self.choices)
        self.platform = RecordedPlatformPage()
        self.session = RecordedSessionPage()
        self.start = RecordedStartPage()
        self.measurement = RecordedMeasurementPage()
        self.evidence = RecordedEvidencePage()
        first = (self.guest, self.platform, self.session, self.start, self.measurement)
        pages = (*first, SecretPage(), self.evidence)
        self.frame = WizardFrame(self.tr("Launch a guest"), pages, dwell=dwell)
        self.gate = VaultGate(bridge, service.vaults, self)
        self.again = StartingAgain(bridge, self)
        self.tester = ConnectionTester(
            bridge,
            lambda: service,
            self.choices.url,
            self.choices.connection,
            wanted=self.choices.wanted,
            owner=self,
        )
        self.opinions = SecondOpinions(bridge, self.frame, self)
        self.maker = StartMaker(bridge, self.session.whole, lambda: self.run, self)
        self.files = HostFiles(bridge, (self.session.files, self.start.files), self)
        panes = (self.start.domain, self.measurement.domain)
        self.panes = DomainPanes(bridge, service, panes, lambda: self.run, self)
        self._connect()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.frame)

    def _connect(self) -> None:
        self.frame.left.connect(self.left)
        self.choices.guests.currentTextChanged.connect(self.tester.forget)
        self.tester.drafted.connect(self.profileWanted)
        self.frame.startOver.connect(self._start_over)
        self.gate.refused.connect(self._not_opened)
        self.gate.dismissed.connect(self._not_wanted, Qt.ConnectionType.QueuedConnection)
        self.session.saving.connect(self.frame.save)
        self.platform.accept.accepted.connect(self._accept)
        self.platform.waiver.wanted.connect(self._waive)
        self.guest.waived.connect(self._waive_guest)
        self.measurement.remedyChosen.connect(self._begin_again)
        self.again.ready.connect(self._launch)
        self.again.failed.connect(self._show_problem)
        self.start.host.chosen.connect(self._look_elsewhere)
        self.evidence.keeping.wanted.connect(self._keep)
        self.evidence.keeping.ledgerWanted.connect(self._find_entry)
        self.start.for_me.wanted.connect(self._start_vm)
        self.files.failed.connect(self._show_problem)
        for exchange in (self.platform.exchange, self.start.exchange, self.evidence.exchange):
            exchange.textWanted.connect(self._fetch_text)
            exchange.answered.connect(self._take_answer)

    # -- one launch after the other --------------------------------------------------

    @Slot()
    def begin(self) -> None:
        """Show what is to be chosen, or the launch that is taken up."""
        summary = self._summary
        if summary is not None:
            conductor = self._attach(summary.id, simulated=bool(summary.simulated))
            conductor.expect(True)
            self.choices.set_choosing(False)
            self.frame.go(_LANDINGS.get(summary.state, "guest"))
            self.gate.open_then(lambda: self._open_earlier(summary))
            return
        self._choose()

    def _choose(self) -> None:
        """Nothing is open: the guest is still to be chosen, or to be chosen anew."""
        self._attach("")
        self.guest.show_refusal(None)
        self.choices.set_choosing(True)
        self.frame.go("guest")
        self._ask(self._service.guests, self._show_guests)

    def _show_guests(self, names: object) -> None:
        self.choices.show_guests(cast("tuple[str, ...]", names), self._guest)
        if self._at_once:
            self._at_once = False
            self._start_over()

    @Slot()
    def _start_over(self) -> None:
        """A new launch; after one that went wrong what was chosen can be changed first."""
        conductor = self.frame.conductor
        if conductor is not None and conductor.launch.id:
            self._summary = None
            self._choose()
        else:
            self.gate.open_then(self._open_new)

    def _open_new(self) -> None:
        wanted = self.choices.wanted()
        self.choices.forget_waivers()
        self._guest = wanted.guest
        self._open_asked(wanted)

    @Slot(object)
    def _launch(self, asked: Wanted | LaunchOrder) -> None:
        """Begin this launch in place of the one that is shown."""
        self.gate.open_then(lambda: self._open_asked(asked))

    def _open_asked(self, asked: Wanted | LaunchOrder) -> None:
        self.tester.cancel()
        self._asked, self._summary = asked, None
        self._attach("new")
        self.choices.set_choosing(False)
        self.guest.show_refusal(None)
        self._open(self._service.new_run(asked), "session")
        if self.frame.conductor is not None:
            self.frame.conductor.broken.connect(self.guest.show_refusal)

    def _open_earlier(self, summary: LaunchSummary) -> None:
        conductor = self.frame.conductor
        if conductor is not None and conductor.at_work:  # else it was cancelled meanwhile
            goal = _GOALS.get(summary.state, _VERDICT)
            self._open(self._service.earlier_run(summary.id), goal, at_once=True)

    @Slot(object)
    def _not_opened(self, error: WatchwordError) -> None:
        """The vault can't be had, so that nothing can be opened."""
        if self.frame.conductor is not None:
            self.frame.conductor.expect(False)
        self._show_problem(error)

    @Slot()
    def _not_wanted(self) -> None:
        """Nobody gave the passphrase: a launch that was to be taken up stays in the list."""
        if self._summary is not None and self.run is None:
            self.left.emit()

    def _attach(self, launch_id: str, *, simulated: bool = False) -> Conductor:
        launch = Launch(launch_id, "sev", LAUNCH_STEPS, simulated)
        conductor = Conductor(self._bridge, launch, RECORDED, self)
        conductor.changed.connect(self._follow)
        self.frame.attach(conductor)
        return conductor

    def _open(self, open_run: OpenRun, goal: str, *, at_once: bool = False) -> None:
        conductor = self.frame.conductor
        if conductor is None:
            return
        conductor.opened.connect(lambda: self.frame.take(goal, at_once=at_once))
        conductor.open(open_run, until="guest")

    @property
    def handing_over(self) -> bool:
        """Whether the secret is on its way at this moment."""
        conductor = self.frame.conductor
        return conductor is not None and conductor.handing_over

    def close_launch(self) -> None:
        """Leave the launch; it stays in the records as it is."""
        self.tester.cancel()
        self.panes.close()
        self.frame.detach()

    @property
    def run(self) -> RecordedRun | None:
        """The run that is open."""
        conductor = self.frame.conductor
        run = None if conductor is None else conductor.run
        return run if isinstance(run, RecordedRun) else None

    # -- what the owner says on the pages ----------------------------------------------

    @Slot(str)
    def _accept(self, fingerprint: str) -> None:
        if self.run is not None:
            self.run.words.accept_platform = fingerprint
            secret_was_near = self.frame.conductor is not None and (
                "measurement" in self.frame.conductor.launch.facts
            )
            self.frame.take(_VERDICT if secret_was_near else "session")

    @Slot(str)
    def _waive(self, reason: str) -> None:
        """A new launch without a verified platform; what else was waived is to be typed anew."""
        record = None if self.run is None else self.run.record
        if isinstance(self._asked, Wanted):
            asked = replace(self._asked, policy_waiver="", firmware_waiver="")
            self._launch(replace(asked, platform_waiver=reason))
        elif record is not None:
            self.again.begin(record, Remedy(), platform_waiver=reason)

    @Slot(str, str)
    def _waive_guest(self, waiver: str, reason: str) -> None:
        """The launch that did not begin, with its policy or firmware accepted for once."""
        if self._asked is None:
            return
        if waiver == "policy_waiver":
            self._launch(replace(self._asked, policy_waiver=reason))
        elif waiver == "firmware_waiver":
            self._launch(replace(self._asked, firmware_waiver=reason))

    @Slot(object)
    def _begin_again(self, remedy: Remedy) -> None:
        """A new launch after a mismatch; the refused one stays as it is."""
        record = None if self.run is None else self.run.record
        if record is not None:
            self.again.begin(record, remedy)

    @Slot(str)
    def _look_elsewhere(self, url: str) -> None:
        if self.run is not None:
            self.run.words.host = url
            self.frame.take(_VERDICT)

    @Slot(int)
    def _fetch_text(self, turn: int) -> None:
        run, panel = self.run, self._panel()
        if run is not None and panel is not None:
            self._ask(lambda: run.outgoing_text(turn), lambda text: panel.put_text(str(text)))

    @Slot(int)
    def _take_answer(self, turn: int) -> None:
        run, panel = self.run, self._panel()
        if run is None or panel is None:
            return
        given = panel.area.given

        def taken(understood: object) -> None:
            panel.area.clear()
            if understood is not None:
                panel.show_understood(understood)  # type: ignore[arg-type]
            self.frame.take(_EXCHANGE_STEPS.get(turn, _VERDICT))

        self._ask(lambda: run.take_answers(turn, given), taken, panel.show_error)

    def _panel(self) -> ExchangePanel | None:
        return cast("ExchangePanel | None", getattr(self.frame.page, "exchange", None))

    # -- files -----------------------------------------------------------------------

    @Slot()
    def _follow(self) -> None:
        """What stands beside the launch follows it."""
        conductor, run = self.frame.conductor, self.run
        if conductor is None:
            return
        now = conductor.situation()
        self.opinions.follow()
        self.maker.follow()
        self.panes.follow(now)
        self.start.for_me.follow(now, run)
        if run is not None:
            self.files.follow(now, run)

    @Slot()
    def _start_vm(self) -> None:
        if self.run is not None:
            self.run.start_for_me()
            if not self.frame.conductor_at_work:
                self.frame.take(_VERDICT)

    @Slot(object, str)
    def _keep(self, form: EvidenceForm, path: str) -> None:
        launch_id = "" if self.run is None else self.run.id

        def write(data: object) -> None:
            content = cast("bytes", data)
            content = pdf_of(content) if form is EvidenceForm.PDF else content
            self._ask(
                lambda: save_bytes(path, content),
                lambda _: self.evidence.keeping.show_saved(path),
            )

        self._ask(lambda: self._service.evidence(launch_id, form), write)

    @Slot()
    def _find_entry(self) -> None:
        """The newest entry of this launch in the ledger."""
        launch_id = "" if self.run is None else self.run.id
        find = partial(self._service.newest_entry, launch_id)
        self._ask(find, lambda sequence: self.ledgerWanted.emit(cast("int", sequence)))

    @Slot(str)
    def _look_at_guest(self, name: str) -> None:
        if name:
            vaults = self._service.vaults
            self._ask(lambda: glance(name, vaults), self._show_glance)

    def _show_glance(self, found: object) -> None:
        shown = cast("GuestGlance", found)
        if shown.name == self.choices.guests.currentText():
            self.choices.show_glance(shown)

    def _ask(
        self,
        call: Callable[[], object],
        then: Callable[[object], object],
        failed: Callable[[WatchwordError], object] | None = None,
    ) -> None:
        """Do what blocks in a thread; what goes wrong is shown above the page."""
        ask(self._bridge, self, call, then, cast("Then", failed or self._show_problem))

    @Slot(object)
    def _show_problem(self, error: WatchwordError) -> None:
        self.frame.problem.show_error(error)
