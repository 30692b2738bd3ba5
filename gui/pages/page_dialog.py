# SPDX-License-Identifier: Apache-2.0
"""A dialog over a page: a title, what it is about, fields, and one button that does it."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from watchword.core.errors import WatchwordError

from ..widgets.banner import Banner
from ..widgets.drop_area import DropArea
from ..widgets.fonts import LARGE, NORMAL, SMALL
from ..widgets.text_label import TextLabel
from .page_work import lay_out_now

_WIDTH: Final = 560
_BESIDE: Final = 48
"""Pixels of the screen that a dialog leaves free, for the frame and a panel."""
_MOST_WIDGETS: Final = 1000


class _Sheet(QWidget):
    """What scrolls; says when it needs another height."""

    changed = Signal()

    def event(self, event: QEvent) -> bool:
        """Look out for a widget that was shown, hidden or given longer words."""
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            self.changed.emit()
        return done


class PageDialog(QDialog):
    """``agreed`` comes with the button; the page does the work, then accepts the dialog.

    While that lasts :meth:`set_busy`; what goes wrong is shown here by :meth:`show_error`,
    and what was filled in stays. It is shown by ``open()``, never by ``exec()``.
    """

    agreed = Signal()

    def __init__(self, title: str, sentence: str, button: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.banner = Banner()
        self.body = QVBoxLayout()
        self.body.setSpacing(NORMAL)
        self.refusing = QPushButton(self.tr("Cancel"))
        self.refusing.clicked.connect(self.reject)
        self.agreeing = QPushButton(button)
        self.agreeing.setDefault(True)
        self.agreeing.setProperty("primary", True)
        self.agreeing.clicked.connect(self._agree)
        self._allowed = True
        self._busy = False
        self._begun = False
        self._lay_out(title, sentence)
        self.setMinimumWidth(_WIDTH)

    def _lay_out(self, title: str, sentence: str) -> None:
        self._sheet = _Sheet()
        inner = QVBoxLayout(self._sheet)
        inner.setContentsMargins(LARGE, LARGE, LARGE, NORMAL)
        inner.setSpacing(NORMAL)
        inner.addWidget(TextLabel(title, size=1.25, bold=True))
        if sentence:
            inner.addWidget(TextLabel(sentence, quiet=True))
        inner.addWidget(self.banner)
        inner.addLayout(self.body)
        inner.addStretch(1)
        scroll = QScrollArea()
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(self._sheet)
        self._row = QHBoxLayout()
        self._row.setContentsMargins(LARGE, NORMAL, LARGE, LARGE)
        self._row.setSpacing(SMALL)
        self._row.addStretch(1)
        self._row.addWidget(self.refusing)
        self._row.addWidget(self.agreeing)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(scroll, 1)
        column.addLayout(self._row)
        self._sheet.changed.connect(self._fit, Qt.ConnectionType.QueuedConnection)

    def showEvent(self, event: QShowEvent) -> None:
        """Be as high as what is in it, from the first picture on."""
        self._fit()
        super().showEvent(event)
        lay_out_now()
        self._begin_at_first_field()

    def _begin_at_first_field(self) -> None:
        """Who opens a dialog with fields wants to fill them in; other dialogs choose themselves."""
        if self._begun or self._sheet.isAncestorOf(self.focusWidget() or self):
            return
        self._begun = True
        kinds = (QLineEdit, QPlainTextEdit, QComboBox, DropArea)
        widget = self._sheet.nextInFocusChain()
        for _ in range(_MOST_WIDGETS):
            if widget is None or widget is self._sheet:
                return
            if isinstance(widget, kinds) and self._sheet.isAncestorOf(widget):
                target = widget.browse if isinstance(widget, DropArea) else widget
                if target.isVisible() and target.isEnabled():
                    target.setFocus(Qt.FocusReason.OtherFocusReason)
                    return
            widget = widget.nextInFocusChain()

    def _fit(self) -> None:
        """Grow with the content, up to the height of the screen; beyond that it scrolls."""
        wanted = self._sheet.heightForWidth(self.width()) + self._row.sizeHint().height()
        room = self.screen().availableGeometry().height() - _BESIDE
        self.resize(self.width(), min(wanted, room))

    def set_allowed(self, allowed: bool) -> None:
        """Whether what is filled in is enough for the button."""
        self._allowed = allowed
        self._follow()

    def set_busy(self, busy: bool) -> None:
        """Whether it is being done."""
        self._busy = busy
        self._follow()

    def show_error(self, error: WatchwordError) -> None:
        """Say why it was not done."""
        self.set_busy(False)
        self.banner.show_error(error)

    def _follow(self) -> None:
        self.agreeing.setEnabled(self._allowed and not self._busy)

    def _agree(self) -> None:
        self.banner.clear()
        self.set_busy(True)
        self.agreed.emit()
