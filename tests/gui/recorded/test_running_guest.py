# SPDX-License-Identifier: Apache-2.0
"""*Status* and *Stop* on the page of launches, over a guest that runs on a simulated host."""

from __future__ import annotations

import asyncio
import threading

import pytest
from PySide6.QtCore import Qt

from watchword.core.launch.record import LaunchState
from watchword.core.launch.surroundings import connector
from watchword.core.simulator import attack_named
from watchword.core.simulator.attack import Attack
from watchword.gui.pages.launches_page import LaunchesPage
from watchword.gui.widgets.tones import Tone

from ...core.launch.support import cek_of, state_of


class LiesAboutTheState(Attack):
    """Says that the guest runs, whatever it does."""

    def execute(self, _machine, command, _arguments, proceed):
        answer = proceed()
        if command == "query-status":
            return {**answer, "running": True, "status": "running"}
        return answer


class AnotherNonce(Attack):
    """Replays the first report that it ever made."""

    def __init__(self):
        self._kept = None

    def execute(self, _machine, command, _arguments, proceed):
        answer = proceed()
        if command != "query-sev-attestation-report":
            return answer
        self._kept = self._kept or answer
        return self._kept


class NoReport(Attack):
    """Has never heard of reports, as QEMU before 6.1."""

    def execute(self, _machine, command, _arguments, proceed):
        if command == "query-sev-attestation-report":
            return {"data": ""}
        return proceed()


class Stalls(Attack):
    """Says nothing any more; ``held`` is set while somebody waits, ``left`` once he is gone."""

    def __init__(self):
        self.held = threading.Event()
        self.left = threading.Event()

    async def deliver(self, wire, command, reply):
        if command in (None, "qmp_capabilities"):
            await wire.send(reply)
            return
        self.held.set()
        try:
            await wire.hold(600)
        finally:
            self.left.set()


@pytest.fixture
def launch_id(office, host, keys):
    """A launch whose guest runs on the host, which goes on answering."""

    async def scenario():
        with office.desk(connect=connector()) as desk:
            run = desk.new(office.order(host=host.url, accept_platform=cek_of(keys)))
            await run.run(until="session")
            await asyncio.to_thread(host.start_in_place, run.material)
            await run.run()
            run.close()
            return run.id

    return asyncio.run(scenario())


@pytest.fixture
def page(qtbot, bridge, theme, service, launch_id):
    made = LaunchesPage(bridge, service)
    qtbot.addWidget(made)
    made.resize(960, 700)
    with qtbot.waitExposed(made):
        made.show()
    with qtbot.waitSignal(made.loaded):
        made.refresh()
    assert made.selected.id == launch_id
    yield made
    qtbot.waitUntil(lambda: not bridge.busy)


def begin(qtbot, page, button):
    qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled())
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.actions_row._job is not None)


def press(qtbot, page, button):
    begin(qtbot, page, button)
    qtbot.waitUntil(lambda: page.actions_row._job is None)
    qtbot.waitUntil(page.banner.isVisible)


def kinds(office, launch_id):
    return office.ledger_kinds(launch_id)


def test_the_status_is_a_fresh_report_that_the_processor_signed(
    qtbot, office, host, page, launch_id
):
    before = len(kinds(office, launch_id))
    for times in (1, 2):
        press(qtbot, page, page.actions_row.status)
        assert page.banner.tone is Tone.OK
        assert "confirmed just now" in page.banner.report
        assert kinds(office, launch_id)[before:] == ["report-verified"] * times


def test_an_approved_file_that_has_changed_is_said_beside_the_report(
    qtbot, office, host, page, launch_id
):
    office.firmware.write_bytes(b"a newer firmware" * 4096)
    press(qtbot, page, page.actions_row.status)
    assert page.banner.tone is Tone.OK
    assert "an approved file has changed since" in page.banner.report


