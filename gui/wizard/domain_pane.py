# SPDX-License-Identifier: Apache-2.0
"""What of a libvirt domain's XML is not what the launch needs: before a start, and after one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, cast

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QPushButton, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.handover.domain_differences import DomainDifference
from watchword.core.launch.domain_comparison import DomainComparison, compare_domain
from watchword.core.launch.record import LaunchRecord

from ..asking import ask_async
from ..bridge import Bridge, Job
from ..launch_service import LaunchService
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.escape import shown_line
from ..widgets.findings import Findings
from ..widgets.foldable import Foldable
from ..widgets.fonts import SMALL
from ..widgets.state_badge import Look
from ..widgets.tones import Tone
from .flow import Situation
from .recorded_run import RecordedRun

_LIBVIRT: Final = "libvirt+"


class DomainPane(Foldable):
    """``wanted`` comes when it is unfolded, or somebody wants to look again."""

    wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("How the domain's XML fits the launch…"), parent)
        self.line = BusyLine()
        self.banner = Banner()
        self.findings = Findings()
        self.again = QPushButton(self.tr("&Look again"))
        self.again.setAutoDefault(False)
        self.again.clicked.connect(self.wanted)
        self.toggled.connect(self._toggle)
        self.body.setSpacing(SMALL)
        for widget in (self.line, self.banner, self.findings):
            self.body.addWidget(widget)
        self.body.addWidget(self.again, 0, Qt.AlignmentFlag.AlignLeft)
        self.findings.hide()
        self.hide()

    def _toggle(self, opened: bool) -> None:
        if opened:
            self.wanted.emit()

    def begin(self) -> None:
        """The host is being asked."""
        self.banner.clear()
        self.findings.hide()
        self.line.begin(self.tr("Asking the host for the domain's XML…"), can_cancel=False)
        self.again.setEnabled(False)

    def end(self) -> None:
        """Nobody is asked any more."""
        self.line.end()
        self.again.setEnabled(True)

    def show_comparison(self, found: DomainComparison, *, started: bool) -> None:
        """Every difference; before a start those that it mends are told apart."""
        words = self.tr("The host can show any XML, and a file of the same name may be another.")
        if not found.differences:
            title = self.tr("The domain has everything that the launch needs")
            self.banner.show_message(Tone.INFO, title, words)
        else:
            title = self.tr("Differences between the domain's XML and the launch: {n}")
            tone = Tone.WARN if started or found.that_stay else Tone.INFO
            self.banner.show_message(tone, title.format(n=len(found.differences)), words)
        mended = () if started else found.that_a_start_mends
        different = Look("warn", self.tr("Different"), Tone.WARN)
        by_start = Look("info", self.tr("Put in by the start"), Tone.NEUTRAL)
        rows = [(different, self._text(one)) for one in found.differences if one not in mended]
        rows += [(by_start, self._text(one, mended=True)) for one in mended]
        self.findings.show_rows(rows)
        self.findings.setVisible(bool(rows))

    def show_error(self, error: WatchwordError) -> None:
        """Why nothing was compared."""
        self.banner.show_error(error)

    def _text(self, one: DomainDifference, *, mended: bool = False) -> str:
        words = self.tr("{what} ({where}): the launch needs “{needed}”, the domain has “{found}”.")
        text = words.format(
            what=self._name(one.where),
            where=one.where,
            needed=shown_line(one.expected),
            found=shown_line(one.found),
        )
        return text if mended else f"{text} {one.consequence}"

    def _name(self, where: str) -> str:
        return {
            "os/type/@machine": self.tr("Machine"),
            "os/loader": self.tr("Firmware"),
            "os/nvram": self.tr("NVRAM"),
            "os/kernel": self.tr("Kernel"),
            "os/initrd": self.tr("Initrd"),
            "os/cmdline": self.tr("Command line"),
            "vcpu": self.tr("vCPUs"),
            "cpu/@mode": self.tr("CPU"),
            "cpu/model": self.tr("CPU model"),
            "launchSecurity/@kernelHashes": self.tr("Measured kernel"),
            "launchSecurity/policy": self.tr("Policy"),
            "launchSecurity/dhCert": self.tr("Owner's certificate (GODH)"),
            "launchSecurity/session": self.tr("Launch blob"),
        }.get(where, self.tr("Launch security"))


class DomainPanes(QObject):
    """Has the domain compared for the panes of *Start* and *Measurement*, and opens them.

    By itself a pane opens once: before the start, and when a measurement did not match.
    """

    def __init__(
        self,
        bridge: Bridge,
        service: LaunchService,
        panes: tuple[DomainPane, DomainPane],
        run: Callable[[], RecordedRun | None],
        owner: QObject,
    ) -> None:
        super().__init__(owner)
        self._bridge = bridge
        self._service = service
        self._before, self._after = panes
        self._run = run
        self._opened: set[tuple[str, DomainPane]] = set()
        self._job: Job | None = None
        self._next: DomainPane | None = None
        self._started = False
        for pane in panes:
            pane.wanted.connect(partial(self._compare, pane))

    @Slot(object)
    def follow(self, now: Situation) -> None:
        """The launch is another than before, or further than before."""
        run = self._run()
        ready = run is not None and run.start_order is not None and is_libvirts(run.host)
        self._started = now.launch.status("start").settled
        refused = "measurement" in now.launch.marks and self._started
        for pane, wanted in ((self._before, ready and not self._started), (self._after, refused)):
            shown = ready and bool(wanted)
            pane.setVisible(shown)
            if not shown:
                pane.set_open(False)
            elif run is not None and (run.id, pane) not in self._opened:
                self._opened.add((run.id, pane))
                pane.set_open(True)

    def _compare(self, pane: DomainPane) -> None:
        run = self._run()
        record, start = (None, None) if run is None else (run.record, run.start_order)
        if self._job is not None:
            self._next = pane  # it was opened meanwhile, and is not left empty
            return
        if record is None or start is None:
            return
        started = self._started

        async def compare() -> DomainComparison:
            surroundings = self._service.surroundings(ask_amd=False)
            async with await surroundings.connect(record.host, record.id) as host:
                return await compare_domain(host, record, start)

        def show(found: object) -> None:
            if self._is_open(record):
                pane.show_comparison(cast("DomainComparison", found), started=started)

        def fail(error: object) -> None:
            if self._is_open(record):
                pane.show_error(cast("WatchwordError", error))

        pane.begin()
        self._job = ask_async(self._bridge, self, compare, show, fail)
        self._job.finished.connect(partial(self._end, pane))

    def _is_open(self, record: LaunchRecord) -> bool:
        run = self._run()
        return run is not None and run.id == record.id

    def _end(self, pane: DomainPane) -> None:
        self._job = None
        pane.end()
        following, self._next = self._next, None
        if following is not None and following.opened:
            self._compare(following)

    @Slot()
    def close(self) -> None:
        """Ask no further."""
        self._next = None
        if self._job is not None:
            self._job.cancel()


def is_libvirts(host: str) -> bool:
    """Whether a host shows how its VM is defined, by its URL."""
    return host.startswith(_LIBVIRT)
