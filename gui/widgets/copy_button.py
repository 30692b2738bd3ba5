# SPDX-License-Identifier: Apache-2.0
"""A button that copies something public, such as a digest, and says that it did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QToolButton, QWidget

from .escape import tool_tip
from .icons import icon_side, muted_icon, tone_icon
from .tones import Tone

_SAY_FOR: Final = 2000
"""How long the button says that it copied, in milliseconds."""


class CopyButton(QToolButton):
    """Copies a text, or what a function gives at that moment.

    ``what``   names it: “PDH fingerprint” gives the accessible name “Copy PDH fingerprint”
    ``label``  words on the button; without them it is an icon alone
    """

    copied = Signal()

    def __init__(
        self,
        text: str | Callable[[], str],
        what: str,
        *,
        label: str = "",
        say_for: int = _SAY_FOR,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._source = text
        self._name = self.tr("Copy {what}").format(what=what)
        self._label = label
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(say_for)
        self._timer.timeout.connect(self._show_ready)
        self.setAutoRaise(True)
        if label:
            self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        side = icon_side(self)
        self.setIconSize(self.iconSize().scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio))
        self.clicked.connect(self._copy)
        self._show_ready()

    def set_text_to_copy(self, text: str | Callable[[], str]) -> None:
        """Copy something else from now on."""
        self._source = text
        self._timer.stop()
        self._show_ready()

    def _copy(self) -> None:
        text = self._source if isinstance(self._source, str) else self._source()
        QGuiApplication.clipboard().setText(text)
        self.setIcon(tone_icon("check", Tone.OK))
        self.setAccessibleName(self.tr("Copied"))
        self.setToolTip(self.tr("Copied"))
        if self._label:
            self.setText(self.tr("Copied"))
        self._timer.start()
        self.copied.emit()

    def _show_ready(self) -> None:
        self.setIcon(muted_icon("copy"))
        self.setAccessibleName(self._name)
        self.setToolTip(tool_tip(self._name))
        self.setText(self._label)
