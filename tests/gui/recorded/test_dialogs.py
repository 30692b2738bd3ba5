# SPDX-License-Identifier: Apache-2.0
"""Each dialog of the wizard: it has names, all of it is reached by Tab, and Escape closes it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QLineEdit, QPushButton, QWidget

from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.gui.evidence_documents import EvidenceForm
from watchword.gui.wizard.again import Difference
from watchword.gui.wizard.host_files import LEFT_OUT
from watchword.gui.wizard.starting_again import ApprovalDialog

from ...core.launch.support import cek_of, make_profile
from ..widgets.looks import cut_off, nameless, shown
from .support import begin, host_files

MOST_TABS = 60


def shown_dialog(person) -> QDialog:
    """The one dialog that is there."""
    person.until(lambda: len(dialogs()) == 1)
    (dialog,) = dialogs()
    return dialog


def dialogs():
    found = [one for one in QApplication.topLevelWidgets() if isinstance(one, QDialog)]
    return [one for one in found if one.isVisible()]


def buttons_of(dialog: QDialog) -> set[QPushButton]:
    return {one for one in shown(dialog) if isinstance(one, QPushButton) and one.isEnabled()}


def reached(person, dialog: QDialog) -> set[QWidget]:
    """What Tab leads to."""
    dialog.activateWindow()
    person.until(lambda: QApplication.activeWindow() is dialog)
    found = set()
    for _ in range(MOST_TABS):
        focus = QApplication.focusWidget()
        if focus is not None:
            found.add(focus)
            person.qtbot.keyClick(focus, Qt.Key.Key_Tab)
    return found


def check(person, dialog: QDialog, *, ours: bool):
    assert dialog.windowTitle()
    found = reached(person, dialog)
    assert buttons_of(dialog) <= found
    if ours:  # what Qt brings along names its own fields in its own way
        assert nameless(dialog) == []
        assert cut_off(dialog) == []
    person.qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    person.until(lambda: dialogs() == [])


@pytest.fixture
def prepared(make_wizard, office, host):
    """A launch with its launch blob, on a machine that the profile names."""
    store = ProfileStore(profiles_folder())
    store.remove("vm1")
    store.add(make_profile(office.firmware, ceks=[{"sha256": cek_of(office.keys)}]))
    person = make_wizard()
    begin(person, host.url)
    person.rest_on("session")
    return person


@pytest.fixture
def finished(prepared, host):
    host.start_in_place(prepared.wizard.run.material)
    prepared.go_on()
    prepared.rest_on("secret")
    prepared.go_on()
    prepared.rest_on("run")
    return prepared


def test_saving_all_files_for_the_host(prepared):
    prepared.click(prepared.wizard.session.files.save)
    check(prepared, shown_dialog(prepared), ours=False)


def test_all_files_for_the_host_are_written_where_the_owner_says(prepared, tmp_path):
    folder = tmp_path / "for the host"
    folder.mkdir()
    panel = prepared.wizard.session.files
    prepared.click(panel.save)
    dialog = shown_dialog(prepared)
    assert isinstance(dialog, QFileDialog)
    field = dialog.findChild(QLineEdit, "fileNameEdit")
    field.setText(str(folder))
    dialog.accept()
    expected = {n: d for n, d in host_files(prepared.wizard.run).items() if n not in LEFT_OUT}
    prepared.until(panel.saved.isVisible)
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert written.keys() == expected.keys()
    material = prepared.wizard.run.material
    assert written["godh.b64"].decode().strip() == material.godh_base64
    assert written["session.b64"].decode().strip() == material.session_base64
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    for name in written:
        assert name in panel.saved.text().replace("\u200b", "")
    assert not prepared.frame.problem.isVisible()


def test_a_folder_that_can_not_be_written_to_is_told_above_the_page(prepared, tmp_path):
    prepared.wizard.session.files.saveWanted.emit(str(tmp_path / "not-there"))
    prepared.until(prepared.frame.problem.isVisible)
    assert not prepared.wizard.session.files.saved.isVisible()


@pytest.mark.parametrize("form", list(EvidenceForm))
def test_saving_the_evidence(finished, form):
    finished.click(finished.wizard.evidence.keeping.buttons[form])
    dialog = shown_dialog(finished)
    check(finished, dialog, ours=False)


def test_the_vaults_passphrase(make_wizard, service):
    service.vaults.close()
    person = make_wizard()
    begin(person, "qmp+unix:///nowhere/vm1.sock")
    check(person, shown_dialog(person), ours=True)
    assert person.wizard.gate.dialog is None
    assert person.page == "guest"


def test_a_launch_that_can_not_be_taken_up_without_the_vault_is_left_as_it_is(
    qtbot, bridge, prepared, make_wizard, service
):
    prepared.wizard.close_launch()
    qtbot.waitUntil(lambda: not bridge.busy)
    service.vaults.close()
    (summary,) = service.summaries()
    person = make_wizard(summary=summary)
    dialog = shown_dialog(person)
    with qtbot.waitSignal(person.wizard.left):
        qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert service.summaries() == (summary,)


def test_approving_something_else(make_wizard):
    person = make_wizard()
    long = "root=/dev/mapper/" + "x" * 300
    found = (
        Difference("vcpus", "2", "3"),
        Difference("cmdline", f'"{long}"', f'"{long}\\n"'),
        Difference("firmware", f"path /a.fd, sha256 {'ab' * 32}", f"sha256 {'cd' * 32}"),
    )
    dialog = ApprovalDialog("vm1", found, person.wizard, alarm=True)
    dialog.open()
    check(person, shown_dialog(person), ours=True)
