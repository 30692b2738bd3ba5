# SPDX-License-Identifier: Apache-2.0
"""Icons are there under every name that is used, take the palette's colours, and are sharp."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QColor, QIcon, QImage, QPainter

from watchword.gui.theme import palette_of
from watchword.gui.widgets.icons import (
    application_icon,
    icon,
    muted_icon,
    paint_icon,
    tone_icon,
)
from watchword.gui.widgets.tones import Tone, tone_colours

ROOT = Path(__file__).resolve().parents[3]
ICONS = sorted(path.stem for path in (ROOT / "resources" / "icons").glob("*.svg"))
# Calls whose first argument names an icon.
NAMING = ("IconMark", "Look", "icon", "muted_icon", "tone_icon", "EmptyState", "show_icon", "_show")


def used_names() -> set[str]:
    """Names given as plain strings where an icon is asked for."""
    found = set()
    for path in (ROOT / "gui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = ast.unparse(node.func).rsplit(".", 1)[-1]
            if called in NAMING:
                constants = [n for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)]
                found |= {n.value for n in constants if isinstance(n.value, str) and n.value}
    return found


def picture(name: str, side: int, colour: str) -> QImage:
    image = QImage(side, side, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QColor(0, 0, 0, 0))
    painter = QPainter(image)
    paint_icon(painter, name, QRectF(0, 0, side, side), QColor(colour))
    painter.end()
    return image


def opaque(image: QImage) -> set[str]:
    return {
        image.pixelColor(x, y).name()
        for x in range(image.width())
        for y in range(image.height())
        if image.pixelColor(x, y).alpha() == 255
    }


def test_every_icon_that_is_used_is_there() -> None:
    used = used_names()
    assert {"ok", "bad", "copy", "clock"} <= used
    assert used - set(ICONS) == set()


def is_like(colour: QColor, other: QColor) -> bool:
    """The same colour, but for rounding."""
    parts = zip(colour.getRgb(), other.getRgb(), strict=True)
    return all(abs(one - another) <= 1 for one, another in parts)


def test_icons_are_drawn_in_one_colour_inside_their_square(qapp) -> None:
    wanted = QColor("#336699")
    for name in set(ICONS) - {"watchword"}:
        image = picture(name, 48, wanted.name())
        assert opaque(image), name
        assert all(is_like(QColor(colour), wanted) for colour in opaque(image)), name
        edge = [image.pixelColor(x, y).alpha() for x in range(48) for y in (0, 47)]
        assert max(edge) == 0, name


def test_an_icon_that_is_not_there_is_an_error(qapp) -> None:
    with pytest.raises(FileNotFoundError):
        paint_icon(QPainter(), "no-such-icon", QRectF(0, 0, 16, 16), QColor("#000000"))


def test_an_icon_of_a_button_follows_the_palette(qapp, scheme: str) -> None:
    palette = palette_of(dark=scheme == "dark")
    text = palette.buttonText().color().name()
    assert opaque(icon("stop").pixmap(QSize(48, 48)).toImage()) == {text}
    faint = palette.placeholderText().color().name()
    assert opaque(muted_icon("stop").pixmap(QSize(48, 48)).toImage()) == {faint}
    bad = tone_colours(Tone.BAD, palette).text.name()
    assert opaque(tone_icon("stop", Tone.BAD).pixmap(QSize(48, 48)).toImage()) == {bad}


def test_an_icon_has_the_colour_of_disabled_words_when_it_is_disabled(qapp, scheme: str) -> None:
    palette = palette_of(dark=scheme == "dark")
    faint = palette.color(palette.ColorGroup.Disabled, palette.ColorRole.ButtonText).name()
    pixmap = icon("stop").pixmap(QSize(48, 48), QIcon.Mode.Disabled)
    assert opaque(pixmap.toImage()) == {faint}


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_an_icon_is_drawn_anew_for_each_scale(qapp, ratio: float) -> None:
    pixmap = icon("copy").pixmap(QSize(20, 20), ratio)
    assert pixmap.width() == round(20 * ratio)
    assert pixmap.devicePixelRatio() == ratio


def test_a_copied_icon_outlives_the_first(qapp) -> None:
    first = icon("copy")
    second = QIcon(first)
    del first
    assert not second.pixmap(QSize(16, 16)).isNull()
    assert not second.isNull()


def test_the_program_has_an_icon_in_all_sizes(qapp) -> None:
    sizes = {size.width() for size in application_icon().availableSizes()}
    assert sizes == {16, 24, 32, 48, 64, 128, 256}
