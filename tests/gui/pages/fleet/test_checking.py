# SPDX-License-Identifier: Apache-2.0
"""A manifest in the window before anything starts: what is wrong, what has to be agreed to."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication

from watchword.gui.pages.fleet_empty import EXAMPLE

from ..fleet_support import launches
from ..support import texts


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


def test_vault_entries_that_are_missing_are_problems_before_anything_starts(page, person, room):
    room.home.profile("lost", secrets={"disk-passphrase": "nowhere/disk"})
    text = Path(room.manifest(1)).read_text()
    person.open(room.write(text.replace('guest = "web"', 'guest = "lost"')))
    room.unlock()
    person.run(page.actions_row.start)
    assert page.problems.isVisible()
    assert "nowhere/disk" in str(page.problems.problems[0])
    assert launches(room) == ()


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
