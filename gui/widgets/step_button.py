# SPDX-License-Identifier: Apache-2.0
"""One step in the step list: icon, title and state, on a line that joins it to its neighbours."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
)
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from .escape import shown_line, tool_tip
from .fonts import NORMAL, RADIUS, SMALL, sized
from .icons import icon_side, paint_icon
from .painting import paint_focus
from .state_badge import Look
from .tones import Tone, accent, line, mixed, muted, selected, tone_colours

_CHOOSING: Final[tuple[int, ...]] = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
_ICON: Final = 1.15
"""The icon's size, as a factor of those beside ordinary text."""


class StepButton(QAbstractButton):
    """A row of the step list; ``first`` and ``last`` have no line beyond them."""

    def __init__(self, *, first: bool, last: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._first = first
        self._last = last
        self._current = False
        self._look = Look("circle", "", Tone.NEUTRAL)
        self._title = ""
        self._place = ""
        self._reason = ""
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def show_step(self, title: str, look: Look, reason: str, place: str) -> None:
        """Show a step; ``place`` is its number in words, for screen readers."""
        self._title = shown_line(title, 60)
        self._look = look
        self._place = place
        self._reason = shown_line(reason)
        self.setToolTip(tool_tip(self._reason))
        self._name_it()
        self.updateGeometry()
        self.update()

    @property
    def look(self) -> Look:
        """The state that is shown."""
        return self._look

    def set_current(self, current: bool) -> None:
        """Mark it as the step that is looked at."""
        self._current = current
        self._name_it()
        self.update()

    def _name_it(self) -> None:
        parts = [self._place, self._title, self._look.word]
        if self._current:
            parts.append(self.tr("shown now"))
        self.setAccessibleName(", ".join(part for part in parts if part))
        self.setAccessibleDescription(self._reason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter chooses as Space does."""
        if event.key() in _CHOOSING and not event.isAutoRepeat():
            self.click()
            event.accept()
        else:
            super().keyPressEvent(event)

    # -- looks -----------------------------------------------------------------

    def _title_font(self, *, bold: bool) -> QFont:
        return sized(self.font(), 1.0, bold=bold)

    def _word_font(self) -> QFont:
        return sized(self.font(), 0.9)

    def _tone_text(self) -> QColor:
        return tone_colours(self._look.tone, self.palette()).text

    def _icon_side(self) -> int:
        return round(icon_side(self) * _ICON)

    def sizeHint(self) -> QSize:
        """Room for the title in bold and the state below it."""
        title = QFontMetrics(self._title_font(bold=True))
        word = QFontMetrics(self._word_font())
        text = max(title.horizontalAdvance(self._title), word.horizontalAdvance(self._look.word))
        width = NORMAL + self._icon_side() + NORMAL + text + NORMAL
        return QSize(width, NORMAL + title.height() + word.height() + NORMAL)

    def minimumSizeHint(self) -> QSize:
        """The same: titles are never cut."""
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw ground, line, icon, title, state and focus."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_ground(painter)
        icon = self._icon_rect()
        self._paint_line(painter, icon)
        paint_icon(painter, self._look.icon, icon, self._tone_text())
        self._paint_words(painter, round(icon.right()) + NORMAL)
        if self.hasFocus():
            paint_focus(painter, self.rect(), self.palette())
        painter.end()

    def _icon_rect(self) -> QRectF:
        side = self._icon_side()
        return QRectF(NORMAL, (self.height() - side) / 2, side, side)

    def _paint_ground(self, painter: QPainter) -> None:
        if not self._current and not (self.underMouse() and self.isEnabled()):
            return
        colour = selected(self.palette())
        if not self._current:
            colour = mixed(colour, self.palette().color(QPalette.ColorRole.Window), 0.5)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawRoundedRect(QRectF(self.rect()), RADIUS, RADIUS)
        if self._current:
            painter.setBrush(accent(self.palette()))
            bar = QRectF(0, SMALL, 3, self.height() - 2 * SMALL)
            painter.drawRoundedRect(bar, 1.5, 1.5)

    def _paint_line(self, painter: QPainter, icon: QRectF) -> None:
        painter.setPen(QPen(line(self.palette()), 1.5))
        middle = icon.center().x()
        if not self._first:
            painter.drawLine(round(middle), 0, round(middle), round(icon.top()) - 2)
        if not self._last:
            painter.drawLine(round(middle), round(icon.bottom()) + 2, round(middle), self.height())

    def _paint_words(self, painter: QPainter, left: int) -> None:
        title_font, word_font = self._title_font(bold=self._current), self._word_font()
        title, word = QFontMetrics(title_font).height(), QFontMetrics(word_font).height()
        top = (self.height() - title - word) // 2
        group = QPalette.ColorGroup.Active if self.isEnabled() else QPalette.ColorGroup.Disabled
        painter.setFont(title_font)
        painter.setPen(self.palette().color(group, QPalette.ColorRole.WindowText))
        width = self.width() - left
        painter.drawText(QRect(left, top, width, title), Qt.TextFlag.TextSingleLine, self._title)
        painter.setFont(word_font)
        quiet = self._look.tone in (Tone.NEUTRAL, Tone.INFO)
        painter.setPen(muted(self.palette()) if quiet else self._tone_text())
        below = QRect(left, top + title, width, word)
        painter.drawText(below, Qt.TextFlag.TextSingleLine, self._look.word)
