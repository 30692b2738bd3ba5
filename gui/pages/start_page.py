# SPDX-License-Identifier: Apache-2.0
"""The first page: four ways to begin, and what one needs for them."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QPushButton, QWidget

from ..widgets.foldable import Foldable
from ..widgets.fonts import LARGE, NORMAL, WIDE
from ..widgets.page_frame import PageFrame
from ..widgets.text_label import TextLabel
from .choice_card import ChoiceCard

_CARDS_IN_A_ROW: Final = 2


class StartPage(PageFrame):
    """What is shown while there are no launches yet."""

    tryItNow = Signal()
    launchGuest = Signal()
    checkPlatform = Signal()
    buildImage = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(
            self.tr("How do you want to begin?"),
            self.tr(
                "Watchword starts your virtual machine on somebody else's server without trusting"
                " it: the disk secret leaves only after the machine has proved what it is."
            ),
            parent,
        )
        self.trying = ChoiceCard(
            "simulated",
            self.tr("Try it now"),
            self.tr("A whole launch on a simulated platform, in two minutes. You need nothing."),
            primary=True,
        )
        self.launching = ChoiceCard(
            "launches",
            self.tr("Launch a guest"),
            self.tr("Verify a real host, start your guest there and hand over its secret."),
        )
        self.checking = ChoiceCard(
            "platform",
            self.tr("Check a platform"),
            self.tr("Is this server's processor genuine? Its certificates tell."),
        )
        self.building = ChoiceCard(
            "locked",
            self.tr("Build an encrypted image"),
            self.tr("From a root file system to a locked disk, with its keys in your vault."),
        )
        self._lay_out()

    def _lay_out(self) -> None:
        cards = QGridLayout()
        cards.setSpacing(NORMAL)
        for number, (card, signal) in enumerate(
            (
                (self.trying, self.tryItNow),
                (self.launching, self.launchGuest),
                (self.checking, self.checkPlatform),
                (self.building, self.buildImage),
            )
        ):
            card.clicked.connect(signal)
            cards.addWidget(card, *divmod(number, _CARDS_IN_A_ROW))
        self.content.addLayout(cards)
        self.content.addSpacing(LARGE - NORMAL)
        self.needs = Foldable(self.tr("What you need for a real launch"))
        self.needs.toggled.connect(self._fill_needs)
        self.content.addWidget(self.needs)

    def _fill_needs(self) -> None:
        """Once it is asked for: the glossary takes a moment to load."""
        if self.needs.body.count():
            return
        from ..widgets.explained import Explained  # noqa: PLC0415 - see above

        grid = QGridLayout()
        grid.setHorizontalSpacing(WIDE)
        grid.setColumnStretch(1, 1)
        lines = (
            ("guest", self.tr("An encrypted disk image: what is secret lies in it, locked.")),
            ("firmware", self.tr("The firmware that starts it, an AmdSev build of OVMF.")),
            ("host", self.tr("A host with an AMD EPYC processor, with SEV or SEV-ES set up.")),
        )
        for number, (term, text) in enumerate(lines):
            grid.addWidget(Explained(term), number, 0)
            grid.addWidget(TextLabel(text), number, 1)
        self.build = QPushButton(self.tr("&Build one"))
        self.build.setAccessibleName(self.tr("Build an encrypted image, which you need"))
        self.build.setAutoDefault(True)
        self.build.clicked.connect(self.buildImage)
        grid.addWidget(self.build, 0, 2)
        self.needs.body.addLayout(grid)

    def widget(self) -> QWidget:
        """Itself."""
        return self

    def refresh(self) -> None:
        """Nothing here changes."""
