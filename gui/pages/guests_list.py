# SPDX-License-Identifier: Apache-2.0
"""All guest profiles, one card each: name, host, and whether it can be launched."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ..widgets.empty_state import EmptyState
from ..widgets.fonts import NORMAL, SMALL
from ..widgets.layouts import empty_out
from ..widgets.section import Section
from ..widgets.state_badge import StateBadge
from ..widgets.text_label import TextLabel
from .guests_service import Guest, Verdict
from .guests_words import technology_name, verdict_look, verdict_sentence


class GuestCard(Section):
    """One profile."""

    chosen = Signal()

    def __init__(self, guest: Guest, parent: QWidget | None = None) -> None:
        super().__init__("", "", parent)
        self.guest = guest
        self.setAccessibleName(guest.name)
        about = QVBoxLayout()
        about.setSpacing(0)
        about.addWidget(TextLabel(guest.name, bold=True))
        about.addWidget(TextLabel(self._about(), quiet=True))
        if guest.verdict is not Verdict.GO:
            about.addSpacing(SMALL)
            about.addWidget(TextLabel(verdict_sentence(guest)))
        self.button = QPushButton(self.tr("Show"))
        self.button.setAutoDefault(True)
        look = verdict_look(guest.verdict)
        name = self.tr("Show {guest}, {verdict}").format(guest=guest.name, verdict=look.word)
        self.button.setAccessibleName(name)
        self.button.clicked.connect(self.chosen)
        row = QHBoxLayout()
        row.setSpacing(NORMAL)
        row.addLayout(about, 1)
        row.addWidget(StateBadge(look), 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignTop)
        self.body.addLayout(row)

    def _about(self) -> str:
        profile = self.guest.profile
        if profile is None:
            return self.guest.error.message if self.guest.error is not None else ""
        host = profile.host or self.tr("no host stated")
        parts = (technology_name(profile), host, profile.description)
        return " · ".join(part for part in parts if part)


class GuestList(QWidget):
    """``chosen`` comes with a Guest; the other signals ask for a new one."""

    chosen = Signal(object)
    newWanted = Signal()
    importWanted = Signal()
    buildWanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cards: list[GuestCard] = []
        self.new = QPushButton(self.tr("&New guest…"))
        self.new.setProperty("primary", True)
        self.new.setAutoDefault(True)
        self.new.clicked.connect(self.newWanted)
        self.taking = QPushButton(self.tr("&Import…"))
        self.taking.setAutoDefault(True)
        self.taking.clicked.connect(self.importWanted)
        self.building = QPushButton(self.tr("&Build an encrypted image…"))
        self.building.setAutoDefault(True)
        self.building.clicked.connect(self.buildWanted)
        self.empty = EmptyState(
            "guests",
            self.tr("No guests yet"),
            self.tr(
                "A profile says what you agreed should run: firmware, policy, host, and which"
                " secrets the guest may have. Every launch is checked against it."
            ),
        )
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.new)
        row.addWidget(self.taking)
        row.addWidget(self.building)
        row.addStretch(1)
        self._column = QVBoxLayout()
        self._column.setSpacing(NORMAL)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        column.addLayout(row)
        column.addLayout(self._column)
        column.addWidget(self.empty)

    def show_guests(self, guests: Sequence[Guest]) -> None:
        """Show these in place of those before."""
        empty_out(self._column)
        self.cards = []
        for guest in guests:
            card = GuestCard(guest)
            card.chosen.connect(lambda one=guest: self.chosen.emit(one))
            self.cards.append(card)
            self._column.addWidget(card)
        self.empty.setVisible(not guests)
