# SPDX-License-Identifier: Apache-2.0
"""How rows of a list are drawn: the chosen one stays light, so that icons keep their colours."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from ..widgets.tones import accent, mixed

_ACCENT: Final = 0.22
"""Share of the accent colour in the ground of the chosen row: seen, and text on it is read."""


class CalmRows(QStyledItemDelegate):
    """Draws the ground of the chosen row as the sidebar does; follows the palette."""

    def initStyleOption(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """The colours of this row, without a frame around the one cell of the keyboard."""
        super().initStyleOption(option, index)
        palette = QPalette(option.palette)
        for group in (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive):
            palette.setColor(group, QPalette.ColorRole.Highlight, _ground(option.palette))
            words = option.palette.color(QPalette.ColorRole.Text)
            palette.setColor(group, QPalette.ColorRole.HighlightedText, words)
        option.palette = palette
        option.state &= ~QStyle.StateFlag.State_HasFocus


def _ground(palette: QPalette) -> QColor:
    return mixed(accent(palette), palette.color(QPalette.ColorRole.Base), _ACCENT)
