# SPDX-License-Identifier: Apache-2.0
"""The verdict on one signed document: its summary, and what each statement rests on."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from watchword.core.errors import ExitStatus

from ..widgets.banner import Banner
from ..widgets.escape import shown_line
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL, SMALL, TIGHT
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .evidence_service import Judged

if TYPE_CHECKING:
    from watchword.core.evidence.verdict import EvidenceVerdict, Finding

translate = QCoreApplication.translate
_CONTEXT = "EvidenceVerdict"
_BASES = {
    "recomputed": "Worked out again here",
    "PEK-signed": "Signed by the platform",
    "owner's word": "The owner's word",
}


class VerdictView(QWidget):
    """A banner in the verdict's tone, and the statements, folded away."""

    def __init__(self, judged: Judged, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.banner = Banner()
        self.findings = Foldable(self.tr("What it says, and what each statement rests on"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        column.addWidget(self.banner)
        column.addWidget(self.findings)
        self.findings.setVisible(judged.verdict is not None)
        name = shown_line(PurePath(judged.path).name)
        if judged.verdict is not None:
            self._show_verdict(name, judged.verdict)
        elif judged.error is not None:
            error = judged.error
            self.banner.show_message(
                Tone.BAD,
                self.tr("{name} is not verified: {why}").format(name=name, why=error.title),
                error.message,
                error.remedy,
                code=error.code,
                details=error.details,
            )

    def _show_verdict(self, name: str, verdict: EvidenceVerdict) -> None:
        sound = verdict.status is ExitStatus.OK and verdict.signer_known
        sentences = [*verdict.summary(), *verdict.warnings]
        if not verdict.signer_known:
            sentences.append(
                self.tr("Nobody vouches for its key: compare the fingerprint by another way.")
            )
        self.banner.show_message(
            Tone.OK if sound and not verdict.predicate.simulated else Tone.WARN,
            self.tr("{name} is verified").format(name=name),
            "\n".join(sentences),
            self.tr("Signed by the key {signer}").format(signer=verdict.opened.fingerprint),
        )
        grid = QGridLayout()
        grid.setHorizontalSpacing(NORMAL)
        grid.setVerticalSpacing(SMALL)
        grid.setColumnStretch(2, 1)
        for row, finding in enumerate(verdict.findings):
            self._add(grid, row, finding)
        self.findings.body.addLayout(grid)

    def _add(self, grid: QGridLayout, row: int, finding: Finding) -> None:
        words = _BASES.get(finding.basis.value, finding.basis.value)
        top = Qt.AlignmentFlag.AlignTop
        basis = TextLabel(translate(_CONTEXT, words), quiet=True)
        subject = TextLabel(finding.subject, bold=True)
        for column, label in enumerate((basis, subject)):
            label.setWordWrap(False)
            grid.addWidget(label, row, column, top)
        grid.addWidget(TextLabel(finding.text), row, 2, top)
