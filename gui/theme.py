# SPDX-License-Identifier: Apache-2.0
"""Light and dark: Fusion with two palettes of our own, switched while the program runs.

``QStyleHints.setColorScheme`` does nothing on bare X11, so both are palettes. There is
no stylesheet: with one, widgets that are shown keep the old palette. The colours that
carry a meaning are in ``widgets/tones.py``, and buttons and fields in ``calm_style.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

from .widgets.calm_style import CalmStyle

_Role = QPalette.ColorRole


class Scheme(StrEnum):
    """Which palette the user wants; ``auto`` follows the desktop, and is light where it says no."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


def _roles(
    *, window: str, field: str, button: str, line: str, text: str, faint: str, accent: str, on: str
) -> Mapping[QPalette.ColorRole, QColor]:
    """Every role that Fusion draws with; ``accent`` is the one colour that invites to act."""
    named = {
        _Role.Window: window,
        _Role.WindowText: text,
        _Role.Base: field,
        _Role.AlternateBase: window,
        _Role.Text: text,
        _Role.PlaceholderText: faint,
        _Role.Button: button,
        _Role.ButtonText: text,
        _Role.BrightText: on,
        _Role.ToolTipBase: button,
        _Role.ToolTipText: text,
        _Role.Highlight: accent,
        _Role.HighlightedText: on,
        _Role.Accent: accent,
        _Role.Link: accent,
        _Role.LinkVisited: accent,
        _Role.Light: button,
        _Role.Midlight: line,
        _Role.Mid: line,
        _Role.Dark: line,
        _Role.Shadow: line,
    }
    return {role: QColor(value) for role, value in named.items()}


_LIGHT: Final = _roles(
    window="#f5f6f8",
    field="#ffffff",
    button="#ffffff",
    line="#cfd4dc",
    text="#1b2330",
    faint="#5f6878",
    accent="#1f5fbf",
    on="#ffffff",
)
_DARK: Final = _roles(
    window="#181c23",
    field="#20262f",
    button="#272e39",
    line="#414b59",
    text="#e7ebf1",
    faint="#9aa5b4",
    accent="#7eaef6",
    on="#0e1828",
)


def palette_of(*, dark: bool) -> QPalette:
    """A whole palette: disabled roles and tool tips must be named, or they stay as they were."""
    palette = QPalette()
    roles = _DARK if dark else _LIGHT
    for role, colour in roles.items():
        palette.setColor(role, colour)
    disabled = QPalette.ColorGroup.Disabled
    for role in (_Role.WindowText, _Role.Text, _Role.ButtonText, _Role.HighlightedText):
        palette.setColor(disabled, role, roles[_Role.PlaceholderText])
    for role in (_Role.Highlight, _Role.Accent):
        palette.setColor(disabled, role, roles[_Role.Mid])
    return palette


class Theme(QObject):
    """Puts a palette on the application, at once and whenever the wish or the desktop changes.

    There is one for each application. ``changed`` comes after each switch.
    """

    changed = Signal()

    def __init__(self, application: QApplication, scheme: Scheme = Scheme.AUTO) -> None:
        super().__init__(application)
        self._application = application
        self._scheme = scheme
        application.setStyle(CalmStyle())
        application.styleHints().colorSchemeChanged.connect(self._follow)
        self._apply()

    @property
    def scheme(self) -> Scheme:
        """What the user wants."""
        return self._scheme

    @scheme.setter
    def scheme(self, scheme: Scheme) -> None:
        self._scheme = scheme
        self._apply()

    @property
    def dark(self) -> bool:
        """Whether the dark palette is the one to show."""
        if self._scheme is not Scheme.AUTO:
            return self._scheme is Scheme.DARK
        return self._application.styleHints().colorScheme() is Qt.ColorScheme.Dark

    def _follow(self) -> None:
        if self._scheme is Scheme.AUTO:
            self._apply()

    def _apply(self) -> None:
        self._application.setPalette(palette_of(dark=self.dark))
        self.changed.emit()
