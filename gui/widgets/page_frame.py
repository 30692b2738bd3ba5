# SPDX-License-Identifier: Apache-2.0
"""The frame of every page: title, subtitle, content that scrolls and never grows too wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from .fonts import LARGE, NORMAL, TIGHT
from .text_label import TextLabel

if TYPE_CHECKING:
    from .simulated import SimulatedRibbon

WIDEST: Final = 900
"""Of a page's content; longer lines are hard to read."""


class PageFrame(QWidget):
    """Put widgets into ``content``; ``set_simulated`` puts a ribbon above that does not scroll."""

    def __init__(self, title: str, subtitle: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = TextLabel(title, size=1.5, bold=True)
        self._subtitle = TextLabel(subtitle, quiet=True)
        self._subtitle.setVisible(bool(subtitle))
        self._ribbon: SimulatedRibbon | None = None
        self.content = QVBoxLayout()
        self.content.setSpacing(NORMAL)
        self._scroll = QScrollArea()
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self._scroll.setWidget(self._sheet())
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addWidget(self._scroll, 1)
        self.setAccessibleName(title)

    def _sheet(self) -> QWidget:
        inner = QWidget()
        inner.setMaximumWidth(WIDEST)
        column = QVBoxLayout(inner)
        column.setContentsMargins(LARGE, LARGE, LARGE, LARGE)
        column.setSpacing(TIGHT)
        column.addWidget(self._title)
        column.addWidget(self._subtitle)
        column.addSpacing(NORMAL)
        column.addLayout(self.content)
        column.addStretch(1)
        sheet = QWidget()
        row = QHBoxLayout(sheet)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(inner, 100)
        row.addStretch(1)
        return sheet

    def set_title(self, title: str, subtitle: str = "") -> None:
        """Name the page anew."""
        self._title.say(title)
        self._subtitle.say(subtitle)
        self._subtitle.setVisible(bool(subtitle))
        self.setAccessibleName(title)

    def set_simulated(self, simulated: bool) -> None:
        """Mark the page as one of a rehearsal."""
        if self._ribbon is None:
            if not simulated:
                return
            from .simulated import SimulatedRibbon  # noqa: PLC0415 - the first page needs none

            self._ribbon = SimulatedRibbon()
            self._column.insertWidget(0, self._ribbon)
        self._ribbon.setVisible(simulated)

    def show_widget(self, widget: QWidget) -> None:
        """Scroll so that a widget of the content is seen."""
        self._scroll.ensureWidgetVisible(widget, 0, LARGE)

    def scroll_to_top(self) -> None:
        """Show the page from its beginning."""
        self._scroll.verticalScrollBar().setValue(0)
