# SPDX-License-Identifier: Apache-2.0
"""A term of the field with a button that explains it on the spot."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QPoint, QRect, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from watchword.resources.glossary import Term, term

from .fonts import NORMAL, SMALL, TIGHT, WIDE
from .icons import muted_icon
from .painting import paint_card
from .text_label import TextLabel
from .tones import line, raised

_WIDEST = 420


def translated(text: str) -> str:
    """A sentence of the glossary in the user's language."""
    return QCoreApplication.translate("Glossary", text)


def _title(explained: Term) -> str:
    short, name = translated(explained.short), translated(explained.name)
    return name if short.lower() in name.lower() else f"{short}: {name}"


class Explanation(QFrame):
    """A small window beside the button: what the term is, for beginners and for experts."""

    def __init__(self, explained: Term, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup | Qt.WindowType.FramelessWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)
        plain, expert = translated(explained.plain), translated(explained.expert)
        title = _title(explained)
        self.setAccessibleName(title)
        self.setAccessibleDescription(f"{plain} {expert}")
        column = QVBoxLayout(self)
        column.setContentsMargins(WIDE, NORMAL, WIDE, NORMAL)
        column.setSpacing(SMALL)
        column.addWidget(TextLabel(title, bold=True))
        column.addWidget(TextLabel(plain))
        column.addWidget(TextLabel(expert, quiet=True))
        self.setFixedWidth(_WIDEST)

    def open_below(self, anchor: QWidget) -> None:
        """Show it below a widget, within the screen."""
        self.adjustSize()
        self.resize(self.width(), self.heightForWidth(self.width()))
        place = anchor.mapToGlobal(QPoint(0, anchor.height() + TIGHT))
        screen: QRect = anchor.screen().availableGeometry()
        left = max(screen.left(), min(place.x(), screen.right() - self.width()))
        top = place.y()
        if top + self.height() > screen.bottom():
            top = max(screen.top(), anchor.mapToGlobal(QPoint(0, 0)).y() - self.height() - TIGHT)
        self.move(left, top)
        self.show()
        self.setFocus(Qt.FocusReason.PopupFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Any key that closes windows or chooses closes it."""
        keys = (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
        if event.key() in keys:
            self.close()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the card."""
        painter = QPainter(self)
        paint_card(painter, self.rect(), raised(self.palette()), line(self.palette()))
        painter.end()


class ExplainButton(QToolButton):
    """The “?” alone, for places where the term stands in a heading or a check box already.

    ``key`` is the term's in the glossary; KeyError if it is not there.
    """

    def __init__(self, key: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._term = term(key)
        self.setAutoRaise(True)
        self.setIcon(muted_icon("help"))
        name = self.tr("What is {term}?").format(term=translated(self._term.name))
        self.setAccessibleName(name)
        self.setAccessibleDescription(translated(self._term.plain))
        self.setToolTip(f"<p>{translated(self._term.plain)}</p>")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.clicked.connect(self.explain)

    def explain(self) -> Explanation:
        """Show the explanation."""
        explanation = Explanation(self._term, self)
        explanation.open_below(self)
        return explanation


class Explained(QWidget):
    """A term as a label with its “?”; ``text`` is shown in place of the term's short name."""

    def __init__(
        self, key: str, text: str = "", *, quiet: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.label = TextLabel(text or translated(term(key).short), quiet=quiet)
        self.label.setWordWrap(False)
        self.button = ExplainButton(key)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.label)
        row.addWidget(self.button)
        row.addStretch(1)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
