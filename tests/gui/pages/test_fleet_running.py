# SPDX-License-Identifier: Apache-2.0
"""Fleets in the window over real sockets: checked, launched to their secrets, stopped, resumed."""

from __future__ import annotations

import base64
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QMessageBox

from watchword.core.launch.launch_lock import claim_place
from watchword.core.launch.record import LaunchState
from watchword.core.simulator import PlatformKeys, build_firmware, save_platform
from watchword.gui.main_window import MainWindow
from watchword.gui.pages.fleet_empty import EXAMPLE
from watchword.gui.pages.fleet_page import FleetPage
from watchword.gui.pages.fleet_words import Standing
from watchword.gui.settings import WindowSettings

from ...fleet_hosts import NEVER
from ..widgets.looks import cut_off, nameless
from .fleet_support import PASSPHRASE, SECRET, FleetRoom, Operator
from .support import texts


@pytest.fixture(scope="session")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture(scope="session")
def platform(keys, tmp_path_factory):
    """The simulated machine, as its hosts' process loads it."""
    path = tmp_path_factory.mktemp("platform")
    save_platform(keys, path)
    return path


@pytest.fixture(scope="session")
def firmware(tmp_path_factory):
    path = tmp_path_factory.mktemp("firmware") / "OVMF.fd"
    path.write_bytes(build_firmware())
    return path


@pytest.fixture
def room(tmp_path, keys, platform, firmware):
    folder = Path(tempfile.mkdtemp(prefix="ww-", dir="/tmp"))  # sockets need short paths
    made = FleetRoom(tmp_path / "home", folder, keys, platform, firmware)
    yield made
    made.vaults.close()
    shutil.rmtree(folder)


@pytest.fixture
def page(qtbot, bridge, theme, room):
    made = FleetPage(bridge, room.service)
    qtbot.addWidget(made)
    made.resize(960, 760)
    with qtbot.waitExposed(made):
        made.show()
    yield made
    made.run.stop()
    qtbot.waitUntil(lambda: not bridge.busy, timeout=60_000)


@pytest.fixture
def person(qtbot, page):
    return Operator(qtbot, page)


@pytest.fixture
def window(qtbot, bridge, theme, tmp_path, room):
    made = MainWindow(bridge, theme, WindowSettings(tmp_path / "window.ini"))
    made.vaults = room.vaults
    made.launching._service = room.launches
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    made.show_page(FLEET)
    yield made
    made._fleet.run.stop()
    qtbot.waitUntil(lambda: not bridge.busy, timeout=60_000)


FLEET = 4


def launches(room):
    return room.launches.summaries()


def test_a_fleet_is_launched_until_every_guest_has_its_secrets(page, person, room):
    room.unlock()
    told = []
    page.run.happened.connect(told.append)
    with room.hosts() as hosts:
        person.open(room.manifest(3))
        assert page.model.rowCount() == 3
        assert launches(room) == ()
        person.run(page.actions_row.start)
        report = hosts.report()
    assert person.outcomes() == {"v1": "done", "v2": "done", "v3": "done"}
    assert all(one["holds"] and len(set(one["packets"])) == 1 for one in report.values())
    assert {one.state for one in launches(room)} == {LaunchState.RUNNING}
    assert page.model.count(Standing.DONE) == 3
    assert "All of the fleet is through" in texts(page.banner)
    assert not page.causes.isVisible()
    shown = repr(told) + texts(page) + page.banner.report
    for form in (SECRET.decode(), SECRET.hex(), base64.b64encode(SECRET).decode()):
        assert form not in shown


def test_failures_are_grouped_by_cause_and_stop_nobody_else(page, person, room):
    room.unlock()
    with room.hosts(v2="wrong-firmware", v4="wrong-firmware", v5=NEVER) as hosts:
        person.open(room.manifest(5, wait=8))
        person.run(page.actions_row.start)
        report = hosts.report()
    outcomes = person.outcomes()
    assert {name for name, outcome in outcomes.items() if outcome == "done"} == {"v1", "v3"}
    assert (outcomes["v2"], outcomes["v4"]) == ("failed", "failed")
    assert report["v2"]["packets"] == report["v4"]["packets"] == []
    first = page.causes.causes[0]
    assert (first.example.code, first.names) == ("measurement-mismatch", ("v2", "v4"))
    card = next(iter(page.causes.cards.values()))
    assert first.example.remedy in texts(card).replace("\n", " ")
    person.press(card.showing)
    assert [page.model.row(n).name for n in range(page.model.rowCount())] == ["v2", "v4"]
    page.table.table.selectRow(0)
    assert first.example.title in texts(page.row)
    assert page.actions_row.retry.isEnabled()


