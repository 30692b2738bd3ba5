# SPDX-License-Identifier: Apache-2.0
"""Hex digits as people compare them: in groups, in a fixed-width font, to be selected."""

from __future__ import annotations

import re
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget

from .escape import breakable, shown_line
from .fonts import monospace

_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})+")
GROUP: Final = 8
"""Digits in a group: 4 bytes."""


def grouped_hex(digits: str) -> str:
    """Hex in groups of eight digits; any other text on one line, as it may be shown."""
    if not _HEX.fullmatch(digits):
        return breakable(shown_line(digits))
    return " ".join(digits[i : i + GROUP] for i in range(0, len(digits), GROUP))


class HexText(QLabel):
    """A digest or key; ``name`` says to screen readers what it is."""

    def __init__(self, digits: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setFont(monospace(self.font()))
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.show_digits(digits)

    @property
    def digits(self) -> str:
        """What is shown, without the groups."""
        return self._digits

    def show_digits(self, digits: str) -> None:
        """Show others."""
        self._digits = digits
        self.setText(grouped_hex(digits))
        self.setAccessibleName(f"{self._name}: {shown_line(digits)}")
