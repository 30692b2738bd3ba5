# SPDX-License-Identifier: Apache-2.0
"""The few colours that carry meaning, in light and in dark, and how well they can be read.

A colour never stands alone: whoever uses a tone puts an icon and a word beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from PySide6.QtGui import QColor, QPalette

READABLE: Final = 4.5
"""The least contrast of text against what is behind it (WCAG 2, level AA)."""


class Tone(StrEnum):
    """What a colour says."""

    OK = "ok"
    INFO = "info"
    WARN = "warn"
    BAD = "bad"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class ToneColours:
    """The colours of one tone.

    ``text``  for words and icons, on ``fill`` as well as on windows and cards
    ``fill``  behind a whole message
    ``edge``  the line around it
    """

    text: QColor
    fill: QColor
    edge: QColor


_LIGHT: Final = {
    Tone.OK: ("#17703d", "#e8f5ed", "#a5d6b8"),
    Tone.INFO: ("#1b57b0", "#e9f0fb", "#b3cbee"),
    Tone.WARN: ("#7d5000", "#fdf4de", "#e6c879"),
    Tone.BAD: ("#ad2019", "#fdedeb", "#eeb4ae"),
    Tone.NEUTRAL: ("#566074", "#eef0f4", "#cfd4dc"),
}
_DARK: Final = {
    Tone.OK: ("#74d39b", "#1a2f25", "#33604a"),
    Tone.INFO: ("#93bdfa", "#1c2c45", "#3a5a8a"),
    Tone.WARN: ("#ecc061", "#352c18", "#6d5a2c"),
    Tone.BAD: ("#ff9a91", "#3b2223", "#7d4342"),
    Tone.NEUTRAL: ("#a9b3c1", "#262d37", "#414b59"),
}


def is_dark(palette: QPalette) -> bool:
    """Whether windows are darker than their text."""
    window = palette.color(QPalette.ColorRole.Window)
    return luminance(window) < luminance(palette.color(QPalette.ColorRole.WindowText))


def tone_colours(tone: Tone, palette: QPalette) -> ToneColours:
    """The colours of a tone that fit the palette."""
    text, fill, edge = (_DARK if is_dark(palette) else _LIGHT)[tone]
    return ToneColours(QColor(text), QColor(fill), QColor(edge))


def muted(palette: QPalette) -> QColor:
    """For words of less weight."""
    return palette.color(QPalette.ColorRole.PlaceholderText)


def line(palette: QPalette) -> QColor:
    """For the one-pixel lines around cards and between rows."""
    return palette.color(QPalette.ColorRole.Mid)


def accent(palette: QPalette) -> QColor:
    """The one colour that invites to act, and that shows where the keyboard is."""
    return palette.color(QPalette.ColorRole.Accent)


def selected(palette: QPalette) -> QColor:
    """Behind the one of several things that is looked at."""
    return mixed(accent(palette), palette.color(QPalette.ColorRole.Window), 0.09)


def raised(palette: QPalette) -> QColor:
    """What cards are made of."""
    return palette.color(QPalette.ColorRole.Base)


def mixed(colour: QColor, other: QColor, share: float) -> QColor:
    """A colour that is ``share`` (0 to 1) of the first, the rest of the other."""
    rest = 1.0 - share
    return QColor.fromRgbF(
        colour.redF() * share + other.redF() * rest,
        colour.greenF() * share + other.greenF() * rest,
        colour.blueF() * share + other.blueF() * rest,
    )


def luminance(colour: QColor) -> float:
    """Relative luminance, 0 for black to 1 for white (WCAG 2)."""

    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(p) for p in (colour.redF(), colour.greenF(), colour.blueF()))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: QColor, other: QColor) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2)."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)
