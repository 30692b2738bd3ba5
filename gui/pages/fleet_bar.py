# SPDX-License-Identifier: Apache-2.0
"""How far a whole fleet is: a bar with a part for each standing, and the numbers in words."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from ..widgets.fonts import NORMAL, SMALL, TIGHT
from ..widgets.icon_mark import IconMark
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone, line, tone_colours
from .fleet_words import Standing, counted, standing_look

_HEIGHT = 10


class StackedBar(QWidget):
    """The parts of a whole beside each other, each in the colour of its tone."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._parts: tuple[tuple[Tone, int], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_parts(self, parts: tuple[tuple[Tone, int], ...]) -> None:
        """Show these parts, from left to right."""
        if parts != self._parts:
            self._parts = parts
            self.update()

    def sizeHint(self) -> QSize:
        """Thin, and as wide as there is room."""
        return QSize(160, _HEIGHT)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the parts; what is to come is the ground."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        whole = QRectF(self.rect())
        outline = QPainterPath()
        outline.addRoundedRect(whole, _HEIGHT / 2, _HEIGHT / 2)
        painter.setClipPath(outline)
        painter.fillRect(whole, line(self.palette()))
        total = sum(count for _, count in self._parts)
        left = 0.0
        for tone, count in self._parts:
            width = whole.width() * count / total if total else 0.0
            painter.fillRect(QRectF(left, 0, width, whole.height()), self._colour(tone))
            left += width
        painter.end()

    def _colour(self, tone: Tone) -> QColor:
        if tone is Tone.NEUTRAL:
            return line(self.palette())
        return tone_colours(tone, self.palette()).text


class FleetBar(QWidget):
    """The bar, the share that is through, and below it how many launches stand how."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bar = StackedBar()
        self._share = TextLabel(bold=True)
        self._share.setWordWrap(False)
        self._parts: dict[Standing, tuple[IconMark, TextLabel]] = {}
        top = QHBoxLayout()
        top.setSpacing(SMALL)
        top.addWidget(self.bar, 1)
        top.addWidget(self._share)
        below = QHBoxLayout()
        below.setSpacing(TIGHT)
        for standing in Standing:
            look = standing_look(standing)
            mark, label = IconMark(look.icon, look.tone), TextLabel()
            label.setWordWrap(False)
            label.setContentsMargins(0, 0, NORMAL, 0)
            self._parts[standing] = mark, label
            below.addWidget(mark)
            below.addWidget(label)
        below.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        column.addLayout(top)
        column.addLayout(below)

    def show_counts(self, number: Callable[[Standing], int]) -> None:
        """Show how many launches stand how."""
        total = sum(map(number, Standing))
        through = total - number(Standing.AT_WORK) - number(Standing.TO_COME)
        self.bar.show_parts(tuple((standing_look(one).tone, number(one)) for one in Standing))
        words = self.tr("{n} of {total}").format(n=through, total=total)
        if self._share.accessibleName() != words:
            self._share.say(words)
        for standing, (mark, label) in self._parts.items():
            count = number(standing)
            label.say(f"{count} {standing_look(standing).word}")
            for widget in (mark, label):
                widget.setVisible(count > 0)
        self.setAccessibleName(self.tr("Through: {words}").format(words=words))
        self.setAccessibleDescription(counted(number))
