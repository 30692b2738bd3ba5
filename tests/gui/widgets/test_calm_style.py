# SPDX-License-Identifier: Apache-2.0
"""The style: what can be filled in is seen, what has the keyboard is seen, scroll bars work."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QLineEdit,
    QListWidget,
    QPushButton,
    QRadioButton,
    QScrollBar,
    QSpinBox,
    QStyle,
    QStyleOptionSlider,
    QVBoxLayout,
    QWidget,
)

from watchword.gui.theme import Scheme
from watchword.gui.widgets.calm_style import field_edge
from watchword.gui.widgets.explained import ExplainButton
from watchword.gui.widgets.tones import accent

from .looks import colours_in
from .sheets import SHEETS

FIELDS = (QLineEdit, QComboBox, QSpinBox, QCheckBox, QRadioButton)
FOCUSABLE = (QLineEdit, QSpinBox, QCheckBox, QRadioButton, QPushButton, QListWidget)


def has_nearly(colour: QColor, widget: QWidget) -> bool:
    """Whether the colour is in the widget's picture, but for what antialiasing makes of it."""
    wanted = colour.getRgb()
    for name in colours_in(widget):
        parts = zip(wanted, QColor(name).getRgb(), strict=True)
        if all(abs(one - other) <= 20 for one, other in parts):
            return True
    return False


@pytest.fixture
def window_with(qtbot):
    """Makes a window of widgets, and keeps it for as long as the test lasts."""
    windows: list[QWidget] = []

    def make(*widgets: QWidget) -> None:
        window = QWidget()
        windows.append(window)
        column = QVBoxLayout(window)
        for widget in widgets:
            column.addWidget(widget)
        qtbot.addWidget(window)
        window.show()
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)

    return make


@pytest.mark.parametrize("kind", FIELDS)
def test_the_line_around_a_field_is_seen_in_both_palettes(qtbot, window_with, scheme, kind) -> None:
    first, field = QPushButton("first"), kind()
    window_with(first, field)
    first.setFocus()
    assert has_nearly(field_edge(field.palette()), field)


@pytest.mark.parametrize("kind", FOCUSABLE)
def test_where_the_keyboard_is_is_seen(qtbot, window_with, scheme, kind) -> None:
    first, second = QPushButton("first"), kind()
    if isinstance(second, QCheckBox | QRadioButton):
        second.setText("words")
    window_with(first, second)
    first.setFocus()
    mark = accent(second.palette()).name()
    assert mark not in colours_in(second)
    qtbot.keyClick(first, Qt.Key.Key_Tab)
    assert second.hasFocus()
    assert mark in colours_in(second)


def test_where_the_keyboard_is_is_seen_on_an_icon_too(qtbot, window_with, scheme) -> None:
    first, second = QPushButton("first"), ExplainButton("pdh")
    window_with(first, second)
    first.setFocus()
    qtbot.keyClick(first, Qt.Key.Key_Tab)
    assert second.hasFocus()
    assert accent(second.palette()).name() in colours_in(second)


def test_what_is_ticked_has_the_accent(qtbot, window_with, scheme) -> None:
    box, button = QCheckBox(), QRadioButton()
    window_with(QPushButton(), box, button)
    for widget in (box, button):
        mark = accent(widget.palette()).name()
        assert mark not in colours_in(widget)
        widget.setChecked(True)
        assert mark in colours_in(widget)
    box.setTristate(True)
    box.setCheckState(Qt.CheckState.PartiallyChecked)
    assert accent(box.palette()).name() in colours_in(box)


def test_the_one_button_that_goes_on_stands_out(qtbot, window_with, scheme) -> None:
    plain, primary, off = QPushButton("a"), QPushButton("b"), QPushButton("c")
    for button in (primary, off):
        button.setProperty("primary", True)
    off.setEnabled(False)
    window_with(QLineEdit(), plain, primary, off)
    mark = accent(plain.palette()).name()
    assert [mark in colours_in(b) for b in (plain, primary, off)] == [False, True, False]


def test_a_pressed_button_looks_pressed(qtbot, window_with, scheme) -> None:
    button = QPushButton("press")
    window_with(QLineEdit(), button)
    before = button.grab().toImage()
    button.setDown(True)
    assert button.grab().toImage() != before


