# SPDX-License-Identifier: Apache-2.0
"""What is waited for at this moment, in words, with a moving line and a way out."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QStyle, QVBoxLayout, QWidget

from .fonts import NORMAL, SMALL
from .text_label import TextLabel
from .tones import accent, line

_FRAME: Final = 40
"""Milliseconds between two pictures."""
_STEP: Final = 0.02
_LENGTH: Final = 0.28
"""Of the moving part, as a share of the line."""


class MovingLine(QWidget):
    """A thin line with a part that moves along it while it is seen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._at = 0.4
        self._share: float | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_FRAME)
        self._timer.timeout.connect(self._move)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_share(self, share: float | None) -> None:
        """How much is done, from 0 to 1; None where nobody knows."""
        self._share = None if share is None else min(1.0, max(0.0, share))
        self.update()

    def sizeHint(self) -> QSize:
        """Four pixels high."""
        return QSize(120, 4)

    def showEvent(self, event: QShowEvent) -> None:
        """Begin to move, if the desktop wants movement."""
        super().showEvent(event)
        if self.style().styleHint(QStyle.StyleHint.SH_Widget_Animation_Duration) > 0:
            self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """Stand still: nothing wakes the processor while nothing is seen."""
        super().hideEvent(event)
        self._timer.stop()

    def _move(self) -> None:
        self._at = (self._at + _STEP) % 1.0
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the line and the moving part, which leaves on the right and enters on the left."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(line(self.palette()))
        whole = QRectF(self.rect())
        painter.drawRoundedRect(whole, 2, 2)
        painter.setBrush(accent(self.palette()))
        left = (self._at * (1 + _LENGTH) - _LENGTH) * whole.width()
        part = QRectF(left, 0, _LENGTH * whole.width(), whole.height())
        if self._share is not None:
            part = QRectF(0, 0, self._share * whole.width(), whole.height())
        painter.drawRoundedRect(part.intersected(whole), 2, 2)
        painter.end()


class BusyLine(QWidget):
    """Hidden until :meth:`begin`; *Cancel* emits ``cancelled`` once and then waits for the end."""

    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = TextLabel()
        self._line = MovingLine()
        self.cancel = QPushButton(self.tr("Cancel"))
        self.cancel.clicked.connect(self._cancel)
        row = QHBoxLayout()
        row.setSpacing(NORMAL)
        row.addWidget(self._label, 1)
        row.addWidget(self.cancel, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        column.addLayout(row)
        column.addWidget(self._line)
        self.hide()

    @property
    def text(self) -> str:
        """What is waited for."""
        return self._label.accessibleName()

    def begin(self, text: str, *, can_cancel: bool = True) -> None:
        """Show what is waited for."""
        self.cancel.setVisible(can_cancel)
        self.cancel.setEnabled(True)
        self.say(text)
        self.show()

    def say(self, text: str, share: float | None = None) -> None:
        """It is something else by now that is waited for; ``share`` of it is done, from 0 to 1."""
        self._label.say(text)
        self._line.set_share(share)
        self.setAccessibleName(text)
        self.cancel.setAccessibleName(self.tr("Cancel: {what}").format(what=text))

    def end(self) -> None:
        """Nothing is waited for any more."""
        self.hide()

    def _cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.say(self.tr("Cancelling…"))
        self.cancelled.emit()
