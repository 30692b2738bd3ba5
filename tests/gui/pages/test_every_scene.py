# SPDX-License-Identifier: Apache-2.0
"""Every page and dialog in the smallest window: room for its words, names, a way for the Tab key.

The smallest one is 1366x768 at 150 %, in device-independent pixels, less the sidebar.
"""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTableView,
    QWidget,
)

from ..widgets.looks import colours_in, cut_off, nameless, shown
from .more_scenes import EVERY

SMALLEST = (911 - 180, 512)
ROLES = {
    QAbstractButton: {
        QAccessible.Role.Button,
        QAccessible.Role.CheckBox,
        QAccessible.Role.RadioButton,
        QAccessible.Role.ButtonMenu,
    },
    QLineEdit: {QAccessible.Role.EditableText},
    QPlainTextEdit: {QAccessible.Role.EditableText},
    QComboBox: {QAccessible.Role.ComboBox},
    QTableView: {QAccessible.Role.Table},
}


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_cut_off_and_everything_has_a_name(scene, name):
    widget, _ = scene(name)
    assert (cut_off(widget), nameless(widget)) == ([], [])


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_cut_off_in_a_language_with_longer_words(longer_words, scene, name):
    widget, _ = scene(name)
    assert cut_off(widget) == []


@pytest.mark.parametrize("name", EVERY)
def test_a_page_needs_no_sideways_scrolling(longer_words, scene, name):
    widget, page = scene(name)
    if widget is page:
        assert page.minimumSizeHint().width() <= SMALLEST[0]
    else:
        assert widget.width() <= 911


@pytest.mark.parametrize("name", EVERY)
def test_the_tab_key_reaches_everything_and_comes_round_again(scene, name):
    widget, _ = scene(name)
    wanted = {one for one in shown(widget) if _takes_tab(one)}
    reached = _walk(widget)
    assert {repr(one) for one in wanted - reached} == set()


@pytest.mark.parametrize("name", EVERY)
def test_a_screen_reader_finds_what_can_be_operated(scene, name):
    widget, _ = scene(name)
    wrong = []
    for one in shown(widget):
        roles = next((roles for kind, roles in ROLES.items() if isinstance(one, kind)), None)
        if roles is None or one.objectName().startswith("qt_"):
            continue
        found = QAccessible.queryAccessibleInterface(one)
        name_of = found.text(QAccessible.Text.Name).strip()
        operable = found.actionInterface() is not None or not isinstance(one, QAbstractButton)
        if found.role() not in roles or not name_of or not operable:
            wrong.append((repr(one), found.role(), name_of))
    assert wrong == []


@pytest.mark.parametrize("name", EVERY)
def test_every_widget_hangs_in_the_tree_below_its_page(scene, name):
    """What a screen reader walks: from each widget that is operated up to the page."""
    widget, _ = scene(name)
    for one in shown(widget):
        if not _takes_tab(one):
            continue
        found = QAccessible.queryAccessibleInterface(one)
        for _ in range(40):
            if found is None or found.object() is widget:
                break
            found = found.parent()
        assert found is not None, repr(one)
        assert found.object() is widget, repr(one)


@pytest.mark.parametrize("name", EVERY)
def test_one_button_at_most_is_the_primary_one_of_a_dialog(scene, name):
    widget, page = scene(name)
    primary = [
        one for one in shown(widget) if isinstance(one, QAbstractButton) and one.property("primary")
    ]
    assert len(primary) <= (1 if widget is not page else 2), [one.text() for one in primary]


@pytest.mark.parametrize("name", EVERY)
def test_it_is_drawn_in_the_colours_of_the_palette(scene, name, scheme):
    widget, _ = scene(name)
    assert QApplication.palette().window().color().name() in colours_in(widget)


def _takes_tab(widget: QWidget) -> bool:
    return (
        bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
        and widget.isEnabled()
        and widget.focusProxy() is None
        and not widget.objectName().startswith("qt_")
        and not _in_a_group(widget)
    )


def _in_a_group(widget: QWidget) -> bool:
    """Of radio buttons the chosen one has the Tab key, the arrow keys the others."""
    exclusive = isinstance(widget, QAbstractButton) and (
        widget.autoExclusive() or (widget.group() is not None and widget.group().exclusive())
    )
    return exclusive and widget.isCheckable() and not widget.isChecked()


def _walk(root: QWidget) -> set[QWidget]:
    """What the Tab key comes by until it comes round; a trap would leave others out."""
    reached: set[QWidget] = set()
    widget = root
    for _ in range(2000):
        widget = widget.nextInFocusChain()
        if widget is root:
            break
        if root.isAncestorOf(widget) and widget.isVisible():
            reached.add(widget)
    return reached