def test_a_guest_is_stopped_and_then_only_the_host_says_that_it_is_paused(
    qtbot, office, host, page, launch_id
):
    press(qtbot, page, page.actions_row.stop)
    assert host.machine.run_state == "paused"
    assert state_of(office, launch_id) is LaunchState.STOPPED
    assert kinds(office, launch_id)[-1] == "guest-stopped"
    qtbot.waitUntil(lambda: not page.actions_row.stop.isVisible())
    press(qtbot, page, page.actions_row.status)
    assert page.banner.tone is Tone.WARN
    assert "paused" in page.banner.report
    assert "word alone proves nothing" in page.banner.report


def test_a_report_of_another_guest_is_refused_loudly(qtbot, office, host, page, launch_id):
    other = bytearray(office.firmware.read_bytes())
    other[0] ^= 1
    with office.desk() as desk:
        material = desk.show(launch_id).session.material()
    servers = host.host._servers
    host.call(servers.pop().stop())
    host.start(material, bytes(other), place=host.place)
    host.machine.resume()
    press(qtbot, page, page.actions_row.status)
    assert page.banner.tone is Tone.BAD
    assert "report-digest" in page.banner.report
    assert kinds(office, launch_id)[-1] == "report-refused"


def test_a_report_that_is_played_again_is_refused(qtbot, office, host, page, launch_id):
    host.server._attack = AnotherNonce()
    press(qtbot, page, page.actions_row.status)
    assert page.banner.tone is Tone.OK
    press(qtbot, page, page.actions_row.status)
    assert page.banner.tone is Tone.BAD
    assert kinds(office, launch_id)[-1] == "report-refused"


def test_that_it_runs_at_this_moment_stays_the_hosts_word(qtbot, host, page):
    host.machine.pause()
    host.server._attack = LiesAboutTheState()
    press(qtbot, page, page.actions_row.status)
    assert page.banner.tone is Tone.OK
    assert "is the host's word" in page.banner.report


@pytest.mark.parametrize("attack", [NoReport(), *map(attack_named, ("wrong-types", "deep-json"))])
def test_what_is_no_report_is_never_a_confirmation(qtbot, host, page, attack):
    host.server._attack = attack
    press(qtbot, page, page.actions_row.status)
    assert page.banner.tone in (Tone.WARN, Tone.BAD)
    assert "confirmed just now" not in page.banner.report


def test_words_of_the_host_are_shown_and_never_obeyed(qtbot, host, page):
    host.server._attack = attack_named("error-with-markup")
    press(qtbot, page, page.actions_row.status)
    assert page.banner.tone in (Tone.WARN, Tone.BAD)
    for label in page.banner.findChildren(type(page.banner._title)):
        assert label.textFormat() is Qt.TextFormat.PlainText
        assert "\x1b" not in label.text()
        assert "\u202e" not in label.text()


@pytest.mark.parametrize("which", ["status", "stop"])
def test_a_host_that_says_nothing_is_left_when_the_owner_cancels(
    qtbot, office, host, page, launch_id, which
):
    stalls = host.server._attack = Stalls()
    before = kinds(office, launch_id)
    begin(qtbot, page, getattr(page.actions_row, which))
    qtbot.waitUntil(stalls.held.is_set)
    line = page.actions_row.line
    assert line.isVisible()
    assert not page.actions_row.status.isEnabled()
    page.actions_row.line.cancelled.emit()
    qtbot.waitUntil(lambda: page.actions_row._job is None)
    qtbot.waitUntil(stalls.left.is_set)
    assert not line.isVisible()
    assert kinds(office, launch_id) == before
    assert state_of(office, launch_id) is LaunchState.RUNNING
    # An order may have been heard; a question that was cancelled changes nothing.
    said = "It is not known whether the guest was paused"
    assert (said in page.banner.report) is (which == "stop")
    host.server._attack = Attack()
    host.machine.resume()
    press(qtbot, page, page.actions_row.status)
    assert page.banner.tone is Tone.OK


def test_a_host_that_hangs_up_is_told_as_an_error_and_the_guest_counts_as_running(
    qtbot, office, host, page, launch_id
):
    host.server._attack = attack_named("disconnect-mid-command")
    press(qtbot, page, page.actions_row.stop)
    assert page.banner.tone is Tone.BAD
    assert "Code: host-" in page.banner.report
    assert state_of(office, launch_id) is LaunchState.RUNNING
