# SPDX-License-Identifier: Apache-2.0
"""An icon that stands beside a word, and says nothing by itself."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QSizePolicy, QWidget

from .icons import icon_side, paint_icon
from .tones import Tone, tone_colours


class IconMark(QWidget):
    """An icon in a tone, or in the colour of the text; ``factor`` makes it larger."""

    def __init__(
        self,
        name: str,
        tone: Tone | None = None,
        *,
        factor: float = 1.0,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._name = name
        self._tone = tone
        self._factor = factor
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    @property
    def name(self) -> str:
        """Which icon is shown."""
        return self._name

    @property
    def tone(self) -> Tone | None:
        """In which tone."""
        return self._tone

    def show_icon(self, name: str, tone: Tone | None = None) -> None:
        """Show another one."""
        self._name = name
        self._tone = tone
        self.update()

    def sizeHint(self) -> QSize:
        """A square that grows with the font."""
        side = round(icon_side(self) * self._factor)
        return QSize(side, side)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw it in the palette's colours."""
        if self._tone is not None:
            colour = tone_colours(self._tone, self.palette()).text
        else:
            colour = self.palette().color(QPalette.ColorRole.WindowText)
        painter = QPainter(self)
        paint_icon(painter, self._name, QRectF(self.rect()), colour)
        painter.end()
