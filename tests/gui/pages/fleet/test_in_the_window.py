# SPDX-License-Identifier: Apache-2.0
"""The page of fleets among the others: its keys, its launches in their list, and the end."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QMessageBox

from ...widgets.looks import cut_off, nameless
from ..fleet_support import FLEET, Operator


def test_a_launch_of_the_fleet_is_shown_in_the_list_of_launches(qtbot, window, room):
    room.unlock()
    page = window._fleet
    person = Operator(qtbot, page)
    with room.hosts():
        person.open(room.manifest(2))
        person.run(page.actions_row.start)
    page.table.table.selectRow(1)
    person.press(page.row.showing)
    person.until(lambda: window.launching.page is not None)
    shown = window.launching.page
    person.until(lambda: shown.selected is not None and shown.selected.id == wanted(page))
    assert window._stack.currentWidget() is shown
    shown.search.setText("nothing")
    person.until(lambda: shown.model.rowCount() == 0)
    page.launchWanted.emit(page.model.row(0).launch_id)
    person.until(lambda: shown.selected is not None)
    person.until(lambda: shown.selected.id == page.model.row(0).launch_id)


def wanted(page):
    return page.model.row(1).launch_id


def test_closing_the_window_while_a_fleet_is_under_way_asks(qtbot, window, room):
    room.unlock()
    page = window._fleet
    person = Operator(qtbot, page)
    person.open(room.manifest(2))
    person.press(page.actions_row.start)
    person.until(lambda: all((room.folder / "out" / f"v{n}").exists() for n in (1, 2)))
    with qtbot.assertNotEmitted(window.closed):
        window.close()
    (box,) = window.findChildren(QMessageBox)
    next(one for one in box.buttons() if "Wait" in one.text()).click()
    assert page.run.running
    window.close()
    (box,) = (one for one in window.findChildren(QMessageBox) if one.isVisible())
    with qtbot.waitSignal(window.closed):
        next(one for one in box.buttons() if "Stop" in one.text()).click()
    assert set(person.outcomes().values()) == {"interrupted"}


def test_the_page_has_its_place_and_its_keys(qtbot, window):
    window.show_page(0)
    window.activateWindow()
    keys = Qt.KeyboardModifier.ControlModifier
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key(Qt.Key.Key_1 + FLEET), keys)
    assert window._stack.currentWidget() is window._fleet
    assert window.sidebar.buttons[FLEET].isChecked()
    window.resize(1024, 700)
    QApplication.processEvents()
    assert (cut_off(window._fleet), nameless(window._fleet)) == ([], [])
