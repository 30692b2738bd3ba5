# SPDX-License-Identifier: Apache-2.0
"""A recorded launch from the first page to the last without a mouse."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QWidget

from watchword.core.launch.record import LaunchState

from ...core.launch.support import SECRET, state_of
from .support import Person

MOST_TABS = 80


class Typist(Person):
    """Has keys alone; a person who clicks fails."""

    def __init__(self, person):
        super().__init__(person.qtbot, person.wizard)

    def click(self, button):
        raise AssertionError("there is no mouse")

    def press(self, key, times=1):
        for _ in range(times):
            self.qtbot.keyClick(QApplication.focusWidget(), key)

    def type(self, words):
        self.qtbot.keyClicks(QApplication.focusWidget(), words)

    def tab_to(self, wanted: QWidget):
        """Forwards, as far as it takes."""
        self.until(lambda: wanted.isVisible() and wanted.isEnabled())
        for _ in range(MOST_TABS):
            if QApplication.focusWidget() is wanted:
                return
            self.press(Qt.Key.Key_Tab)
        raise AssertionError(f"Tab does not lead to {wanted.accessibleName() or wanted}")

    def push(self, button):
        self.tab_to(button)
        self.press(Qt.Key.Key_Space)


@pytest.fixture
def typist(make_wizard):
    return Typist(make_wizard())


def to_the_launch_blob(typist, url):
    choices = typist.wizard.choices
    typist.until(lambda: choices.guests.currentText() == "vm1")
    typist.tab_to(choices.host)
    typist.type(url)
    typist.push(typist.row.primary)
    typist.rest_on("platform")
    typist.push(typist.wizard.platform.accept.accept)
    typist.rest_on("session")


def test_the_whole_launch_by_keyboard_alone(typist, office, host):
    to_the_launch_blob(typist, host.url)
    place = host.home / "by-hand.sock"
    host.start(typist.wizard.run.material, place=place)
    # The list of steps is walked by arrows, and Tab leads from there into the page.
    typist.tab_to(typist.frame.stepper.button("session"))
    typist.press(Qt.Key.Key_Down)
    typist.press(Qt.Key.Key_Return)
    assert typist.page == "start"
    typist.tab_to(typist.wizard.start.host.url)
    typist.press(Qt.Key.Key_End)
    QApplication.focusWidget().selectAll()
    typist.type(f"qmp+unix://{place}")
    typist.press(Qt.Key.Key_Return)
    typist.rest_on("secret")
    # Enter alone never hands the secret over.
    typist.press(Qt.Key.Key_Return, 3)
    typist.rest()
    assert host.packets == ()
    typist.push(typist.row.primary)
    typist.rest_on("run")
    assert typist.launch.complete
    assert host.machine.memory.holds(SECRET)
    assert state_of(office, typist.launch.id) is LaunchState.RUNNING
    with typist.qtbot.waitSignal(typist.wizard.left):
        typist.push(typist.row.primary)


def test_every_page_of_a_finished_launch_lets_tab_go_all_around(typist, host):
    to_the_launch_blob(typist, host.url)
    host.start_in_place(typist.wizard.run.material)
    typist.push(typist.row.primary)
    typist.rest_on("secret")
    typist.push(typist.row.primary)
    typist.rest_on("run")
    for step in typist.frame.pages:
        typist.frame.go(step)
        typist.row.primary.setFocus()
        typist.press(Qt.Key.Key_Tab)
        typist.tab_to(typist.row.primary)
    keeping = typist.wizard.evidence.keeping
    for button in (*keeping.buttons.values(), keeping.ledger):
        typist.tab_to(button)


def test_escape_stops_the_wait_for_the_vm(typist, host):
    to_the_launch_blob(typist, host.url)
    typist.push(typist.row.primary)
    typist.until(lambda: typist.page == "start" and typist.waits_for_vm)
    typist.press(Qt.Key.Key_Escape)
    typist.rest_on("start")
    assert not typist.launch.marks
