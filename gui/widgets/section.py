# SPDX-License-Identifier: Apache-2.0
"""A card with a heading: what belongs together on a page."""

from __future__ import annotations

from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from .fonts import NORMAL, SMALL, WIDE
from .painting import paint_card
from .text_label import TextLabel
from .tones import line, raised


class Section(QFrame):
    """A card; put widgets into ``body``, and what belongs beside the heading into ``header``."""

    def __init__(
        self, title: str = "", explanation: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName(title)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(WIDE, NORMAL, WIDE, WIDE)
        outer.setSpacing(SMALL)
        self.header = QHBoxLayout()
        self.header.setSpacing(SMALL)
        if title:
            self.heading = TextLabel(title, size=1.1, bold=True)
            self.header.addWidget(self.heading, 1)
            outer.addLayout(self.header)
        if explanation:
            outer.addWidget(TextLabel(explanation, quiet=True))
        self.body = QVBoxLayout()
        self.body.setSpacing(SMALL)
        outer.addLayout(self.body)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the card."""
        painter = QPainter(self)
        paint_card(painter, self.rect(), raised(self.palette()), line(self.palette()))
        painter.end()
