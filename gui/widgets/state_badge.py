# SPDX-License-Identifier: Apache-2.0
"""A state as an icon and a word on a small rounded ground, and how the states of steps look."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from watchword.core.launch.engine import StepState

from .escape import shown_line
from .fonts import SMALL, TIGHT
from .icons import icon_side, paint_icon
from .tones import Tone, tone_colours

translate = QCoreApplication.translate


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown: icon, word and tone, always all three."""

    icon: str
    word: str
    tone: Tone


def step_look(state: StepState) -> Look:
    """How the state of a step is shown."""
    if state is StepState.DONE:
        return Look("ok", translate("StepState", "Done"), Tone.OK)
    if state is StepState.WAIVED:
        return Look("waived", translate("StepState", "Waived"), Tone.WARN)
    if state is StepState.STALE:
        return Look("stale", translate("StepState", "Out of date"), Tone.WARN)
    if state is StepState.FAILED:
        return Look("bad", translate("StepState", "Failed"), Tone.BAD)
    if state is StepState.BLOCKED:
        return Look("blocked", translate("StepState", "Blocked"), Tone.NEUTRAL)
    if state is StepState.BUSY:
        return Look("busy", translate("StepState", "At work"), Tone.INFO)
    if state is StepState.WAITING:
        return Look("clock", translate("StepState", "Waiting"), Tone.INFO)
    if state is StepState.READY:
        return Look("ready", translate("StepState", "Ready"), Tone.INFO)
    return Look("circle", translate("StepState", "To do"), Tone.NEUTRAL)


class StateBadge(QWidget):
    """A badge; its accessible name is its word."""

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.show_look(look)

    @property
    def look(self) -> Look:
        """What is shown."""
        return self._look

    def show_look(self, look: Look) -> None:
        """Show another state."""
        self._look = Look(look.icon, shown_line(look.word, 60), look.tone)
        self.setAccessibleName(self._look.word)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Room for icon and word."""
        metrics = self.fontMetrics()
        side = icon_side(self)
        width = SMALL + side + TIGHT + metrics.horizontalAdvance(self._look.word) + SMALL + TIGHT
        return QSize(width, max(side, metrics.height()) + SMALL)

    def minimumSizeHint(self) -> QSize:
        """The same: a badge is never cut."""
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw ground, icon and word."""
        colours = tone_colours(self._look.tone, self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colours.edge, 1))
        painter.setBrush(colours.fill)
        ground = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(ground, ground.height() / 2, ground.height() / 2)
        side = icon_side(self)
        top = (self.height() - side) / 2
        paint_icon(painter, self._look.icon, QRectF(SMALL, top, side, side), colours.text)
        painter.setPen(colours.text)
        words = QRect(SMALL + side + TIGHT, 0, self.width(), self.height())
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, self._look.word)
        painter.end()
