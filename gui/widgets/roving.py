# SPDX-License-Identifier: Apache-2.0
"""Arrow keys within a list of widgets: Tab goes to the list once, the arrows move inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget

_STEPS: Final[dict[int, int]] = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}


class RovingFocus(QObject):
    """Moves the focus among ``items`` with Up, Down, Home and End; one of them is a tab stop."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._items: list[QWidget] = []

    def set_items(self, items: Sequence[QWidget]) -> None:
        """The widgets in their order; the first is the tab stop until another had the focus."""
        self._items = list(items)
        for item in self._items:
            item.installEventFilter(self)
        if self._items:
            self.make_tab_stop(self._items[0])

    def make_tab_stop(self, chosen: QWidget) -> None:
        """Let Tab lead to this one."""
        for item in self._items:
            tab = item is chosen
            policy = Qt.FocusPolicy.StrongFocus if tab else Qt.FocusPolicy.ClickFocus
            item.setFocusPolicy(policy)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the keys that move."""
        if watched in self._items and isinstance(watched, QWidget):
            if event.type() is QEvent.Type.FocusIn:
                self.make_tab_stop(watched)
            elif event.type() is QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
                return self._move(watched, event.key())
        return False

    def _move(self, item: QWidget, key: int) -> bool:
        here = self._items.index(item)
        if key in _STEPS:
            there = here + _STEPS[key]
        elif key == Qt.Key.Key_Home:
            there = 0
        elif key == Qt.Key.Key_End:
            there = len(self._items) - 1
        else:
            return False
        if 0 <= there < len(self._items):
            self._items[there].setFocus(Qt.FocusReason.OtherFocusReason)
        return True
