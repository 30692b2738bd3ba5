# SPDX-License-Identifier: Apache-2.0
"""*Start it for me*: the host is told to start the VM, by a press of a button and never twice."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QWidget

from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from .flow import Situation
from .recorded_run import RecordedRun


class StartForMe(Section):
    """``wanted`` comes once for each launch that is prepared; hidden where nobody can be told."""

    wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("Who starts the VM"), "", parent)
        words = self.tr(
            "This host can be told to start it: paused, with this launch's own keys, and all else"
            " as it is defined there. Or the operator does it; Watchword finds it either way."
        )
        self.body.addWidget(TextLabel(words, quiet=True))
        self.start = QPushButton(self.tr("&Start it for me"))
        self.start.setProperty("primary", True)
        self.start.setAutoDefault(False)
        self.start.clicked.connect(self._press)
        self.body.addWidget(self.start, 0, Qt.AlignmentFlag.AlignLeft)
        self.hide()

    def _press(self) -> None:
        self.start.setEnabled(False)  # at once: a second press must not reach anybody
        self.wanted.emit()

    def follow(self, now: Situation, run: RecordedRun | None) -> None:
        """Offer it while the VM is not there, and nobody was told to start it."""
        there = run is not None and run.can_be_started
        self.setVisible(there and not now.over and not now.launch.status("start").settled)
        told = run is not None and run.told_to_start
        self.start.setEnabled(there and not (told and now.at_work))
