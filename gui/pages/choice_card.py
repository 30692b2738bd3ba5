# SPDX-License-Identifier: Apache-2.0
"""A large button with an icon, a title and a sentence: one of few ways to begin."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from ..widgets.fonts import NORMAL, SMALL, TIGHT, WIDE, sized
from ..widgets.icons import icon_side, paint_icon
from ..widgets.painting import paint_card, paint_focus
from ..widgets.tones import accent, line, mixed, muted, raised

_ICON: Final = 2.0
_WIDTH: Final = 200
_CHOOSING: Final[tuple[int, ...]] = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class ChoiceCard(QAbstractButton):
    """``primary`` is the one that most people want first; it has the accent colour."""

    def __init__(
        self,
        icon: str,
        title: str,
        sentence: str,
        *,
        primary: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._icon = icon
        self._sentence = sentence
        self._primary = primary
        self.setText(title)
        self.setAccessibleName(title.replace("&", ""))
        self.setAccessibleDescription(sentence)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter chooses as Space does."""
        if event.key() in _CHOOSING and not event.isAutoRepeat():
            self.click()
        else:
            super().keyPressEvent(event)

    # -- size ----------------------------------------------------------------------------

    def hasHeightForWidth(self) -> bool:
        """The sentence wraps."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Room for icon, title and the wrapped sentence."""
        inner = QRect(0, 0, width - 2 * WIDE, 10_000)
        title = self._title_metrics().boundingRect(inner, Qt.TextFlag.TextWordWrap, self._plain())
        words = self.fontMetrics().boundingRect(inner, Qt.TextFlag.TextWordWrap, self._sentence)
        icon = round(icon_side(self) * _ICON)
        return WIDE + icon + NORMAL + title.height() + TIGHT + words.height() + WIDE

    def sizeHint(self) -> QSize:
        """Narrow enough for three of them side by side."""
        return QSize(_WIDTH, self.heightForWidth(_WIDTH))

    def minimumSizeHint(self) -> QSize:
        """The same: nothing is cut."""
        return self.sizeHint()

    # -- looks ---------------------------------------------------------------------------

    def _plain(self) -> str:
        return self.text().replace("&", "")

    def _title_metrics(self) -> QFontMetrics:
        return QFontMetrics(sized(self.font(), 1.15, bold=True))

    def _colours(self) -> tuple[QColor, QColor, QColor, QColor]:
        """Ground, edge, words, quieter words."""
        palette = self.palette()
        if self._primary:
            ground, words = accent(palette), palette.color(QPalette.ColorRole.HighlightedText)
            if self.underMouse():
                ground = mixed(ground, palette.color(QPalette.ColorRole.WindowText), 0.88)
            return ground, ground, words, words
        edge = accent(palette) if self.underMouse() else line(palette)
        words = palette.color(QPalette.ColorRole.WindowText)
        return raised(palette), edge, words, muted(palette)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw card, icon, title and sentence."""
        ground, edge, words, quiet = self._colours()
        painter = QPainter(self)
        paint_card(painter, self.rect(), ground, edge)
        side = round(icon_side(self) * _ICON)
        icon_colour = words if self._primary else accent(self.palette())
        paint_icon(painter, self._icon, QRectF(WIDE, WIDE, side, side), icon_colour)
        inner = self.rect().adjusted(WIDE, WIDE + side + NORMAL, -WIDE, -SMALL)
        painter.setFont(sized(self.font(), 1.15, bold=True))
        painter.setPen(words)
        painter.drawText(inner, Qt.TextFlag.TextWordWrap, self._plain())
        painter.setFont(self.font())
        painter.setPen(quiet)
        top = self._title_metrics().boundingRect(inner, Qt.TextFlag.TextWordWrap, self._plain())
        below = inner.adjusted(0, top.height() + TIGHT, 0, 0)
        painter.drawText(below, Qt.TextFlag.TextWordWrap, self._sentence)
        if self.hasFocus():
            paint_focus(painter, self.rect(), self.palette())
        painter.end()
