# SPDX-License-Identifier: Apache-2.0
"""A launch whose host is a folder: its turns are copied out and pasted in, in the window."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QGuiApplication

from watchword.core.launch.record import LaunchState

from ...core.hosts.exchange_people import Operator
from ...core.launch.support import SECRET, state_of
from .support import accept, begin


@pytest.fixture
def carried(office):
    return office.home / "carried"


def answer(person, panel, text):
    """Paste what came by mail."""
    person.until(panel.isVisible)
    QGuiApplication.clipboard().setText(text)
    person.click(panel.area.paste_button)


def test_all_turns_by_paste_lead_to_a_running_guest(make_wizard, office, host, carried):
    person = make_wizard()
    operator = Operator(host.host, carried)
    begin(person, f"exchange://{carried}")
    person.rest_on("platform")
    panel = person.wizard.platform.exchange
    person.click(panel.copying)
    person.until(lambda: "TURN 1" in QGuiApplication.clipboard().text())
    answer(person, panel, host.call(operator.capabilities()))
    person.until(person.wizard.platform.accept.isVisible)
    accept(person)
    person.go_on()
    person.rest_on("start")
    panel = person.wizard.start.exchange
    person.click(panel.copying)
    person.until(lambda: "TURN 2" in QGuiApplication.clipboard().text())
    host.call(operator.start_vm())
    answer(person, panel, host.call(operator.send("2", "ask.qmp")))
    person.rest_on("secret")
    person.go_on()
    person.rest_on("run")
    assert state_of(office, person.launch.id) is LaunchState.HANDED_OVER
    host.call(operator.send("4", "inject.qmp"))
    panel = person.wizard.evidence.exchange
    answer(person, panel, host.call(operator.send("4", "run.qmp")))
    person.until(lambda: person.launch.complete)
    assert operator.machine.machine.memory.holds(SECRET)
    assert state_of(office, person.launch.id) is LaunchState.RUNNING


def test_an_answer_of_another_launch_is_not_taken(make_wizard, host, carried):
    person = make_wizard()
    operator = Operator(host.host, carried)
    begin(person, f"exchange://{carried}")
    person.rest_on("platform")
    panel = person.wizard.platform.exchange
    text = host.call(operator.capabilities())
    foreign = (
        "-----BEGIN WATCHWORD ANSWER 1 OF LAUNCH another-1-----\n"
        f"{text}\n-----END WATCHWORD ANSWER 1-----\n"
    )
    answer(person, panel, foreign)
    person.until(panel.banner.isVisible)
    assert "reply-of-another-launch" in panel.banner.report
    person.rest()
    assert person.page == "platform"


def test_an_answer_may_be_dropped_as_a_file(make_wizard, host, carried, tmp_path):
    person = make_wizard()
    operator = Operator(host.host, carried)
    begin(person, f"exchange://{carried}")
    person.rest_on("platform")
    file = tmp_path / "answer.txt"
    file.write_text(host.call(operator.capabilities()))
    person.wizard.platform.exchange.area.add_files([str(file)])
    person.until(person.wizard.platform.accept.isVisible)
