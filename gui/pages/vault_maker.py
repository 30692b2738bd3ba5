# SPDX-License-Identifier: Apache-2.0
"""Where a vault is made, or a copy of one is put in its place."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from watchword.core.vault.header import OpenWith

from ..widgets.fonts import SMALL
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from .vault_given import Given
from .vault_way_chooser import WayChooser


class VaultMaker(Section):
    """``wanted`` once a way is chosen, which :meth:`take` hands out; ``restoreWanted`` instead."""

    wanted = Signal()
    restoreWanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", "", parent)
        self.setAccessibleName(self.tr("Make a vault"))
        self.body.addWidget(TextLabel(self.tr("How shall it open?"), size=1.1, bold=True))
        self.chooser = WayChooser(new=True)
        self.choices, self.passphrase = self.chooser.choices, self.chooser.passphrase
        self.chooser.changed.connect(self._show)
        self.body.addWidget(self.chooser)
        self.button = QPushButton(self.tr("&Make the vault"))
        self.button.setAutoDefault(True)
        self.button.setProperty("primary", True)
        self.button.clicked.connect(self.wanted)
        self.restoring = QPushButton(self.tr("&Restore a copy instead…"))
        self.restoring.setAutoDefault(True)
        self.restoring.clicked.connect(self.restoreWanted)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.button)
        row.addWidget(self.restoring)
        row.addStretch(1)
        self.body.addSpacing(SMALL)
        self.body.addLayout(row)
        self._busy = False
        self._show()

    @property
    def chosen(self) -> OpenWith | None:
        """The way that is chosen; None before anybody chose."""
        return self.chooser.chosen

    def take(self) -> Given:
        """What was chosen, for the caller to wipe."""
        return self.chooser.take()

    def set_busy(self, busy: bool) -> None:
        """Whether something is under way."""
        self._busy = busy
        self._show()

    def _show(self) -> None:
        self.button.setEnabled(self.chooser.complete and not self._busy)
        self.restoring.setEnabled(not self._busy)
