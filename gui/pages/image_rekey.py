# SPDX-License-Identifier: Apache-2.0
"""Another boot key for an image that there is: in the image and in the vault together."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QCheckBox, QPushButton, QWidget

from watchword.core.image.rekey import RekeyedImage

from ..bridge import Bridge, Job, Report
from ..image_service import ImageService, Rekeying
from ..vault_gate import VaultGate
from ..widgets.findings import Findings
from ..widgets.state_badge import Look
from ..widgets.tones import Tone
from .confirm_dialog import ConfirmDialog
from .guests_fields import Field
from .image_fold import ImageFold


class ImageRekey(ImageFold):
    """Asks before it begins; from then on it goes to its end, and is taken up again if it can't."""

    busyChanged = Signal(bool)

    def __init__(
        self, bridge: Bridge, service: ImageService, gate: VaultGate, parent: QWidget | None = None
    ) -> None:
        super().__init__(bridge, service, gate, parent)
        self._entitle(
            self.tr("Give an image another boot key…"),
            self.tr("The image, which nobody uses now"),
        )
        self._job: Job | None = None
        self.dialog: ConfirmDialog | None = None
        self.recovery = self._line()
        self.leave_initrd = QCheckBox(
            self.tr("Go on although an initrd in it has the old key: it is never started from that")
        )
        self.beginning = QPushButton(self.tr("Replace the key…"))
        self.beginning.setAutoDefault(True)
        self.beginning.clicked.connect(self.ask)
        self._inputs = (self.beginning, self.file, self.entry, self.recovery, self.leave_initrd)
        self.findings = Findings()
        self.findings.hide()
        self._lay_out()

    def _lay_out(self) -> None:
        self.key = Field(
            self.tr("The vault's entry with its boot key"),
            self.entry,
            hint=self.tr("Such as web1/disk; the new key gets this name."),
        )
        spare = Field(
            self.tr("The entry with its recovery key (optional)"),
            self.recovery,
            hint=self.tr("It is tried before and after; else the one that the ledger names."),
        )
        for part in (self.file, self.key, spare, self.leave_initrd):
            self.body.addWidget(part)
        self.body.addWidget(self.beginning, 0, Qt.AlignmentFlag.AlignLeft)
        for widget in (self.line, self.banner, self.findings):
            self.body.addWidget(widget)

    @property
    def busy(self) -> bool:
        """Whether it is under way."""
        return self._job is not None

    # -- asking and doing --------------------------------------------------------------

    @Slot()
    def ask(self) -> None:
        """Say what it means, and begin once the owner agrees."""
        self.file.set_problem("" if self.file.path else self.tr("Name an image."))
        missing = "" if self.entry.text().strip() else self.tr("Name an entry of the vault.")
        self.key.set_problem(missing)
        if not self.file.path or missing or self._job is not None:
            return
        words = self.tr(
            "The image and the vault get a new key, and the old one opens it no more. Copies of the"
            " image from before still open with the old key: destroy them. Launches that were"
            " sealed before carry the old key, and don't unlock it any more."
        )
        title, button = self.tr("Replace the boot key?"), self.tr("&Replace it")
        dialog = self.dialog = ConfirmDialog(title, words, button, self)
        dialog.agreed.connect(self._agree)
        dialog.open()

    @Slot()
    def _agree(self) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.accept()
        self._gate.open_then(self._begin)

    def _begin(self) -> None:
        if self._job is not None:
            return
        wanted = Rekeying(
            path=self.file.path,
            entry=self.entry.text().strip(),
            recovery=self.recovery.text().strip(),
            leave_initrd=self.leave_initrd.isChecked(),
        )

        async def work(report: Report) -> RekeyedImage:
            return await self._service.rekey(wanted, report)

        self.findings.hide()
        self._wait(self.tr("Trying the keys, and making a new one…"))
        self._job = self._bridge.submit(work)
        self._job.progress.connect(self._show_point)
        self._job.succeeded.connect(self._show_done)
        self._job.failed.connect(self._show_error)
        self._job.finished.connect(self._end)
        self.busyChanged.emit(True)

    @Slot(object)
    def _show_point(self, point: object) -> None:
        words = {
            "new-key-in-vault": self.tr("The new key is in the vault; giving it a key slot…"),
            "slot-added": self.tr("The image opens with both keys; writing it into the root…"),
            "key-file-written": self.tr("The new key is inside; exchanging it in the vault…"),
            "vault-exchanged": self.tr("The vault has exchanged them; removing the old slot…"),
        }.get(str(point))
        if words is not None:
            self.line.say(words)

    @Slot()
    def _end(self) -> None:
        self._job = None
        self.busyChanged.emit(False)
        self._rest()

    # -- what came of it ---------------------------------------------------------------

    @Slot(object)
    def _show_error(self, error: object) -> None:
        """At every moment the image opens with what the vault has; that is said too."""
        super()._show_error(error)
        words = self.tr(
            "Whatever happened on the way, the image opens with what the vault has. Begin again,"
            " and it goes on where it was."
        )
        self._say([(Look("info", self.tr("Note"), Tone.NEUTRAL), words)])

    @Slot(object)
    def _show_done(self, found: object) -> None:
        done = cast("RekeyedImage", found)
        title = self.tr("The image opens with the new key of {entry}").format(entry=done.entry)
        slot = self.tr("It is in slot {n}; the old key opens nothing any more.")
        self.banner.show_message(Tone.OK, title, slot.format(n=done.added_slot))
        good = Look("ok", self.tr("Done"), Tone.OK)
        note = Look("warn", self.tr("Note"), Tone.WARN)
        inside = self.tr("Replaced inside: {path}")
        rows = [(good, inside.format(path=path)) for path in done.files]
        rows += [(note, text) for text in self._notes(done)]
        self._say(rows)

    def _notes(self, done: RekeyedImage) -> list[str]:
        notes = []
        if done.recovery_slot is None:
            notes.append(self.tr("No recovery key was tried: name it, or look into the image."))
        if done.other_fast_slots:
            numbers = ", ".join(map(str, done.other_fast_slots))
            words = self.tr("Slot {n} is for a random key too, and nobody here knows whose.")
            notes.append(words.format(n=numbers))
        if done.mounted and done.files:
            notes.append(
                self.tr(
                    "The guest has run since the image was built. If it has made its initrd anew,"
                    " and starts from a file that was not replaced, it asks for a passphrase."
                )
            )
        notes.append(
            self.tr(
                "Copies of the image from before still open with the old key: destroy them. Start"
                " new launches in place of those that were sealed before."
            )
        )
        return [*notes, self._service.note] if self._service.note else notes

    def _say(self, rows: list[tuple[Look, str]]) -> None:
        self.findings.show_rows(rows)
        self.findings.show()
