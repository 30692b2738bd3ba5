# SPDX-License-Identifier: Apache-2.0
"""What can be done about one launch: resume, status, stop, evidence, abandon."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final, cast

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from watchword.core.errors import WatchwordError
from watchword.core.launch.guest_status import GuestStatus
from watchword.core.launch.record import LaunchState
from watchword.core.launch.second_opinion import Opinion
from watchword.core.launch.store import LaunchSummary

from ..asking import ask, ask_async
from ..bridge import Bridge, Job
from ..evidence_documents import EvidenceForm
from ..evidence_files import pdf_of, save_bytes
from ..launch_service import LaunchService
from ..second_opinion_files import opinions_on
from ..vault_gate import VaultGate
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.folders import remembered
from ..widgets.fonts import SMALL
from ..widgets.hex_text import grouped_hex
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .opinion_dialog import OpinionDialog
from .page_dialog import PageDialog

_STARTED: Final = (LaunchState.HANDED_OVER, LaunchState.RUNNING, LaunchState.STOPPED)
_ENDED: Final = (*_STARTED, LaunchState.REFUSED)


def may_resume(summary: LaunchSummary) -> bool:
    """Whether something is left to be done."""
    return summary.is_open


def may_look(summary: LaunchSummary) -> bool:
    """Whether there is a guest to ask for."""
    return summary.state in _STARTED


class AbandonDialog(PageDialog):
    """A reason has to be typed; it goes into the ledger."""

    def __init__(self, launch_id: str, parent: QWidget) -> None:
        super().__init__(
            self.tr("Abandon this launch?"),
            self.tr(
                "The keys of {launch} are erased for good, and nothing is sent for it any more. A"
                " VM that was started with its files can never get its secret."
            ).format(launch=launch_id),
            self.tr("&Abandon"),
            parent,
        )
        label = QLabel(self.tr("&Reason, for the ledger"))
        self.reason = QLineEdit()
        self.reason.setAccessibleName(self.tr("Reason, for the ledger"))
        self.reason.setMaxLength(500)
        label.setBuddy(self.reason)
        self.reason.textChanged.connect(lambda text: self.set_allowed(bool(text.strip())))
        self.body.addWidget(label)
        self.body.addWidget(self.reason)
        self.set_allowed(False)


class LaunchActions(QWidget):
    """``resumed`` comes with the summary, ``changed`` once a launch is another than before."""

    resumed = Signal(object)
    changed = Signal()

    def __init__(
        self, bridge: Bridge, service: LaunchService, banner: Banner, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._service = service
        self._banner = banner
        self._summary: LaunchSummary | None = None
        self._job: Job | None = None
        self.dialog: AbandonDialog | None = None
        self.gate = VaultGate(bridge, service.vaults, self)
        self.gate.refused.connect(self._fail)
        self.line = BusyLine()
        self.line.cancelled.connect(self._cancel)
        self.named = TextLabel(quiet=True)
        self.named.setWordWrap(False)
        self.resume = self._button(self.tr("&Resume"), self._resume)
        self.resume.setProperty("primary", True)
        self.status = self._button(self.tr("&Status"), self._ask_status)
        self.stop = self._button(self.tr("Sto&p the guest"), self._stop)
        self.evidence = QPushButton(self.tr("&Evidence"))
        self.evidence.setMenu(self._evidence_menu())
        self.abandon = self._button(self.tr("Abandon…"), self._ask_reason)
        self._lay_out()
        self.show_summary(None)

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SMALL)
        for button in (self.resume, self.status, self.evidence):
            row.addWidget(button)
        row.addStretch(1)
        for button in (self.stop, self.abandon):
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        column.addWidget(self.line)
        column.addWidget(self.named)
        column.addLayout(row)

    def _button(self, words: str, do: Callable[[], object]) -> QPushButton:
        button = QPushButton(words)
        button.setAutoDefault(True)
        button.clicked.connect(lambda _checked=False: do())
        return button

    def _evidence_menu(self) -> QMenu:
        menu = QMenu(self)
        for form, words in (
            (EvidenceForm.JSON, self.tr("Save the signed &document…")),
            (EvidenceForm.HTML, self.tr("Save as &HTML, to read…")),
            (EvidenceForm.PDF, self.tr("Save as &PDF, to print…")),
        ):
            menu.addAction(words).triggered.connect(partial(self.choose_file, form))
        menu.addAction(self.tr("&Check it with other tools…")).triggered.connect(self.doubt)
        return menu

    # -- which launch ----------------------------------------------------------------

    def show_summary(self, summary: LaunchSummary | None) -> None:
        """The launch that is chosen; what can't be done with it is not offered."""
        self._summary = summary
        self.setVisible(summary is not None)
        if summary is None:
            return
        self.named.say(summary.id)
        busy = self._job is not None
        for button, possible in (
            (self.resume, may_resume(summary)),
            (self.status, may_look(summary)),
            (self.stop, summary.state in (LaunchState.RUNNING, LaunchState.HANDED_OVER)),
            (self.evidence, summary.state in _ENDED),
            (self.abandon, summary.is_open),
        ):
            button.setVisible(possible)
            button.setEnabled(not busy)

    def _resume(self) -> None:
        if self._summary is not None:
            self.resumed.emit(self._summary)

    # -- asking the desk ---------------------------------------------------------------

    def _ask_status(self) -> None:
        summary = self._summary
        if summary is not None:
            words = self.tr("Asking for the guest, and for a report that its processor signs…")
            work = partial(self._service.status, summary.id)
            self.gate.open_then(lambda: self._do(words, work, self._show_status))

    def _stop(self) -> None:
        summary = self._summary
        if summary is not None:
            words = self.tr("Having the host pause the guest…")
            work = partial(self._service.stop, summary.id)
            self.gate.open_then(
                lambda: self._do(words, work, self._show_stopped, self._tell_unknown)
            )

    def _ask_reason(self) -> None:
        summary = self._summary
        if summary is None:
            return
        dialog = self.dialog = AbandonDialog(summary.id, self)
        dialog.agreed.connect(partial(self._abandon, dialog, summary.id))
        dialog.finished.connect(self._forget_dialog)
        dialog.open()

    def _abandon(self, dialog: AbandonDialog, launch_id: str) -> None:
        reason = dialog.reason.text().strip()
        dialog.accept()
        work = partial(self._service.abandon, launch_id, reason)
        words = self.tr("Erasing its keys…")
        self.gate.open_then(lambda: self._do(words, work, self._show_abandoned))

    def _forget_dialog(self) -> None:
        self.dialog = None

    def _do(
        self,
        words: str,
        work: Callable[[], Coroutine[object, object, object]],
        then: Callable[[object], object],
        cancelled: Callable[[], object] | None = None,
    ) -> None:
        if self._job is not None:
            return
        self._banner.clear()
        self.line.begin(words)
        self._job = ask_async(self._bridge, self, work, then, self._fail)
        if cancelled is not None:
            self._job.cancelled.connect(cancelled)
        self._job.finished.connect(self._end)
        self.show_summary(self._summary)

    @Slot()
    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()

    @Slot()
    def _end(self) -> None:
        self._job = None
        self.line.end()
        self.show_summary(self._summary)
        self.changed.emit()

    # -- what came of it -----------------------------------------------------------------

    def _fail(self, error: object) -> None:
        self._banner.show_error(cast("WatchwordError", error))

    def _show_status(self, found: object) -> None:
        status = cast("GuestStatus", found)
        runs = self.tr("running") if status.state.running else self.tr("paused")
        digest = status.confirmation.digest
        if digest is None:
            self._banner.show_message(
                Tone.WARN,
                self.tr("The host says: {state}. Its processor has not confirmed it").format(
                    state=runs
                ),
                status.note,
                self.tr("The host's word alone proves nothing."),
            )
            return
        message = self.tr(
            "A fresh report that the processor signed names an approved launch. That it is {state}"
            " at this moment is the host's word."
        ).format(state=runs)
        if not status.recomputed:
            message += " " + self.tr(
                "It was compared with the recorded digest: an approved file has changed since."
            )
        self._banner.show_message(
            Tone.OK,
            self.tr("The guest is the one you launched, confirmed just now"),
            message,
            self.tr("Launch digest: {digest}").format(digest=grouped_hex(digest.hex())),
        )

    def _show_stopped(self, _nothing: object) -> None:
        self._banner.show_message(Tone.INFO, self.tr("The host says that the guest is paused"))

    @Slot()
    def _tell_unknown(self) -> None:
        self._banner.show_message(
            Tone.WARN,
            self.tr("It is not known whether the guest was paused"),
            self.tr("The host may have heard the order before you cancelled."),
            self.tr("Ask for its status."),
        )

    def _show_abandoned(self, _nothing: object) -> None:
        self._banner.show_message(
            Tone.INFO,
            self.tr("The launch is abandoned, and its keys are erased"),
            self.tr("Copies of the vault that were made before still hold them."),
        )

    def tell_note(self, note: str) -> None:
        """What the keyring did not do; the launches are recorded all the same."""
        self._banner.show_message(
            Tone.WARN,
            self.tr("The keyring did not take note of the newest state"),
            note,
            self.tr("The launches are recorded; an older copy may go unnoticed until then."),
        )

    # -- evidence ------------------------------------------------------------------------

    def choose_file(self, form: EvidenceForm) -> QFileDialog | None:
        """Ask where the evidence is to be kept."""
        summary = self._summary
        if summary is None:
            return None
        dialog = QFileDialog(self, self.tr("Save the evidence"), remembered["evidence"])
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.selectFile(f"{summary.id}-evidence{form.ending}")
        dialog.fileSelected.connect(partial(self.keep_evidence, summary.id, form))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        return dialog

    def keep_evidence(self, launch_id: str, form: EvidenceForm, path: str) -> None:
        """Write a launch's newest document to where the owner wants it."""

        def write(found: object) -> None:
            data = cast("bytes", found)
            content = pdf_of(data) if form is EvidenceForm.PDF else data
            remembered.remember("evidence", path)
            ask(self._bridge, self, lambda: save_bytes(path, content), saved, self._fail)

        def saved(_nothing: object) -> None:
            self._banner.show_message(Tone.OK, self.tr("The evidence is saved"), path)

        call = partial(self._service.evidence, launch_id, form)
        ask(self._bridge, self, call, write, self._fail)

    @Slot()
    def doubt(self) -> None:
        """Show how others' tools check each step of the chosen launch."""
        summary = self._summary
        if summary is None:
            return

        def show(found: object) -> None:
            opinions = cast("tuple[Opinion, ...]", found)
            dialog = OpinionDialog(self._bridge, summary.id, opinions, self)
            dialog.open()

        ask(self._bridge, self, partial(opinions_on, summary.id), show, self._fail)
