# SPDX-License-Identifier: Apache-2.0
"""The main window's sidebar: the pages by icon and name, and how the window looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeyEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QAbstractButton, QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from .theme import Scheme
from .widgets.fonts import NORMAL, RADIUS, SMALL, TIGHT, WIDE, sized
from .widgets.icons import icon_side, muted_icon, paint_icon
from .widgets.painting import paint_focus
from .widgets.roving import RovingFocus
from .widgets.text_label import TextLabel
from .widgets.tones import accent, line, mixed, muted, selected

_RIGHT: Final = 2 * WIDE
"""Room beside the longest name, so that bold ones fit as well."""
_CHOOSING: Final[tuple[int, ...]] = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class SidebarButton(QAbstractButton):
    """One page: icon and name; checked while it is shown."""

    def __init__(self, icon: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon = icon
        self.setText(title)
        self.setCheckable(True)
        self.setAutoExclusive(True)
        self.setAccessibleName(title)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Room for icon and name."""
        width = self.fontMetrics().horizontalAdvance(self.text())
        side = icon_side(self)
        return QSize(NORMAL + side + NORMAL + width + _RIGHT, side + 2 * SMALL + TIGHT)

    def minimumSizeHint(self) -> QSize:
        """The same: names are never cut."""
        return self.sizeHint()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter chooses as Space does."""
        if event.key() in _CHOOSING and not event.isAutoRepeat():
            self.click()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw ground, icon, name and focus."""
        palette = self.palette()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if self.isChecked() or self.underMouse():
            ground = selected(palette)
            if not self.isChecked():
                ground = mixed(ground, palette.color(QPalette.ColorRole.Window), 0.5)
            painter.setBrush(ground)
            painter.drawRoundedRect(QRectF(self.rect()), RADIUS, RADIUS)
        colour = accent(palette) if self.isChecked() else muted(palette)
        side = icon_side(self)
        place = QRectF(NORMAL, (self.height() - side) / 2, side, side)
        paint_icon(painter, self._icon, place, colour)
        painter.setFont(sized(self.font(), 1.0, bold=self.isChecked()))
        painter.setPen(palette.color(QPalette.ColorRole.WindowText))
        left = NORMAL + side + NORMAL
        words = QRect(left, 0, self.width() - left, self.height())
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, self.text())
        if self.hasFocus():
            paint_focus(painter, self.rect(), palette)
        painter.end()


class Sidebar(QWidget):
    """``chosen`` comes with the number of a page, ``schemeChosen`` with how it shall look."""

    chosen = Signal(int)
    schemeChosen = Signal(object)

    def __init__(self, entries: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Pages"))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        column = QVBoxLayout(self)
        column.setContentsMargins(NORMAL, WIDE, NORMAL, NORMAL)
        column.setSpacing(TIGHT)
        name = TextLabel("Watchword", size=1.15, bold=True)
        name.setWordWrap(False)
        name.setContentsMargins(NORMAL, 0, NORMAL, SMALL)
        column.addWidget(name)
        self.buttons: list[SidebarButton] = []
        for number, (icon, title) in enumerate(entries):
            button = SidebarButton(icon, title)
            button.clicked.connect(lambda _=False, place=number: self.chosen.emit(place))
            column.addWidget(button)
            self.buttons.append(button)
        column.addStretch(1)
        self.look = self._look_button()
        column.addWidget(self.look, 0, Qt.AlignmentFlag.AlignLeft)
        self._roving = RovingFocus(self)
        self._roving.set_items(self.buttons)

    def show_page(self, number: int) -> None:
        """Mark the page that is shown."""
        self.buttons[number].setChecked(True)
        self._roving.make_tab_stop(self.buttons[number])

    @property
    def page(self) -> int:
        """The page that is marked."""
        return next((n for n, button in enumerate(self.buttons) if button.isChecked()), 0)

    def show_scheme(self, scheme: Scheme) -> None:
        """Mark how the window looks."""
        for action in self.look.menu().actions():
            action.setChecked(action.data() == scheme.value)

    def _look_button(self) -> QToolButton:
        button = QToolButton()
        button.setText(self.tr("Appearance"))
        button.setAccessibleName(self.tr("Appearance: light or dark"))
        button.setIcon(muted_icon("settings"))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setAutoRaise(True)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        menu = QMenu(button)
        group = QActionGroup(menu)
        for scheme, title in (
            (Scheme.AUTO, self.tr("As the desktop has it")),
            (Scheme.LIGHT, self.tr("Light")),
            (Scheme.DARK, self.tr("Dark")),
        ):
            action = QAction(title, menu)
            action.setCheckable(True)
            action.setData(scheme.value)
            action.triggered.connect(lambda _=False, one=scheme: self.schemeChosen.emit(one))
            group.addAction(action)
            menu.addAction(action)
        button.setMenu(menu)
        return button

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the line to the right."""
        painter = QPainter(self)
        painter.setPen(line(self.palette()))
        painter.drawLine(self.rect().topRight(), self.rect().bottomRight())
        painter.end()
