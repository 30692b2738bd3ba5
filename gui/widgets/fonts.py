# SPDX-License-Identifier: Apache-2.0
"""Sizes and spaces that all widgets share: a few fonts, derived from the user's, and a few gaps."""

from __future__ import annotations

from typing import Final

from PySide6.QtGui import QFont, QFontDatabase

TIGHT: Final = 4
SMALL: Final = 8
NORMAL: Final = 12
WIDE: Final = 16
LARGE: Final = 24
"""Gaps, in device-independent pixels; nothing uses others."""

RADIUS: Final = 6
"""Of the corners of cards and messages."""


def sized(font: QFont, factor: float, *, bold: bool = False) -> QFont:
    """The user's font, larger or smaller by a factor."""
    result = QFont(font)
    if font.pointSizeF() > 0:
        result.setPointSizeF(font.pointSizeF() * factor)
    else:
        result.setPixelSize(round(font.pixelSize() * factor))
    if bold:
        result.setWeight(QFont.Weight.DemiBold)
    return result


def monospace(font: QFont) -> QFont:
    """The system's fixed-width font in the size of ``font``."""
    result = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    result.setFixedPitch(True)
    result.setStyleHint(QFont.StyleHint.Monospace)
    if font.pointSizeF() > 0:
        result.setPointSizeF(font.pointSizeF())
    else:
        result.setPixelSize(font.pixelSize())
    return result
