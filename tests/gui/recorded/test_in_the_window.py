# SPDX-License-Identifier: Apache-2.0
"""Recorded launches in the main window: by three clicks, with notifications, to the ledger."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QPushButton

from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.launch.record import LaunchState
from watchword.gui.main_window import MainWindow
from watchword.gui.settings import WindowSettings
from watchword.gui.wizard.flow import Need
from watchword.gui.wizard.recorded_launch import RecordedLaunch

from ...core.launch.support import SECRET, Stage, cek_of, make_profile, prepared, state_of
from .libvirt_like import FIRMWARE, URL, Daemon
from .support import Person, ledger_entries


class Told:
    """Stands for the desktop, in place of the window's notifier."""

    def __init__(self):
        self.needs = []

    def tell(self, needed, launch, *, simulated):
        self.needs.append((needed, launch, simulated))


@pytest.fixture
def earlier(office, keys):
    """A launch that was made another day, so that there is a list of launches."""

    async def scenario():
        async with Stage(keys) as stage:
            return await prepared(office, stage, start=False, accept_platform=cek_of(keys))

    return asyncio.run(scenario())


@pytest.fixture
def pinned(office, host):
    """A profile as one has it once the first launch went well: machine and host are in it."""
    store = ProfileStore(profiles_folder())
    store.remove("vm1")
    ceks = [{"sha256": cek_of(office.keys)}]
    store.add(make_profile(office.firmware, host=host.url, ceks=ceks))


@pytest.fixture
def window(qtbot, bridge, theme, tmp_path, service, vaults, earlier):
    made = MainWindow(bridge, theme, WindowSettings(tmp_path / "window.ini"))
    made.vaults = vaults
    made.launching._service = service
    made.notifier = Told()
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    made.activateWindow()
    qtbot.waitUntil(lambda: made.launching.page is not None)
    page = made.launching.page
    qtbot.waitUntil(lambda: page.guests.currentText() == "vm1")
    yield made
    made.close_wizard()
    qtbot.waitUntil(lambda: not bridge.busy)


class Clicks:
    """Counts the presses of buttons that a mouse makes, whoever presses."""

    def __init__(self, qtbot):
        self._qtbot = qtbot
        self.made = []

    def on(self, button: QPushButton):
        self._qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled())
        self.made.append(button.text().replace("&", ""))
        self._qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def wizard_of(qtbot, window) -> Person:
    qtbot.waitUntil(lambda: isinstance(window.wizard, RecordedLaunch))
    window.wizard.frame._dwell = 0
    return Person(qtbot, window.wizard)


@pytest.mark.usefixtures("pinned")
def test_from_the_list_of_launches_three_clicks_lead_to_a_running_vm(qtbot, window, office, host):
    clicks = Clicks(qtbot)
    clicks.on(window.launching.page.launch)
    person = wizard_of(qtbot, window)
    pages = [person.page]
    person.frame._stack.currentChanged.connect(lambda _: pages.append(person.page))
    person.rest_on("session")
    host.start_in_place(person.wizard.run.material)  # what the host's operator does
    clicks.on(person.row.primary)
    person.rest_on("secret")
    assert host.packets == ()
    clicks.on(person.row.primary)
    person.rest_on("run")
    assert clicks.made == ["Launch", "Give it to the host", "Hand over the secret"]
    # Verified pages came one after the other, by themselves.
    assert pages == ["guest", "platform", "session", "start", "measurement", "secret", "run"]
    assert state_of(office, person.launch.id) is LaunchState.RUNNING
    assert host.machine.memory.holds(SECRET)


@pytest.mark.usefixtures("pinned")
def test_a_refusal_goes_nowhere_by_itself(qtbot, window, office, host):
    clicks = Clicks(qtbot)
    clicks.on(window.launching.page.launch)
    person = wizard_of(qtbot, window)
    person.rest_on("session")
    firmware = bytearray(office.firmware.read_bytes())
    firmware[0] ^= 1
    material = person.wizard.run.material
    there = next(one for one in host.host._servers if one.url == host.url)
    host.host._servers.remove(there)
    host.call(there.stop())
    host.start(material, bytes(firmware), place=host.place)
    clicks.on(person.row.primary)
    person.rest_on("measurement")
    assert not person.frame._walk.isActive()
    assert person.frame._target is None
    for _ in range(20):
        QApplication.processEvents()
    assert person.page == "measurement"
    assert host.packets == ()