def test_fields_and_buttons_are_of_one_height(qtbot, window_with) -> None:
    widgets = [QLineEdit(), QComboBox(), QSpinBox(), QPushButton("x")]
    window_with(*widgets)
    heights = [widget.sizeHint().height() for widget in widgets]
    assert max(heights) - min(heights) <= 2


# -- scroll bars -----------------------------------------------------------------


@pytest.fixture(params=[Qt.Orientation.Vertical, Qt.Orientation.Horizontal])
def bar(request, qtbot) -> QScrollBar:
    bar = QScrollBar(request.param)
    qtbot.addWidget(bar)
    bar.setRange(0, 100)
    bar.setPageStep(25)
    bar.resize(200, 200)
    bar.show()
    return bar


def part(bar: QScrollBar, which: QStyle.SubControl):
    option = QStyleOptionSlider()
    bar.initStyleOption(option)
    return bar.style().subControlRect(QStyle.ComplexControl.CC_ScrollBar, option, which, bar)


def along(bar: QScrollBar, point: QPoint) -> int:
    return point.y() if bar.orientation() is Qt.Orientation.Vertical else point.x()


def test_the_handle_goes_from_end_to_end(bar: QScrollBar) -> None:
    whole = part(bar, QStyle.SubControl.SC_ScrollBarGroove)
    bar.setValue(0)
    first = part(bar, QStyle.SubControl.SC_ScrollBarSlider)
    assert along(bar, first.topLeft()) == along(bar, whole.topLeft())
    bar.setValue(100)
    last = part(bar, QStyle.SubControl.SC_ScrollBarSlider)
    assert along(bar, last.bottomRight()) == along(bar, whole.bottomRight())
    assert whole.contains(last)


def test_there_are_no_arrows(bar: QScrollBar) -> None:
    assert part(bar, QStyle.SubControl.SC_ScrollBarAddLine).isEmpty()
    assert part(bar, QStyle.SubControl.SC_ScrollBarSubLine).isEmpty()


def test_a_click_beside_the_handle_goes_a_page_on(qtbot, bar: QScrollBar) -> None:
    bar.setValue(50)
    after = part(bar, QStyle.SubControl.SC_ScrollBarAddPage)
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=after.center())
    assert bar.value() == 75
    before = part(bar, QStyle.SubControl.SC_ScrollBarSubPage)
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=before.center())
    assert bar.value() == 50


def test_the_handle_can_be_dragged(qtbot, bar: QScrollBar) -> None:
    bar.setValue(0)
    start = part(bar, QStyle.SubControl.SC_ScrollBarSlider).center()
    upright = bar.orientation() is Qt.Orientation.Vertical
    end = start + (QPoint(0, 60) if upright else QPoint(60, 0))
    qtbot.mousePress(bar, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(bar, end)
    qtbot.mouseRelease(bar, Qt.MouseButton.LeftButton, pos=end)
    assert 30 <= bar.value() <= 50


def test_the_handle_is_never_too_short_to_be_caught(bar: QScrollBar) -> None:
    bar.setRange(0, 1_000_000)
    handle = part(bar, QStyle.SubControl.SC_ScrollBarSlider)
    assert along(bar, handle.bottomRight()) - along(bar, handle.topLeft()) >= 27


def test_where_there_is_nothing_to_scroll_there_is_no_handle(bar: QScrollBar) -> None:
    bar.setRange(0, 0)
    assert len(colours_in(bar)) == 1


# -- switching while the program runs --------------------------------------------


@pytest.mark.parametrize("name", sorted(set(SHEETS) - {"small"}))  # in which something moves
def test_a_switch_reaches_what_is_there_already(qtbot, theme, name: str) -> None:
    old = SHEETS[name]()
    qtbot.addWidget(old)
    old.show()
    QApplication.processEvents()
    theme.scheme = Scheme.DARK
    try:
        QApplication.processEvents()
        new = SHEETS[name]()
        qtbot.addWidget(new)
        new.show()
        QApplication.processEvents()
        switched, made_so = colours_in(old), colours_in(new)
    finally:
        theme.scheme = Scheme.LIGHT
    light = QColor("#f5f6f8").name()
    assert light not in switched
    assert len(switched ^ made_so) <= len(made_so) // 4  # antialiasing, and who has the focus
