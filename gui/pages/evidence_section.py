# SPDX-License-Identifier: Apache-2.0
"""Signed documents on the ledger's page: yours to save and redact, anybody's to check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QWidget

from watchword.core.errors import WatchwordError

from ..bridge import Bridge
from ..evidence_documents import EvidenceForm
from ..evidence_files import pdf_of
from ..vault_gate import VaultGate
from ..widgets.banner import Banner
from ..widgets.copy_button import CopyButton
from ..widgets.explained import Explained
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL, SMALL
from ..widgets.hex_text import HexText
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .evidence_dialogs import CheckDialog, OpenDialog, RedactDialog
from .evidence_service import EvidenceService, Judged
from .ledger_save import SaveDialog
from .page_dialogs import PageDialogs
from .page_work import PageWork
from .vault_entries import shown_time

if TYPE_CHECKING:
    from watchword.core.evidence.store import StoredEvidence

_MOST_SHOWN = 200


class EvidenceSection(Foldable):
    """``refresh`` once it is unfolded; what it does goes over the page's own work."""

    def __init__(
        self,
        bridge: Bridge,
        service: EvidenceService,
        work: PageWork,
        dialogs: PageDialogs,
        parent: QWidget,
    ) -> None:
        super().__init__(self.tr("Evidence: signed documents of what was verified"), parent)
        self._service = service
        self._work = work
        self._dialogs = dialogs
        self._documents: tuple[StoredEvidence, ...] = ()
        self.banner = Banner()
        self.gate = None if service.vaults is None else VaultGate(bridge, service.vaults, self)
        self.documents = QComboBox()
        self.documents.setAccessibleName(self.tr("Document in your records"))
        self.documents.setMinimumContentsLength(30)
        self.documents.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.none = TextLabel(self.tr("None yet: a launch makes one when it ends."), quiet=True)
        self.saving = self._button(self.tr("Sa&ve…"), self._ask_file)
        self.redacting = self._button(self.tr("Save with&out names…"), self._ask_redacted)
        self.checking = self._button(self.tr("Check &documents…"), self._ask_documents)
        self.opening = self._button(self.tr("Show what was &taken out…"), self._ask_salts)
        self.signing = self._button(self.tr("Show my signing &key"), self._ask_signer)
        self._signer = HexText("", self.tr("Fingerprint of your signing key"))
        self.copying = CopyButton("", self.tr("fingerprint of your signing key"))
        self._lay_out()
        self.toggled.connect(self.refresh)
        self.documents.activated.connect(lambda _index: self.banner.clear())
        if self.gate is not None:
            self.gate.refused.connect(self.banner.show_error)
        work.busyChanged.connect(self._follow_work)

    def _button(self, words: str, do: Callable[[], object]) -> QPushButton:
        button = QPushButton(words)
        button.setAutoDefault(True)
        button.clicked.connect(lambda _checked=False: do())
        return button

    def _lay_out(self) -> None:
        self.body.setSpacing(NORMAL)
        self.body.addWidget(self.banner)
        self.body.addWidget(TextLabel(self.tr("In your records"), bold=True))
        self.body.addWidget(self.none)
        self._own = QWidget()
        own = self._row(self.documents, self.saving, self.redacting)
        own.setStretch(0, 1)
        self._own.setLayout(own)
        self.body.addWidget(self._own)
        self.body.addWidget(TextLabel(self.tr("From anybody"), bold=True))
        anybody = self._row(self.checking, self.opening)
        anybody.addStretch(1)
        self.body.addLayout(anybody)
        key = self._row(Explained("fingerprint", self.tr("Your signing key")), self.signing)
        key.addStretch(1)
        self.body.addLayout(key)
        self._key_row = QWidget()
        shown = self._row(self._signer, self.copying)
        shown.setStretch(0, 1)
        self._key_row.setLayout(shown)
        self._key_row.hide()
        self.body.addWidget(self._key_row)

    def _row(self, *widgets: QWidget) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SMALL)
        for widget in widgets:
            row.addWidget(widget)
        return row

    # -- what is there -----------------------------------------------------------------

    @Slot()
    def refresh(self) -> None:
        """Look at the documents again."""
        if self.opened:
            words = self.tr("Looking at the documents…")
            self._work.start(words, self._service.documents, self._show, can_cancel=True)

    def _show(self, found: Sequence[StoredEvidence]) -> None:
        chosen = self.chosen
        self._documents = tuple(found[:_MOST_SHOWN])
        self.documents.clear()
        for document in self._documents:
            words = f"{document.number} · {document.launch_id} · {shown_time(document.made)}"
            self.documents.addItem(words, str(document.number))
        self.documents.setCurrentIndex(max(0, self.documents.findData(chosen)))
        self.none.setVisible(not found)
        self._own.setVisible(bool(found))

    @property
    def chosen(self) -> str:
        """The number of the document that is chosen; empty for none."""
        return str(self.documents.currentData() or "")

    @Slot(bool)
    def _follow_work(self, busy: bool) -> None:
        for button in (self.saving, self.redacting, self.signing):
            button.setEnabled(not busy)

    # -- your own ------------------------------------------------------------------------

    def _ask_file(self) -> None:
        name = self.chosen
        dialog = SaveDialog(
            self.tr("Save the evidence"),
            self.tr("A file that ends in .html or .pdf is a page to read; else the document."),
            self,
        )

        def save() -> None:
            path = dialog.file.path
            call = partial(self._content_for, name, path)
            self._dialogs.do(self.tr("Saving…"), call, write, stay=True)

        def write(content: tuple[str, bytes]) -> None:
            path, data = content
            data = pdf_of(data) if _form_of(path) is EvidenceForm.PDF else data
            call = partial(self._service.write, path, data)
            self._dialogs.do(self.tr("Saving…"), call, lambda _: self._say_saved(path))

        dialog.agreed.connect(save)
        self._dialogs.open(dialog)

    def _content_for(self, name: str, path: str) -> tuple[str, bytes]:
        plain = _form_of(path) is EvidenceForm.JSON
        return path, self._service.envelope(name) if plain else self._service.page(name)

    def _say_saved(self, path: str, more: str = "") -> None:
        self.banner.show_message(Tone.OK, self.tr("The evidence is saved"), path, more)

    def _ask_redacted(self) -> None:
        self._with_vault(self._open_redacting)

    def _open_redacting(self) -> None:
        name, dialog = self.chosen, RedactDialog(self)

        def redact() -> None:
            path = dialog.file.path
            call = partial(self._service.redact, name, path, dialog.salts.path)
            kept = self.tr("What opens its commitments is in {path}: keep it to yourself.")

            def say(salts: Path) -> None:
                self._say_saved(path, kept.format(path=salts))

            self._dialogs.do(self.tr("Taking the names out…"), call, say)

        dialog.agreed.connect(redact)
        self._dialogs.open(dialog)

    def _with_vault(self, then: Callable[[], object]) -> None:
        if self.gate is None:
            then()
        else:
            self.gate.open_then(then)

    def _ask_signer(self) -> None:
        self._with_vault(partial(self._look_for_signer, new=False))

    def _look_for_signer(self, *, new: bool) -> None:
        def failed(error: WatchwordError) -> None:
            self.banner.show_error(error)
            if error.code == "no-signing-key":
                self.banner.add_action(
                    self.tr("&Make it now"), partial(self._look_for_signer, new=True)
                )

        self.banner.clear()
        call = partial(self._service.signer, new=new)
        words = self.tr("Looking for your signing key…")
        self._work.start(words, call, self._show_signer, failed=failed)

    def _show_signer(self, fingerprint: str) -> None:
        self._signer.show_digits(fingerprint)
        self.copying.set_text_to_copy(fingerprint)
        self._key_row.show()

    # -- anybody's -------------------------------------------------------------------------

    def _ask_documents(self) -> None:
        dialog = CheckDialog(self)

        def check() -> None:
            def show(found: Sequence[Judged]) -> None:
                if dialog is self._dialogs.dialog:
                    dialog.show_verdicts(found)

            call = partial(self._service.check, dialog.paths, dialog.trusting)
            words = self.tr("Working everything out again…")
            self._dialogs.do(words, call, show, stay=True)

        dialog.agreed.connect(check)
        self._dialogs.open(dialog)

    def _ask_salts(self) -> None:
        dialog = OpenDialog(self)

        def look() -> None:
            def show(found: Sequence[tuple[str, str]]) -> None:
                if dialog is self._dialogs.dialog:
                    dialog.show_texts(found)

            call = partial(self._service.opened_texts, dialog.file.path, dialog.salts.path)
            self._dialogs.do(self.tr("Holding them against it…"), call, show, stay=True)

        dialog.agreed.connect(look)
        self._dialogs.open(dialog)


def _form_of(path: str) -> EvidenceForm:
    return {
        ".html": EvidenceForm.HTML,
        ".htm": EvidenceForm.HTML,
        ".pdf": EvidenceForm.PDF,
    }.get(Path(path).suffix.lower(), EvidenceForm.JSON)
