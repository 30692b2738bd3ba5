# SPDX-License-Identifier: Apache-2.0
"""The wizard's left side: what is launched, and the steps, which scroll on low screens."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from ..widgets.fonts import NORMAL, SMALL, WIDE
from ..widgets.stepper import Stepper
from ..widgets.text_label import TextLabel


class _Steps(QScrollArea):
    """As wide as the steps, and as high as there is room."""

    def __init__(self, stepper: Stepper) -> None:
        super().__init__()
        self._stepper = stepper
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setWidget(stepper)
        stepper.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The steps' titles may get longer."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def sizeHint(self) -> QSize:
        """All of the steps, with room for a scroll bar beside them."""
        hint = self._stepper.sizeHint()
        return QSize(hint.width() + self.verticalScrollBar().sizeHint().width(), hint.height())

    def minimumSizeHint(self) -> QSize:
        """Two steps or so."""
        return QSize(self.sizeHint().width(), 6 * self.fontMetrics().height())


class Side(QWidget):
    """Title and steps, one below the other."""

    def __init__(self, title: str, stepper: Stepper, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps = _Steps(stepper)
        self._stepper = stepper
        heading = TextLabel(title, size=1.15, bold=True)
        heading.setContentsMargins(WIDE, 0, 0, 0)
        column = QVBoxLayout(self)
        column.setContentsMargins(NORMAL, WIDE, 0, SMALL)
        column.setSpacing(SMALL)
        column.addWidget(heading)
        column.addWidget(self._steps, 1)

    def show_step(self, step: str) -> None:
        """Scroll to where a step can be seen."""
        self._steps.ensureWidgetVisible(self._stepper.button(step), 0, WIDE)