@pytest.mark.usefixtures("pinned")
def test_the_evidence_page_leads_to_the_launchs_entry_in_the_ledger(qtbot, window, office, host):
    clicks = Clicks(qtbot)
    clicks.on(window.launching.page.launch)
    person = wizard_of(qtbot, window)
    person.rest_on("session")
    host.start_in_place(person.wizard.run.material)
    person.go_on()
    person.rest_on("secret")
    person.go_on()
    person.rest_on("run")
    launch_id = person.launch.id
    person.click(person.wizard.evidence.keeping.ledger)
    qtbot.waitUntil(lambda: window.wizard is None)
    page = window._pages["Ledger"]
    assert window._stack.currentWidget() is page.widget()
    newest = [e for e in ledger_entries(office.home) if e.launch_id == launch_id][-1]
    qtbot.waitUntil(lambda: chosen(page) == newest.sequence)
    assert newest.kind.value in ("evidence-made", "report-verified", "launch-running")


def chosen(page):
    """The sequence of the entry that the table has as its current one."""
    row = page.table.currentRow()
    entries = page.table.entries
    return entries[row].sequence if 0 <= row < len(entries) else None


@pytest.mark.usefixtures("pinned")
def test_each_time_that_a_person_is_needed_it_is_told_once(qtbot, window, host):
    clicks = Clicks(qtbot)
    clicks.on(window.launching.page.launch)
    person = wizard_of(qtbot, window)
    person.rest_on("session")
    launch_id = person.launch.id
    clicks.on(person.row.primary)
    person.until(lambda: person.waits_for_vm)
    host.start_in_place(person.wizard.run.material)
    person.rest_on("secret")
    person.go_on()
    person.rest_on("run")
    told = window.notifier.needs
    assert [need for need, *_ in told] == [Need.BLOB, Need.VM, Need.VERDICT, Need.DONE]
    assert {launch for _, launch, _ in told} == {launch_id}
    assert not any(simulated for *_, simulated in told)


def test_a_rehearsal_tells_too_and_says_what_it_is(qtbot, window):
    window.try_it_now()
    frame = window.wizard.frame
    frame._dwell = 0
    qtbot.waitUntil(lambda: frame.conductor is not None and not frame.conductor_at_work)
    frame.take("session")
    qtbot.waitUntil(lambda: bool(window.notifier.needs))
    assert window.notifier.needs == [(Need.BLOB, "rehearsal", True)]


def test_a_launch_that_is_resumed_from_the_list_shows_the_page_that_waits_at_once(
    qtbot, window, earlier, host
):
    clicks = Clicks(qtbot)
    clicks.on(window.launching.page.actions_row.resume)
    person = wizard_of(qtbot, window)
    assert person.page == "start"
    person.until(lambda: person.waits_for_vm or bool(person.launch.marks))
    assert person.page == "start"
    assert person.launch.id == earlier


def test_a_profile_for_a_vm_of_the_host_is_begun_in_the_wizard_and_ends_in_the_form(
    qtbot, window, host, service
):
    Daemon(host).at(service)
    window.launching.choose()
    choices = window.wizard.choices
    qtbot.waitUntil(lambda: choices.guests.currentText() == "vm1")
    choices.host.setText(URL)
    choices.connection.test.click()
    qtbot.waitUntil(choices.connection.drafting.isVisible)
    qtbot.waitUntil(choices.connection.drafting.isEnabled)
    choices.connection.drafting.click()
    qtbot.waitUntil(lambda: window.wizard is None)
    page = window._pages["Guests"]
    form = page.form
    qtbot.waitUntil(form.isVisible)
    qtbot.waitUntil(lambda: not page.work.busy)
    assert form.document()["host"] == URL
    assert FIRMWARE in "\n".join(form.host.findings.sentences)
