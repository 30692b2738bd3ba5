# SPDX-License-Identifier: Apache-2.0
"""Line icons by name, drawn sharp at any scale in the colours of the palette of the moment."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from PySide6.QtCore import QByteArray, QRect, QRectF, QSize
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QIconEngine, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QWidget

from watchword.resources import read_bytes

from .tones import Tone, muted, tone_colours

_SMALLEST: Final = 16


@lru_cache(maxsize=128)
def _svg(name: str) -> bytes:
    return read_bytes(f"icons/{name}.svg")


@lru_cache(maxsize=128)
def _renderer(name: str, colour: str) -> QSvgRenderer:
    """An icon in a colour, parsed."""
    svg = _svg(name).replace(b"currentColor", colour.encode("ascii"))
    return QSvgRenderer(QByteArray(svg))


def paint_icon(painter: QPainter, name: str, rect: QRectF, colour: QColor) -> None:
    """Draw the icon ``name`` into a rectangle; raises FileNotFoundError if there is none."""
    renderer = _renderer(name, colour.name())
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter, rect)
    painter.restore()


def icon_side(widget: QWidget) -> int:
    """How large an icon beside the widget's text is: it grows with the user's font."""
    return max(_SMALLEST, round(widget.fontMetrics().height() * 1.05))


class _Engine(QIconEngine):
    """Draws an icon when it is needed, so that it follows a change of the palette by itself."""

    def __init__(self, name: str, colour: Callable[[QPalette], QColor] | None) -> None:
        super().__init__()
        self._name = name
        self._colour = colour

    def paint(
        self, painter: QPainter, rect: QRect, mode: QIcon.Mode, _state: QIcon.State, /
    ) -> None:
        palette = QGuiApplication.palette()
        if mode is QIcon.Mode.Disabled:
            faint = QPalette.ColorGroup.Disabled
            colour = palette.color(faint, QPalette.ColorRole.ButtonText)
        elif self._colour is not None:
            colour = self._colour(palette)
        else:
            colour = palette.color(QPalette.ColorRole.ButtonText)
        paint_icon(painter, self._name, QRectF(rect), colour)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State, /) -> QPixmap:
        if size.isEmpty():  # a button that was not laid out yet: nothing can be painted there
            return QPixmap()
        pixmap = QPixmap(size)
        pixmap.fill(QColor(0, 0, 0, 0))
        painter = QPainter(pixmap)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        return _Engine(self._name, self._colour)

    def isNull(self) -> bool:
        return False


def icon(name: str) -> QIcon:
    """An icon in the colour of a button's words."""
    return QIcon(_Engine(name, None))


def muted_icon(name: str) -> QIcon:
    """An icon of less weight, for buttons without words."""
    return QIcon(_Engine(name, muted))


def tone_icon(name: str, tone: Tone) -> QIcon:
    """An icon in the colour of a tone."""
    return QIcon(_Engine(name, lambda palette: tone_colours(tone, palette).text))


def application_icon() -> QIcon:
    """The program's own icon."""
    renderer = QSvgRenderer(QByteArray(_svg("watchword")))
    result = QIcon()
    for size in (16, 24, 32, 48, 64, 128, 256):
        pixmap = QPixmap(size, size)
        pixmap.fill(QColor(0, 0, 0, 0))
        painter = QPainter(pixmap)
        renderer.render(painter, QRectF(0, 0, size, size))
        painter.end()
        result.addPixmap(pixmap)
    return result
