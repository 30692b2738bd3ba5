# SPDX-License-Identifier: Apache-2.0
"""The ways out of a mismatch as buttons: each begins another launch, and none accepts this one."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from ..widgets.escape import button_text
from ..widgets.fonts import SMALL
from .remedies import Remedy


class RemedyPanel(QWidget):
    """``chosen`` comes with a Remedy."""

    chosen = Signal(object)

    def __init__(self, found: list[Remedy], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        self.buttons: list[QPushButton] = []
        for remedy in found:
            button = QPushButton(self._label(remedy))
            button.setAutoDefault(False)
            button.clicked.connect(lambda _=False, remedy=remedy: self.chosen.emit(remedy))
            column.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
            self.buttons.append(button)

    def _label(self, remedy: Remedy) -> str:
        if remedy.changes:
            words = self.tr(" and ").join(self._words(*one) for one in remedy.changes.items())
            # The dots say that nothing happens yet: the change is shown first.
            return button_text(self.tr("Start a new launch with {what}…").format(what=words))
        if remedy.instruction:
            return self.tr("Copy what the host has to change, and start a new launch")
        return self.tr("Start a new launch with another launch blob")

    def _words(self, key: str, value: object) -> str:
        if key == "vcpus":
            return self.tr("one vCPU") if value == 1 else self.tr("{n} vCPUs").format(n=value)
        if key == "sev_features" and isinstance(value, int):
            return self.tr("SEV features {value}").format(value=f"{value:#x}")
        words = {
            "cpu": self.tr("CPU {value}"),
            "vmsa": self.tr("{value} VMSA pages"),
            "firmware": self.tr("the firmware {value}"),
            "cmdline": self.tr("the host's spelling of the command line"),
        }
        shown = str(value).rpartition("/")[2] if key == "firmware" else str(value)
        return words.get(key, f"{key} {{value}}").format(value=shown)
