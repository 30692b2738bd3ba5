# SPDX-License-Identifier: Apache-2.0
"""Something that is folded away until it is asked for, under a button that says what it is."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from .fonts import LARGE, SMALL, TIGHT
from .icons import muted_icon


class Foldable(QWidget):
    """A button and, below it, what it shows and hides.

    Put widgets into ``body``; ``header`` has room beside the button, before the stretch.
    """

    toggled = Signal(bool)

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._opened = False
        self.button = QToolButton()
        self.button.setText(title)
        self.button.setAccessibleName(title)
        self.button.setAutoRaise(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.button.clicked.connect(lambda: self.set_open(not self._opened))
        self._content = QWidget()
        self._content.hide()
        self.body = QVBoxLayout(self._content)
        self.body.setContentsMargins(LARGE, TIGHT, 0, TIGHT)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        self.header = QHBoxLayout()
        self.header.setSpacing(SMALL)
        self.header.addWidget(self.button)
        self.header.addStretch(1)
        column.addLayout(self.header)
        column.addWidget(self._content)
        self._show_arrow(opened=False)

    @property
    def opened(self) -> bool:
        """Whether the content is shown."""
        return self._opened

    def set_open(self, opened: bool) -> None:
        """Show or hide the content."""
        if opened != self._opened:
            self._opened = opened
            self._content.setVisible(opened)
            self._show_arrow(opened=opened)
            self.toggled.emit(opened)

    def _show_arrow(self, *, opened: bool) -> None:
        self.button.setIcon(muted_icon("open" if opened else "closed"))
        state = self.tr("unfolded") if opened else self.tr("folded")
        self.button.setAccessibleDescription(state)
