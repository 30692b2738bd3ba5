# SPDX-License-Identifier: Apache-2.0
"""Names and values in two aligned columns, each value with a button that copies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtWidgets import QGridLayout, QWidget

from .copy_button import CopyButton
from .explained import Explained
from .fonts import SMALL, WIDE
from .hex_text import HexText
from .layouts import empty_out
from .text_label import TextLabel


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    ``term``  key in the glossary, for a “?” beside the name
    ``hex``   grouped, in a fixed-width font
    """

    name: str
    value: str
    copy: bool = False
    hex: bool = False
    term: str = ""


class KeyValueTable(QWidget):
    """A table without lines; foreign values may be given as they are."""

    def __init__(self, rows: Sequence[Row] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(WIDE)
        self._grid.setVerticalSpacing(SMALL)
        self._grid.setColumnStretch(1, 1)
        self.set_rows(rows)

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows in place of those before."""
        empty_out(self._grid)
        for number, row in enumerate(rows):
            self._add(number, row)

    def _add(self, number: int, row: Row) -> None:
        name: QWidget
        if row.term:
            name = Explained(row.term, row.name, quiet=True)
        else:
            name = TextLabel(row.name, quiet=True)
            name.setWordWrap(False)
        self._grid.addWidget(name, number, 0)
        value = HexText(row.value, row.name) if row.hex else TextLabel(row.value)
        self._grid.addWidget(value, number, 1)
        if row.copy:
            self._grid.addWidget(CopyButton(row.value, row.name), number, 2)
