# SPDX-License-Identifier: Apache-2.0
"""What tests of widgets share: both palettes, a language with longer words, a clean clipboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtGui import QClipboard, QGuiApplication

from watchword.gui.theme import Scheme, Theme


@pytest.fixture(autouse=True)
def _themed(theme: Theme) -> None:
    """Widgets are tested in the program's own style."""


@pytest.fixture(params=[Scheme.LIGHT, Scheme.DARK])
def scheme(request, theme: Theme) -> Iterator[Scheme]:
    """Each of the two palettes, on the whole application."""
    theme.scheme = request.param
    yield request.param
    theme.scheme = Scheme.LIGHT


@pytest.fixture
def clipboard(theme: Theme) -> Iterator[QClipboard]:
    """The clipboard, emptied before and after."""
    board = QGuiApplication.clipboard()
    board.clear()
    yield board
    board.clear()
