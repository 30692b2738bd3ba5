# SPDX-License-Identifier: Apache-2.0
"""The firmware that is installed on this machine, each image with GO or NO-GO and the reason."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from watchword.core.handover.firmware_descriptors import DescriptorVerdict, JudgedDescriptor

from ..widgets.empty_state import EmptyState
from ..widgets.escape import shown_line
from ..widgets.fonts import NORMAL
from ..widgets.section import Section
from ..widgets.state_badge import Look, StateBadge
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .page_dialog import PageDialog


class FirmwareDialog(PageDialog):
    """``chosen`` comes with the path of an image that is GO; the others only say why not."""

    chosen = Signal(str)

    def __init__(self, judged: Sequence[JudgedDescriptor], parent: QWidget) -> None:
        super().__init__(
            self.tr("Installed firmware"),
            self.tr(
                "What QEMU's descriptors name on this computer. GO: a secret can be handed to a"
                " guest with it."
            ),
            self.tr("Use"),
            parent,
        )
        self.agreeing.hide()
        self.refusing.setText(self.tr("Close"))
        self.uses: list[QPushButton] = []
        named = [one for one in judged if one.verdict is not DescriptorVerdict.OTHER]
        named.sort(key=lambda one: one.verdict is not DescriptorVerdict.GO)
        for one in named:
            self.body.addWidget(self._card(one))
        if not named:
            self.body.addWidget(
                EmptyState(
                    "search",
                    self.tr("None was found"),
                    self.tr(
                        "Install an OVMF package with an AmdSev image, or add the file that your"
                        " host uses."
                    ),
                )
            )

    def _card(self, one: JudgedDescriptor) -> Section:
        section = Section()
        path = one.descriptor.filename if one.descriptor is not None else str(one.path)
        section.setAccessibleName(shown_line(path))
        go = one.verdict is DescriptorVerdict.GO
        look = Look("ok", self.tr("GO"), Tone.OK) if go else Look("bad", "NO-GO", Tone.BAD)
        about = QVBoxLayout()
        about.setSpacing(0)
        about.addWidget(TextLabel(path, bold=True))
        if one.descriptor is not None and one.descriptor.description:
            about.addWidget(TextLabel(one.descriptor.description, quiet=True))
        for problem in one.problems[:3]:
            about.addWidget(TextLabel(problem, quiet=go))
        row = QHBoxLayout()
        row.setSpacing(NORMAL)
        row.addWidget(StateBadge(look), 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(about, 1)
        if go:
            row.addWidget(self._use(path), 0, Qt.AlignmentFlag.AlignTop)
        section.body.addLayout(row)
        return section

    def _use(self, path: str) -> QPushButton:
        button = QPushButton(self.tr("Use"))
        button.setAutoDefault(False)
        button.setAccessibleName(self.tr("Use {path}").format(path=shown_line(path)))
        button.clicked.connect(lambda: self._choose(path))
        self.uses.append(button)
        return button

    def _choose(self, path: str) -> None:
        self.chosen.emit(path)
        self.accept()
