# SPDX-License-Identifier: Apache-2.0
"""Every text can be read on whatever is behind it, in both palettes; numbers, not taste."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QColor, QPalette

from watchword.gui.theme import palette_of
from watchword.gui.widgets.calm_style import field_edge
from watchword.gui.widgets.tones import (
    READABLE,
    Tone,
    accent,
    contrast,
    is_dark,
    mixed,
    muted,
    raised,
    selected,
    tone_colours,
)

# WCAG 2 asks for this of lines that show where one can type or click.
SEEN = 3.0


@pytest.fixture(params=[False, True], ids=["light", "dark"])
def palette(request, qapp) -> QPalette:
    return palette_of(dark=request.param)


def grounds(palette: QPalette) -> dict[str, QColor]:
    return {
        "window": palette.color(QPalette.ColorRole.Window),
        "base": palette.color(QPalette.ColorRole.Base),
        "card": raised(palette),
        "selected": selected(palette),
    }


def too_weak(text: QColor, behind: dict[str, QColor], least: float = READABLE) -> list[str]:
    return [
        f"{name}: {contrast(text, c):.2f}"
        for name, c in behind.items()
        if contrast(text, c) < least
    ]


def test_contrast_is_that_of_the_standard() -> None:
    black, white = QColor("#000000"), QColor("#ffffff")
    assert contrast(black, white) == pytest.approx(21)
    assert contrast(white, black) == pytest.approx(21)
    assert contrast(white, white) == pytest.approx(1)
    assert contrast(QColor("#777777"), white) == pytest.approx(4.48, abs=0.01)


def test_palettes_are_told_apart(qapp) -> None:
    assert is_dark(palette_of(dark=True))
    assert not is_dark(palette_of(dark=False))


@pytest.mark.parametrize("tone", Tone)
def test_words_in_a_tone_can_be_read_on_everything(palette: QPalette, tone: Tone) -> None:
    colours = tone_colours(tone, palette)
    assert too_weak(colours.text, grounds(palette) | {"fill": colours.fill}) == []


@pytest.mark.parametrize("tone", Tone)
def test_ordinary_and_quiet_words_can_be_read_on_a_message(palette: QPalette, tone: Tone) -> None:
    fill = {"fill": tone_colours(tone, palette).fill}
    assert too_weak(palette.color(QPalette.ColorRole.WindowText), fill) == []
    assert too_weak(muted(palette), fill) == []


def test_quiet_and_ordinary_words_can_be_read_on_everything(palette: QPalette) -> None:
    assert too_weak(muted(palette), grounds(palette)) == []
    assert too_weak(palette.color(QPalette.ColorRole.WindowText), grounds(palette)) == []


@pytest.mark.parametrize(
    "role", [QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText]
)
def test_words_of_what_is_disabled_can_still_be_read(palette: QPalette, role) -> None:
    text = palette.color(QPalette.ColorGroup.Disabled, role)
    assert too_weak(text, grounds(palette)) == []


def test_where_the_keyboard_is_and_what_is_a_field_can_be_seen(palette: QPalette) -> None:
    behind = {name: grounds(palette)[name] for name in ("window", "base", "card")}
    assert too_weak(accent(palette), behind, SEEN) == []
    assert too_weak(field_edge(palette), behind, SEEN) == []
    on_accent = palette.color(QPalette.ColorRole.HighlightedText)
    assert too_weak(on_accent, {"accent": accent(palette)}) == []


def test_mixing_goes_from_one_colour_to_the_other() -> None:
    black, white = QColor("#000000"), QColor("#ffffff")
    assert mixed(black, white, 1).name() == "#000000"
    assert mixed(black, white, 0).name() == "#ffffff"
    assert mixed(black, white, 0.5).name() == "#808080"
