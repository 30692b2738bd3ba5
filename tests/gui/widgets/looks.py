# SPDX-License-Identifier: Apache-2.0
"""What tests ask of any widget: its name, whether its text fits, what it looks like."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QImage
from PySide6.QtWidgets import QAbstractButton, QLabel, QScrollBar, QWidget


def shown(root: QWidget) -> Iterator[QWidget]:
    """The widget and all that can be seen in it."""
    for widget in [root, *root.findChildren(QWidget)]:
        if widget.isVisible():
            yield widget


def name_of(widget: QWidget) -> str:
    """What a screen reader calls it."""
    found = QAccessible.queryAccessibleInterface(widget)
    return found.text(QAccessible.Text.Name) if found is not None else ""


def nameless(root: QWidget) -> list[str]:
    """Widgets that can have the focus and have no name; inner parts of Qt's own are left out."""
    return [
        repr(widget)
        for widget in shown(root)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and not widget.objectName().startswith("qt_")
        and not isinstance(widget, QScrollBar)
        and not name_of(widget).strip()
    ]


def cut_off(root: QWidget) -> list[str]:
    """Labels and buttons whose text has not the room that it needs."""
    return [
        f"{widget.text()!r} has {widget.width()}x{widget.height()}, needs {wide}x{high}"
        for widget in shown(root)
        if isinstance(widget, QLabel | QAbstractButton) and widget.text()
        for wide, high in [_needs(widget)]
        if widget.width() < wide or widget.height() < high
    ]


def _needs(widget: QWidget) -> tuple[int, int]:
    if isinstance(widget, QLabel) and widget.wordWrap():
        return 0, widget.heightForWidth(widget.width())
    hint = widget.sizeHint()
    if widget.hasHeightForWidth():
        return hint.width(), widget.heightForWidth(widget.width())
    return hint.width(), hint.height()


def colours_in(root: QWidget) -> set[str]:
    """All colours of the widget's picture."""
    image = root.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = set(memoryview(image.constBits()).cast("I"))
    return {f"#{pixel & 0xFFFFFF:06x}" for pixel in pixels}
