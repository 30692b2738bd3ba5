# SPDX-License-Identifier: Apache-2.0
"""What holds for every widget: a name, enough room in any language, both palettes, no leftovers."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QScrollArea, QWidget

from watchword.gui.widgets.page_frame import PageFrame

from .looks import colours_in, cut_off, nameless, shown
from .sheets import SHEETS

# 1366x768 at 150 %, in device-independent pixels, less a sidebar and a step list.
SMALLEST = (911 - 330, 512)


@pytest.fixture(params=SHEETS)
def sheet(request, qtbot) -> QWidget:
    """One sheet as a window."""
    widget = SHEETS[request.param]()
    qtbot.addWidget(widget)
    widget.show()
    return widget


@pytest.fixture(params=SHEETS)
def page(request, qtbot) -> PageFrame:
    """One sheet as content of a page in the smallest window."""
    return on_a_page(qtbot, SHEETS[request.param]())


def on_a_page(qtbot, widget: QWidget) -> PageFrame:
    widget.setMinimumWidth(0)
    page = PageFrame("A page", "With a subtitle")
    page.content.addWidget(widget)
    qtbot.addWidget(page)
    page.resize(*SMALLEST)
    page.show()
    QApplication.processEvents()
    return page


def test_whatever_can_have_the_focus_has_a_name(sheet: QWidget) -> None:
    assert nameless(sheet) == []


def test_nothing_is_cut_off_in_the_smallest_window(page: PageFrame) -> None:
    assert cut_off(page) == []


def test_nothing_is_cut_off_in_a_language_with_longer_words(qtbot, longer_words) -> None:
    for name, build in SHEETS.items():
        page = on_a_page(qtbot, build())
        assert (name, cut_off(page)) == (name, [])
        page.close()


def test_a_page_in_the_smallest_window_needs_no_scrolling_sideways(page: PageFrame) -> None:
    assert page.findChild(QScrollArea).horizontalScrollBar().maximum() == 0


def test_it_is_drawn_in_either_palette(scheme, qtbot) -> None:
    for build in SHEETS.values():
        widget = build()
        qtbot.addWidget(widget)
        widget.show()
        assert widget.palette().window().color().name() in colours_in(widget)
        assert len(colours_in(widget)) > 5
        widget.close()


def test_tab_goes_through_all_of_it_and_comes_back(qtbot, sheet: QWidget) -> None:
    sheet.activateWindow()
    stops = [
        widget
        for widget in shown(sheet)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isEnabled()
    ]
    if not stops:
        return
    stops[0].setFocus()
    seen = set()
    for _ in range(len(stops) + 5):
        focused = sheet.focusWidget()
        seen.add(focused)
        qtbot.keyClick(focused, Qt.Key.Key_Tab)
    inner = [w for w in stops if w.objectName().startswith("qt_") or w.focusProxy() is not None]
    assert set(stops) - seen - set(inner) == set()
