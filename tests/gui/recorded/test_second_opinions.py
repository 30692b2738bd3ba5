# SPDX-License-Identifier: Apache-2.0
"""How others' tools check a launch: on its pages, and in a dialog once it is over."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from watchword.gui.pages.launches_page import LaunchesPage
from watchword.gui.widgets.copy_button import CopyButton

from ...core.launch.support import SECRET
from ..widgets.looks import cut_off, nameless
from .support import accept, begin
from .test_wizard_looks import SMALLEST, settled


@pytest.fixture
def prepared(make_wizard, host):
    """A launch with its launch blob."""
    person = make_wizard()
    person.wizard.resize(*SMALLEST)
    begin(person, host.url)
    accept(person)
    return person


@pytest.fixture
def finished(prepared, host):
    """A launch whose guest runs."""
    host.start_in_place(prepared.wizard.run.material)
    prepared.go_on()
    prepared.rest_on("secret")
    prepared.go_on()
    prepared.rest_on("run")
    return prepared


def panel(person, step):
    return person.wizard.opinions.panels[step]


def unfold(person, step):
    """Doubt what is on a page, by keyboard; what is said then."""
    person.frame.go(step)
    person.rest()
    one = panel(person, step)
    one.button.setFocus()
    person.qtbot.keyClick(one.button, Qt.Key.Key_Space)
    assert one.opened
    person.until(lambda: one.view.isVisible() and "recorded that" not in words_in(one.view))
    return one


def save(person, one, folder):
    one.view.saveWanted.emit(str(folder))
    person.until(lambda: one.view.saved.isVisible() or one.banner.isVisible())


def words_in(widget):
    found = (one.accessibleName() for one in widget.findChildren(object) if hasattr(one, "text"))
    return "\n".join(map(str, found))


def test_what_is_not_recorded_yet_is_not_offered(prepared):
    assert not panel(prepared, "measurement").isVisibleTo(prepared.frame.pages["measurement"])
    assert panel(prepared, "session").isVisible()
    assert not panel(prepared, "session").opened


def test_the_commands_hold_on_the_files_that_are_saved(prepared, tmp_path):
    one = unfold(prepared, "session")
    save(prepared, one, tmp_path / "new")
    written = sorted((tmp_path / "new").iterdir())
    assert [path.name for path in written] == ["godh.cert", "launch_blob.bin"]
    assert [path.stat().st_mode & 0o777 for path in written] == [0o600, 0o600]
    for command in one.view.commands:
        said = subprocess.run(
            ["/bin/sh", "-c", command], cwd=tmp_path / "new", capture_output=True, check=True
        ).stdout.decode()
        assert f"It has to say: {said.strip()}" in words_in(one.view)


def test_a_file_that_is_there_is_never_written_over(prepared, tmp_path):
    one = unfold(prepared, "session")
    (tmp_path / "godh.cert").write_text("mine")
    save(prepared, one, tmp_path)
    assert "exists already" in one.banner.report
    assert (tmp_path / "godh.cert").read_text() == "mine"
    assert not (tmp_path / "launch_blob.bin").exists()


def test_a_command_is_copied_by_its_button(prepared):
    one = unfold(prepared, "session")
    button = one.view.findChildren(CopyButton)[0]
    prepared.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == one.view.commands[0]


def test_an_open_pane_follows_the_launch(finished):
    one = panel(finished, "measurement")
    finished.frame.go("measurement")
    finished.rest()
    one.set_open(True)
    finished.until(lambda: "TEK and TIK were erased" in words_in(one.view))


def test_no_file_has_anything_of_the_secret(finished, tmp_path):
    for step in ("platform", "session", "secret", "run"):
        one = unfold(finished, step)
        save(finished, one, tmp_path / step)
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    packet = (tmp_path / "secret" / "packet.bin").read_bytes()
    assert hashlib.sha256(packet).hexdigest() in words_in(panel(finished, "secret").view)
    assert not any(SECRET in data for data in kept if data)


def test_every_pane_has_names_and_room(longer_words, finished):
    for step in ("guest", "platform", "session", "measurement", "secret", "run"):
        unfold(finished, step)
        assert settled(finished.wizard, nameless) == []
        assert settled(finished.wizard, cut_off) == []


def test_a_launch_that_is_over_is_checked_from_the_list(qtbot, bridge, service, finished, tmp_path):
    finished.wizard.close_launch()
    page = LaunchesPage(bridge, service)
    qtbot.addWidget(page)
    page.resize(*SMALLEST)
    page.refresh()
    with qtbot.waitSignal(page.loaded):
        page.show()
    actions = page.actions_row
    assert actions.evidence.isVisible()
    actions.doubt()
    qtbot.waitUntil(lambda: dialog_of(actions) is not None)
    dialog = dialog_of(actions)
    assert len(dialog.view.commands) > 5
    assert settled(dialog, nameless) == settled(dialog, cut_off) == []
    dialog.view.saveWanted.emit(str(tmp_path / "files"))
    qtbot.waitUntil(dialog.view.saved.isVisible)
    assert (tmp_path / "files" / "packet.bin").exists()
    dialog.reject()


def dialog_of(actions):
    from watchword.gui.pages.opinion_dialog import OpinionDialog

    return next(iter(actions.findChildren(OpinionDialog)), None)
