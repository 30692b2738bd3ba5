# SPDX-License-Identifier: Apache-2.0
"""Each page of a recorded launch in the smallest window: names, room for its words, and roles."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication

from ..widgets.looks import cut_off, nameless
from .support import begin

SMALLEST = (911, 512)
"""1366x768 at 150 %, in device-independent pixels; the wizard fills the window."""


@pytest.fixture
def walk(make_wizard, host, office):
    """Goes through a launch from its first page to its last one; yields the wizard at each."""

    def pages():
        person = make_wizard()
        person.wizard.resize(*SMALLEST)
        person.until(lambda: person.wizard.choices.guests.currentText() == "vm1")
        yield "guest", person
        begin(person, host.url)
        person.rest_on("platform")
        yield "platform", person
        person.click(person.wizard.platform.accept.accept)
        person.rest_on("session")
        yield "session", person
        person.frame.go("start")
        yield "start", person
        person.frame.go("session")
        host.start_in_place(person.wizard.run.material)
        person.go_on()
        person.rest_on("secret")
        for page in ("measurement", "secret"):
            person.frame.go(page)
            person.rest()
            yield page, person
        person.go_on()
        person.rest_on("run")
        yield "run", person

    return pages


def settled(widget, check):
    """What is wrong still, once all that was just shown is laid out."""
    for _ in range(50):
        if not (found := check(widget)):
            break
        QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
        QApplication.processEvents()
    return found


def test_every_page_has_names_and_room(walk):
    wrong = {}
    for name, person in walk():
        for check in (nameless, cut_off):
            if found := settled(person.wizard, check):
                wrong[name] = found
    assert wrong == {}


def test_every_page_has_room_for_longer_words(longer_words, walk):
    wrong = {}
    for name, person in walk():
        if found := settled(person.wizard, cut_off):
            wrong[name] = found
    assert wrong == {}
