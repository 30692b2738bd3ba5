# SPDX-License-Identifier: Apache-2.0
"""What marks a rehearsal on every page: nobody may take it for a launch."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from .fonts import NORMAL, SMALL
from .icon_mark import IconMark
from .state_badge import Look, StateBadge
from .text_label import TextLabel
from .tones import Tone, tone_colours


def simulated_word() -> str:
    """The word that stands on everything simulated."""
    return QCoreApplication.translate("Simulated", "SIMULATED")


def simulated_look() -> Look:
    """For badges."""
    return Look("simulated", simulated_word(), Tone.WARN)


class SimulatedBadge(StateBadge):
    """The word alone, for lists and the step list."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(simulated_look(), parent)


class SimulatedRibbon(QFrame):
    """The word and what it means, over the whole width of a page."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        word = simulated_word()
        meaning = self.tr("The platform is a program on this computer. Nothing here is protected.")
        self.setAccessibleName(f"{word}. {meaning}")
        row = QHBoxLayout(self)
        row.setContentsMargins(NORMAL, SMALL, NORMAL, SMALL)
        row.setSpacing(SMALL)
        row.addWidget(IconMark("simulated", Tone.WARN))
        label = TextLabel(word, bold=True, tone=Tone.WARN)
        label.setWordWrap(False)
        row.addWidget(label)
        row.addWidget(TextLabel(meaning), 1)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the ground and the line below it."""
        colours = tone_colours(Tone.WARN, self.palette())
        painter = QPainter(self)
        painter.fillRect(self.rect(), colours.fill)
        painter.setPen(colours.edge)
        painter.drawLine(self.rect().bottomLeft(), self.rect().bottomRight())
        painter.end()