def test_all_problems_are_shown_with_line_and_place_and_nothing_starts(qtbot, page, person, room):
    room.unlock()
    text = Path(room.manifest(2)).read_text()
    text += '[[launch]]\nname = "v2"\nguest = "nobody"\ngest = 1\n'
    person.open(room.write(text))
    assert page.problems.isVisible()
    table = page.problems.table
    found = {
        (table.item(row, 0).text(), table.item(row, 1).text()) for row in range(table.rowCount())
    }
    assert ("12", "launch[1].gest") in found
    assert ("11", "launch[1].guest") in found
    assert ("10", "launch[1].name") in found
    assert not page.actions_row.start.isVisible()
    assert launches(room) == ()
    table.setFocus()
    rect = table.visualItemRect(table.item(0, 2))
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=rect.center())
    assert QGuiApplication.clipboard().text() == str(page.problems.problems[0])
    page.problems.copying.click()
    assert QGuiApplication.clipboard().text().count("\n") == table.rowCount() - 1
    page.problems.copying._timer.stop()


def test_once_they_are_mended_it_is_seen_when_the_page_is_looked_at_again(page, person, room):
    path = room.manifest(2)
    person.open(room.write(Path(path).read_text().replace('"web"', '"nobody"')))
    assert page.problems.isVisible()
    room.manifest(2)
    page.refresh()
    person.until(page.body.isVisible)
    assert not page.problems.isVisible()


def test_once_they_are_mended_a_button_has_them_looked_at_again(page, person, room):
    path = room.manifest(2)
    person.open(room.write(Path(path).read_text().replace('"web"', '"nobody"')))
    person.press(page.problems.again)
    person.until(lambda: not page.work.busy)
    assert page.problems.isVisible()
    room.manifest(3)
    person.press(page.problems.again)
    person.until(page.body.isVisible)
    assert page.model.rowCount() == 3


def test_a_manifest_is_dropped_anywhere_on_the_page(page, person, room):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(room.manifest(2))])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    page.dropEvent(event)
    person.until(page.body.isVisible)
    assert page.model.rowCount() == 2


def test_without_a_manifest_it_explains_what_one_is(page, room, person):
    assert page.empty.isVisible()
    page.empty.copying.click()
    assert QGuiApplication.clipboard().text() == EXAMPLE
    page.empty.copying._timer.stop()
    # The example is a sound one, once its certificates are there.
    shutil.copy(room.folder / "chain.cert", room.folder / "rack1.cert")
    person.open(room.write(EXAMPLE))
    assert page.model.rowCount() == 20
    assert not page.empty.isVisible()


def test_the_vault_is_asked_for_first_and_without_it_nothing_begins(qtbot, page, person, room):
    with room.hosts():
        person.open(room.manifest(1))
        assert "once the vault is open" in texts(page)
        person.press(page.actions_row.start)
        person.until(lambda: page.gate.dialog is not None)
        page.gate.dialog.reject()
        assert not page.run.running
        assert launches(room) == ()
        person.press(page.actions_row.start)
        person.until(lambda: page.gate.dialog is not None)
        qtbot.keyClicks(page.gate.dialog.field.edit, PASSPHRASE.decode())
        person.run(page.gate.dialog.agreeing)
    assert person.outcomes() == {"v1": "done"}


def test_vault_entries_that_are_missing_are_problems_before_anything_starts(page, person, room):
    room.home.profile("lost", secrets={"disk-passphrase": "nowhere/disk"})
    text = Path(room.manifest(1)).read_text()
    person.open(room.write(text.replace('guest = "web"', 'guest = "lost"')))
    room.unlock()
    person.run(page.actions_row.start)
    assert page.problems.isVisible()
    assert "nowhere/disk" in str(page.problems.problems[0])
    assert launches(room) == ()


def test_it_stops_in_order_and_resume_goes_on_with_the_same_launches(page, person, room):
    room.unlock()
    person.open(room.manifest(3))
    person.press(page.actions_row.start)
    person.until(lambda: all((room.folder / "out" / f"v{n}").exists() for n in (1, 2, 3)))
    person.press(page.actions_row.stop)
    assert not page.actions_row.stop.isEnabled()
    person.through()
    assert set(person.outcomes().values()) == {"interrupted"}
    assert "Resume" in texts(page.banner)
    begun = {one.id for one in launches(room)}
    with room.hosts() as hosts:
        person.run(page.actions_row.resume)
        report = hosts.report()
    assert set(person.outcomes().values()) == {"done"}
    assert {one.id for one in launches(room)} == begun
    assert all(len(set(one["packets"])) == 1 and one["blobs"] == 1 for one in report.values())


def test_a_dry_run_says_what_would_be_done_and_starts_nothing(page, person, room):
    room.unlock()
    with room.hosts(v2="wrong-firmware"):
        person.open(room.manifest(2))
        person.run(page.actions_row.start)
    before = launches(room)
    person.press(page.actions_row.dry_run)
    person.until(lambda: not page.work.busy)
    words = [page.model.index(row, 1).data() for row in range(2)]
    assert words == ["Done before", "Refused before"]
    assert page.actions_row.retry.isEnabled()
    assert launches(room) == before


