# SPDX-License-Identifier: Apache-2.0
"""What several widgets do with layouts."""

from __future__ import annotations

from PySide6.QtWidgets import QLayout


def empty_out(layout: QLayout) -> None:
    """Take all widgets out of a layout and let them go; they vanish at once."""
    while (item := layout.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.hide()
            widget.deleteLater()
