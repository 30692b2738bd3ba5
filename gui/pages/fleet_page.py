# SPDX-License-Identifier: Apache-2.0
"""The page of fleets: a manifest checked whole, its launches run, and what is in their way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, cast

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from watchword.core.batch.manifest_errors import ManifestInvalid, ManifestRefused
from watchword.core.batch.results import BatchSummary
from watchword.core.errors import WatchwordError

from ..bridge import Bridge
from ..fleet_service import CheckedFleet, Events, FleetOrder, FleetService
from ..vault_gate import VaultGate
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.dropped import dropped_files, offers_files
from ..widgets.findings import Findings
from ..widgets.fonts import NORMAL
from ..widgets.page_frame import PageFrame
from ..widgets.path_field import PathField
from ..widgets.state_badge import Look
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .fleet_actions import FleetActions
from .fleet_approvals import WatchQuestions
from .fleet_bar import FleetBar
from .fleet_causes import FleetCauses, causes_of
from .fleet_empty import FleetEmpty
from .fleet_model import FleetModel
from .fleet_options import FleetOptions
from .fleet_problems import ManifestProblems
from .fleet_rows import FleetRow
from .fleet_run import FleetRun
from .fleet_table import FleetTable, RowView
from .fleet_words import Standing, counted
from .page_dialogs import PageDialogs
from .page_work import PageWork, lay_out_now

_ABOVE_TABLE: Final = 400
"""Pixels of the page that the table leaves to what stands above and below it."""
_MOST_WARNINGS: Final = 10
_LATER: Final = 50
"""Milliseconds until it is tried again to begin what has to wait for something else."""


class FleetPage(PageFrame):
    """One manifest at a time; ``launchWanted`` comes with the id of a launch to be shown."""

    launchWanted = Signal(str)

    def __init__(
        self, bridge: Bridge, service: FleetService, parent: QWidget | None = None
    ) -> None:
        title = self.tr("Fleet")
        super().__init__(
            title, self.tr("The guests of a manifest, many at once, and nothing waived."), parent
        )
        self.title, self.icon = title, "fleet"
        self._service = service
        self._checked: CheckedFleet | None = None
        self._looked_at = ""
        self._ran = False
        self._after: Callable[[], object] | None = None
        self.banner, self._line = Banner(), BusyLine()
        self.work = PageWork(bridge, self._line, self.banner, self)
        self.gate = VaultGate(bridge, service.vaults, self)
        self.run = FleetRun(bridge, service, self)
        self.model = FleetModel(self)
        self.manifest = PathField(
            self.tr("&Manifest"), purpose="fleet", filters=(self.tr("Manifests (*.toml)"),)
        )
        self.empty, self.problems = FleetEmpty(), ManifestProblems()
        self.said, self.warnings = TextLabel(quiet=True), Findings()
        self.options, self.actions_row = FleetOptions(), FleetActions()
        self.bar, self.causes = FleetBar(), FleetCauses()
        self.table, self.row = FleetTable(self.model), RowView()
        self.dialogs = PageDialogs(self.work, self.banner, self)
        self.questions = WatchQuestions(self.work, self.dialogs, self)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_LATER)
        self.setAcceptDrops(True)
        self._lay_out()
        self._connect()
        self._follow()

    def widget(self) -> QWidget:
        """Itself."""
        return self

    @Slot()
    def refresh(self) -> None:
        """What was missing may be there by now; what was run stays as it is."""
        self.questions.look()
        if self._looked_at and not self._ran and not self.run.running:
            self.check()

    # -- parts -----------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.body = QWidget()
        column = QVBoxLayout(self.body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        parts = (self.said, self.warnings, self.options, self.actions_row, self.bar, self.table)
        for part in (*parts, self.row, self.causes):
            column.addWidget(part)
        for widget in (self.banner, self.manifest, self._line, self.problems, self.body):
            self.content.addWidget(widget)
        for widget in (self.empty, self.questions):
            self.content.addWidget(widget)
        self.body.hide()

    def _connect(self) -> None:
        self.manifest.pathChanged.connect(self._path_changed)
        self.manifest.edit.editingFinished.connect(self._path_typed)
        self.manifest.edit.returnPressed.connect(self.check)
        self.problems.againWanted.connect(self.check)
        self.empty.chosen.connect(self.manifest.choose)
        self.gate.refused.connect(self._fail)
        self.work.busyChanged.connect(self._follow)
        self._later.timeout.connect(self.check)
        for signal, do in (
            (self.actions_row.startWanted, self.start),
            (self.actions_row.resumeWanted, self.resume),
            (self.actions_row.retryWanted, self.retry),
            (self.actions_row.dryRunWanted, self.check),
            (self.actions_row.stopWanted, self.run.stop),
            (self.options.phaseChanged, self.check),
        ):
            signal.connect(do)
        self.run.happened.connect(self._take_events)
        self.run.ended.connect(self._end)
        self.run.failed.connect(self._fail)
        self.run.stopped.connect(self._say_stopped)
        self.run.changed.connect(self._follow)
        self.model.counted.connect(self._count)
        self.table.chosen.connect(self.row.show_row)
        self.table.opened.connect(self._open_row)
        self.row.launchWanted.connect(self.launchWanted)
        self.causes.showWanted.connect(self._show_cause)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The table takes what room there is."""
        super().resizeEvent(event)
        self.table.fit(self.height() - _ABOVE_TABLE)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """A manifest may be dropped anywhere on the page."""
        if offers_files(event.mimeData()) and not self.run.running:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Take the one that was dropped."""
        files = dropped_files(event.mimeData())
        if len(files) == 1 and not self.run.running:
            event.acceptProposedAction()
            self.open_manifest(files[0])
        else:
            self.manifest.set_problem(self.tr("Drop one manifest of this computer only."))

    # -- the manifest ------------------------------------------------------------------

    def open_manifest(self, path: str) -> None:
        """Check this manifest."""
        self.manifest.set_problem("")
        if self.manifest.path == path:
            self.check()
        else:
            self.manifest.set_path(path)

    @Slot(str)
    def _path_changed(self) -> None:
        """Chosen or dropped, it is looked at at once; while somebody types, once he is done."""
        if not self.manifest.edit.isModified() or not self.manifest.path:
            self.check()

    @Slot()
    def _path_typed(self) -> None:
        if self.manifest.path != self._looked_at:
            self.check()

    @Slot()
    def check(self) -> None:
        """Check all of the manifest, and say what would be done: nothing is started."""
        if self.run.running:
            return
        if self.work.busy:
            self._later.start()
            return
        path = self.manifest.path
        if path != self._looked_at:
            self._looked_at = path
            self._forget()
        if not path:
            return
        self.work.start(
            self.tr("Checking the whole manifest…"),
            partial(self._service.check, path, self.options.wanted_phase),
            self._show_checked,
            failed=self._fail,
            can_cancel=True,
        )

    def _forget(self) -> None:
        """What was seen of another manifest counts no more."""
        self._checked, self._ran = None, False
        self.model.show_planned(())
        self.problems.clear()
        self.banner.clear()
        self._follow()

    def _show_checked(self, checked: CheckedFleet) -> None:
        self._checked, self._ran = checked, False
        self.problems.clear()
        self.options.show_fleet(checked.fleet)
        self.model.show_planned(checked.planned)
        self.table.fit(self.height() - _ABOVE_TABLE)
        count = len(checked.planned)
        words = self.tr("The manifest is in order, with {n} launches. Nothing was started.")
        if not checked.vault_known:
            words += " " + self.tr("Its vault entries are looked for once the vault is open.")
        self.said.say(words.format(n=count))
        look = Look("warn", self.tr("Mind"), Tone.WARN)
        told = [(look, one) for one in checked.fleet.warnings[:_MOST_WARNINGS]]
        self.warnings.show_rows(told)
        self._follow()

    # -- running it --------------------------------------------------------------------

    @Slot()
    def start(self) -> None:
        """Begin all that is wanted."""
        self._ask_vault(resume=False, retry=False)

    @Slot()
    def resume(self) -> None:
        """Take up what earlier runs left, and begin what they never did."""
        self._ask_vault(resume=True, retry=False)

    @Slot()
    def retry(self) -> None:
        """The same, and try again what was refused."""
        self._ask_vault(resume=True, retry=True)

    def _ask_vault(self, *, resume: bool, retry: bool) -> None:
        checked = self._checked
        if checked is None or self.run.running:
            return
        self.banner.clear()
        only: frozenset[str] = frozenset()
        if self.actions_row.only.isChecked():
            only = self.table.selected
            if not only:
                self._say_nothing_selected()
                return
        order = self.options.order(resume=resume, retry_failed=retry, only=only)
        self.gate.open_then(lambda: self._run(checked, order))

    def _run(self, checked: CheckedFleet, order: FleetOrder) -> None:
        if checked is not self._checked or self.run.running:
            return
        self.problems.clear()
        self.model.restart(order.only or [row.name for row in self.model.rows])
        self.run.start(checked, order)
        self.actions_row.stop.setFocus(Qt.FocusReason.OtherFocusReason)

    def stop_then(self, do: Callable[[], object]) -> None:
        """Stop in order, and do this once nothing is under way any more."""
        self._after = do
        self.run.stop()

    @Slot(object)
    def _take_events(self, events: Events) -> None:
        self._ran = True
        self.model.apply(events)

    @Slot(object)
    def _end(self, found: object) -> None:
        summary = cast("BatchSummary", found)
        self._ran = True
        failed, waiting = self.model.count(Standing.FAILED), self.model.count(Standing.WAITING)
        words = counted(self.model.count)
        if self._service.note:
            words = f"{words}. {self._service.note}"
        if summary.interrupted:
            title, tone = self.tr("Stopped. Resume goes on with the rest"), Tone.INFO
        elif failed:
            title, tone = self.tr("Through, but not all went well"), Tone.WARN
        elif waiting:
            title, tone = self.tr("Some launches wait for somebody"), Tone.INFO
        else:
            title, tone = self.tr("All of the fleet is through"), Tone.OK
        self.banner.show_message(tone, title, words)
        self._do_after()

    @Slot()
    def _say_stopped(self) -> None:
        title = self.tr("Stopped before anything was begun")
        self.banner.show_message(Tone.INFO, title)
        self._do_after()

    @Slot(object)
    def _fail(self, error: WatchwordError) -> None:
        if isinstance(error, ManifestInvalid | ManifestRefused):
            self._forget()
            self.problems.show_problems(error.problems, _count_of(error))
        else:
            self.banner.show_error(error)
            if error.code == "launches-under-way":
                self.banner.add_action(self.tr("Resume &these"), self.resume)
        self._follow()
        lay_out_now()
        self.scroll_to_top()
        self._do_after()

    def _do_after(self) -> None:
        do, self._after = self._after, None
        if do is not None:
            QTimer.singleShot(0, self, do)

    # -- what is seen ------------------------------------------------------------------

    @Slot()
    def _follow(self) -> None:
        running, busy = self.run.running, self.work.busy or self.run.running
        was_at_stop = self.actions_row.stop.hasFocus()
        self.manifest.setEnabled(not running)
        self.options.setEnabled(not running)
        self.actions_row.follow(self._checked, self.model, ran=self._ran, busy=busy)
        self.actions_row.follow_run(running=running, stopping=self.run.stopping)
        self.body.setVisible(self._checked is not None)
        self.empty.setVisible(not self._looked_at)
        self.bar.setVisible(running or self._ran)
        fresh = not running and not self._ran
        self.said.setVisible(fresh)
        self.warnings.setVisible(fresh and bool(self.warnings.sentences))
        if was_at_stop and not running:
            self.actions_row.take_focus()

    @Slot()
    def _count(self) -> None:
        self.bar.show_counts(self.model.count)
        self.causes.show_causes(causes_of(self.model.rows))
        self.row.show_row(self.table.current)

    @Slot(object)
    def _open_row(self, row: FleetRow | None) -> None:
        if row is not None and row.launch_id:
            self.launchWanted.emit(row.launch_id)

    @Slot(str)
    def _show_cause(self, code: str) -> None:
        self.table.show_only(code)
        self.show_widget(self.table)

    def _say_nothing_selected(self) -> None:
        self.banner.show_message(
            Tone.WARN,
            self.tr("No launch is selected"),
            self.tr("Select some in the table (with Shift or Ctrl), or take the mark away."),
        )
        self.scroll_to_top()


def _count_of(error: ManifestInvalid | ManifestRefused) -> int:
    count = error.details.get("count")
    return count if isinstance(count, int) else len(error.problems)