def test_what_was_refused_is_tried_again_if_that_is_asked_for(page, person, room):
    room.unlock()
    with room.hosts(v2="wrong-firmware"):
        person.open(room.manifest(2))
        person.run(page.actions_row.start)
        person.run(page.actions_row.resume)
        assert person.outcomes() == {"v1": "done-before", "v2": "failed"}
        assert page.causes.causes[0].example.code == "refused-before"
        person.run(page.actions_row.retry)
    assert person.outcomes()["v1"] == "done-before"
    assert page.causes.causes[0].example.code != "refused-before"


def test_only_those_that_are_selected_are_launched(page, person, room):
    room.unlock()
    with room.hosts() as hosts:
        person.open(room.manifest(3))
        page.actions_row.only.setChecked(True)
        person.press(page.actions_row.start)
        assert "No launch is selected" in texts(page.banner)
        page.table.table.selectRow(1)
        person.run(page.actions_row.start)
        assert set(hosts.report()) == {"v2"}
    assert person.outcomes() == {"v1": None, "v2": "done", "v3": None}


def test_start_commands_are_run_only_if_they_are_agreed_to(page, person, room):
    room.unlock()
    mark = room.folder / "ran"
    command = f'start = ["{sys.executable}", "-c", "open({str(mark)!r}, \'a\').close()"]\n'
    with room.hosts():
        person.open(room.manifest(1, more=command))
        assert page.options.starting.isVisible()
        page.options.starting.listed.set_open(True)
        assert str(mark) in texts(page.options.starting)
        person.run(page.actions_row.start)
        assert "Code: start-not-allowed" in page.banner.report
        assert launches(room) == ()
        page.options.starting.box.click()
        person.run(page.actions_row.start)
    assert mark.exists()
    assert person.outcomes() == {"v1": "done"}


def test_profiles_in_the_manifest_are_launched_only_if_that_is_agreed_to(page, person, room):
    room.unlock()
    text = Path(room.manifest(1)).read_text().replace('guest = "web"\n', "")
    document = room.home.document("v1")
    text += "[launch.profile]\n" + "".join(
        f"{key} = {document[key]!r}\n" for key in ("technology", "policy", "vcpus", "cpu", "ceks")
    )
    firmware = room.home.store.load("web").profile.firmware[0]
    text += f'firmware = {{path = "{firmware.path}", sha256 = "{firmware.sha256}", '
    text += "approved = 2026-11-23T14:00:00Z}\n"
    text += 'secrets = {disk-passphrase = "web/disk"}\n'
    person.open(room.write(text))
    assert page.options.inline.isVisible(), [str(one) for one in page.problems.problems]
    page.options.inline.listed.set_open(True)
    assert "web/disk" in texts(page.options.inline)
    person.run(page.actions_row.start)
    assert "Code: inline-not-allowed" in page.banner.report
    assert launches(room) == ()


def test_a_manifest_that_was_changed_since_it_was_looked_at_is_not_run(page, person, room):
    room.unlock()
    person.open(room.manifest(1))
    room.manifest(2)
    person.run(page.actions_row.start)
    assert "Code: manifest-changed" in page.banner.report
    assert launches(room) == ()


def test_what_another_batch_is_at_work_on_is_shown_as_that(page, person, room):
    room.unlock()
    host = f"qmp+unix://{room.folder}/v2.sock"
    claim = claim_place(room.home.path, "web", host, "2026-11-23T14:00:00Z")
    with room.hosts() as hosts:
        person.open(room.manifest(2))
        person.run(page.actions_row.start)
        assert set(hosts.report()) == {"v1"}
    claim.release()
    assert person.outcomes() == {"v1": "done", "v2": "elsewhere"}
    assert page.model.count(Standing.FAILED) == 0
    assert page.model.index(1, 1).data() == "Another batch has it"
    assert page.causes.causes[0].example.code == "launched-elsewhere"


def test_launches_that_were_begun_earlier_are_not_begun_a_second_time(page, person, room):
    room.unlock()
    person.open(room.manifest(2))
    person.press(page.actions_row.start)
    person.until(lambda: all((room.folder / "out" / f"v{n}").exists() for n in (1, 2)))
    page.run.stop()
    person.through()
    person.press(page.actions_row.dry_run)
    person.until(lambda: not page.work.busy)
    assert not page.actions_row.start.isEnabled()
    assert page.actions_row.resume.property("primary")
    # Another process may begin them after the check: the core refuses, and the page says how.
    person.run_by(page.start)
    assert "Code: launches-under-way" in page.banner.report
    assert len(launches(room)) == 2


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
    with qtbot.waitSignal(window.closed, timeout=60_000):
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
