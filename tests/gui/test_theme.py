# SPDX-License-Identifier: Apache-2.0
"""Light and dark are switched while the program runs, and can be read in both."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QLabel

from watchword.gui.theme import Scheme, Theme, palette_of
from watchword.gui.widgets.tones import READABLE, contrast

Role = QPalette.ColorRole
TEXT_ON_GROUND = [
    (Role.WindowText, Role.Window),
    (Role.Text, Role.Base),
    (Role.ButtonText, Role.Button),
    (Role.PlaceholderText, Role.Base),
    (Role.HighlightedText, Role.Highlight),
    (Role.ToolTipText, Role.ToolTipBase),
    (Role.Link, Role.Window),
    (Role.Accent, Role.Window),
]


@pytest.fixture(autouse=True)
def _light_again(theme: Theme):
    yield
    theme.scheme = Scheme.LIGHT


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("text", "ground"), TEXT_ON_GROUND, ids=lambda role: role.name)
def test_every_text_can_be_read_on_its_ground(dark: bool, text: Role, ground: Role) -> None:
    palette = palette_of(dark=dark)
    assert contrast(palette.color(text), palette.color(ground)) >= READABLE


@pytest.mark.parametrize("dark", [False, True])
def test_what_is_disabled_can_be_read_too(dark: bool) -> None:
    palette = palette_of(dark=dark)
    for text, ground in TEXT_ON_GROUND[:3]:
        faint = palette.color(QPalette.ColorGroup.Disabled, text)
        assert contrast(faint, palette.color(ground)) >= READABLE


def test_windows_that_are_shown_follow_a_switch(qtbot, theme: Theme) -> None:
    label = QLabel("text")
    qtbot.addWidget(label)
    label.show()
    theme.scheme = Scheme.DARK
    assert theme.dark
    qtbot.waitUntil(lambda: label.palette().color(Role.Window).lightness() < 60)
    theme.scheme = Scheme.LIGHT
    qtbot.waitUntil(lambda: label.palette().color(Role.Window).lightness() > 200)


def test_a_switch_is_told(qtbot, theme: Theme) -> None:
    with qtbot.waitSignal(theme.changed):
        theme.scheme = Scheme.DARK


def test_a_desktop_that_says_nothing_gets_the_light_palette(theme: Theme) -> None:
    theme.scheme = Scheme.AUTO
    assert not theme.dark


def test_there_is_no_stylesheet_that_would_hold_up_a_switch(qapp, theme: Theme) -> None:
    assert qapp.styleSheet() == ""
