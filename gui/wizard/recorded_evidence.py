# SPDX-License-Identifier: Apache-2.0
"""The page *Evidence* of a recorded launch: what was proven, to be kept as a file."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from watchword.core.sev.session import LaunchMaterial

from ..evidence_documents import EvidenceForm
from ..widgets.folders import remembered
from ..widgets.fonts import SMALL
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from .evidence import EvidencePage
from .exchange_panel import ExchangePanel, awaited
from .flow import Situation


class EvidencePanel(Section):
    """``wanted`` comes with a form and a path, ``ledgerWanted`` for this launch's entry."""

    wanted = Signal(object, str)
    ledgerWanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("Keep the evidence"), "", parent)
        words = self.tr(
            "A document that you signed: anybody can check it without you. There is no secret in"
            " it. The launch and its end stand in the ledger as well."
        )
        self.body.addWidget(TextLabel(words, quiet=True))
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        self.buttons: dict[EvidenceForm, QPushButton] = {}
        for form, label in (
            (EvidenceForm.JSON, self.tr("Save the &evidence…")),
            (EvidenceForm.HTML, self.tr("Save as &HTML…")),
            (EvidenceForm.PDF, self.tr("Save as &PDF…")),
        ):
            button = QPushButton(label)
            button.setAutoDefault(True)
            button.clicked.connect(lambda _=False, form=form: self.choose(form))
            self.buttons[form] = button
            row.addWidget(button)
        row.addStretch(1)
        self.body.addLayout(row)
        self.ledger = QPushButton(self.tr("&Open the ledger entry"))
        self.ledger.setAutoDefault(True)
        self.ledger.clicked.connect(self.ledgerWanted)
        self.body.addWidget(self.ledger, 0, Qt.AlignmentFlag.AlignLeft)
        self.saved = TextLabel(quiet=True)
        self.saved.hide()
        self.body.addWidget(self.saved)
        self.name = ""

    def show_saved(self, path: str) -> None:
        """It is there."""
        self.saved.say(self.tr("Saved: {path}").format(path=path))
        self.saved.show()

    def choose(self, form: EvidenceForm) -> QFileDialog:
        """Ask where it is to be kept."""
        dialog = QFileDialog(self, self.tr("Save the evidence"), remembered["evidence"])
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.selectFile(f"{self.name}{form.ending}")
        dialog.fileSelected.connect(lambda path: self.wanted.emit(form, path))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        return dialog


class RecordedEvidencePage(EvidencePage):
    """The end of a recorded launch."""

    def __init__(self) -> None:
        super().__init__()
        self.exchange = ExchangePanel()
        self.keeping = EvidencePanel()
        self.controls.addWidget(self.exchange)
        self.content.addWidget(self.keeping)

    def show_launch(self, now: Situation, material: LaunchMaterial | None) -> None:
        """As any page, and what may be kept once there is something."""
        super().show_launch(now, material)
        self.exchange.show_turn(awaited(now.launch, self.step))
        self.keeping.name = f"{now.launch.id}-evidence"
        self.keeping.setVisible(now.launch.status(self.step).settled)
