# SPDX-License-Identifier: Apache-2.0
"""The page of the guests: what was agreed, what has changed, and the owner's approval."""

from __future__ import annotations

from watchword.core.errors import BadInput
from watchword.gui.pages.guests_dialogs import ApproveDialog
from watchword.gui.pages.guests_firmware import FirmwareDialog
from watchword.gui.pages.guests_service import Verdict
from watchword.gui.widgets.tones import Tone

from ...widgets.looks import cut_off, nameless
from ..guest_files import changed, firmware_file, plain_document
from ..support import idle, press, settled, texts

SMALLEST = (911 - 180, 512)


# -- list and view -----------------------------------------------------------------


def test_without_guests_it_says_what_they_are_for_and_how_to_make_one(show) -> None:
    page = show()
    assert page.list.empty.isVisible()
    assert "what you agreed should run" in texts(page)
    assert page.list.new.isVisible()


def test_each_guest_has_a_verdict_of_its_own(guests, firmware, tmp_path, show) -> None:
    guests.add(plain_document(tmp_path))
    other = tmp_path / "other"
    other.mkdir()
    firmware_file(other)
    guests.add(plain_document(other, "vm2"))
    changed(firmware)
    (tmp_path / "home" / "guests" / "vm3.toml").write_text("<b>what</b>")
    page = show()
    verdicts = {card.guest.name: card.guest.verdict for card in page.list.cards}
    assert verdicts == {
        "vm1": Verdict.CHANGED,
        "vm2": Verdict.GO,
        "vm3": Verdict.UNREADABLE,
    }
    assert "A file has changed" in page.list.cards[0].button.accessibleName()


def test_a_guest_is_shown_with_its_policy_in_words(page) -> None:
    words = texts(page)
    assert "qmp+unix:///run/vm1.sock" in words
    assert "NODBG" in words
    assert page.view.badge.look.word == "GO"
    assert not page.view.files.isVisible()


def test_a_guest_that_can_not_be_read_can_be_removed_and_nothing_else(
    qtbot, tmp_path, guests, show
) -> None:
    folder = tmp_path / "home" / "guests"
    folder.mkdir(parents=True)
    (folder / "bad.toml").write_text("name = [")
    page = show()
    press(qtbot, page.list.cards[0].button)
    assert "not TOML" in texts(page)
    assert not page.view.edit.isVisible()
    press(qtbot, page.view.remove)
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert page.list.empty.isVisible()


# -- approving ---------------------------------------------------------------------


def test_a_changed_file_is_shown_old_and_new_and_approved_by_typing_the_name(
    qtbot, page, firmware, guests
) -> None:
    old = page.view.guest.profile.firmware[0].sha256
    changed(firmware)
    page.refresh()
    idle(qtbot, page)
    assert page.view.files.isVisible()
    assert page.view.alarm.tone is Tone.BAD
    assert page.view.alarm.isVisible()
    assert "Not what you approved" in texts(page)
    press(qtbot, page.view.approve)
    dialog = page.dialog
    assert isinstance(dialog, ApproveDialog)
    assert "launch nothing with it" in texts(dialog)
    assert not dialog.agreeing.isEnabled()
    qtbot.keyClicks(dialog.word, "vm1")
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert page.view.guest.verdict is Verdict.GO
    assert page.view.guest.profile.firmware[0].sha256 != old
    assert not page.view.files.isVisible()
    assert not page.view.alarm.isVisible()


def test_what_changes_while_it_is_looked_at_is_not_approved(qtbot, page, firmware) -> None:
    changed(firmware)
    page.refresh()
    idle(qtbot, page)
    press(qtbot, page.view.approve)
    dialog = page.dialog
    data = firmware.read_bytes()
    firmware.write_bytes(data[:1] + b"\x01" + data[2:])
    qtbot.keyClicks(dialog.word, "vm1")
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert page.dialog is dialog
    assert "changed again" in dialog.banner.report
    dialog.reject()


def test_what_was_approved_before_may_stay_allowed(qtbot, page, firmware) -> None:
    changed(firmware)
    page.refresh()
    idle(qtbot, page)
    press(qtbot, page.view.approve)
    page.dialog.keep_old.setChecked(True)
    qtbot.keyClicks(page.dialog.word, "vm1")
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert len(page.view.guest.profile.firmware) == 2


# -- firmware, copies, files ---------------------------------------------------------


def test_installed_firmware_is_proposed_with_go_or_no_go(
    qtbot, show, firmware, tmp_path, monkeypatch
) -> None:
    folder = tmp_path / "xdg_config_home" / "qemu" / "firmware"
    folder.mkdir(parents=True)
    names = {"10-good": firmware, "20-bad": tmp_path / "none.fd"}
    for name, path in names.items():
        (folder / f"{name}.json").write_text(DESCRIPTOR % path)
    monkeypatch.setattr(
        "watchword.core.handover.firmware_descriptors.standard_folders", lambda: (folder,)
    )
    page = show()
    press(qtbot, page.list.new)
    idle(qtbot, page)
    press(qtbot, page.form.installed)
    idle(qtbot, page)
    dialog = page.dialog
    assert isinstance(dialog, FirmwareDialog)
    assert "NO-GO" not in dialog.uses[0].accessibleName()
    assert len(dialog.uses) == 1
    assert "none.fd" in texts(dialog)
    press(qtbot, dialog.uses[0])
    assert page.form.files["firmware"].entries == [{"path": str(firmware)}]


DESCRIPTOR = """{"description": "x", "interface-types": ["uefi"], "mapping": {"device": "flash",
"mode": "stateless", "executable": {"filename": "%s", "format": "raw"}}, "targets":
[{"architecture": "x86_64", "machines": ["pc-q35-*"]}], "features": ["amd-sev"], "tags": []}"""


def test_a_guest_is_copied_exported_imported_and_approved(qtbot, page, tmp_path) -> None:
    press(qtbot, page.view.duplicate)
    assert page.dialog.name == "vm1-copy"
    page.dialog.edit.setText("vm2")
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert page.view.guest.name == "vm2"
    press(qtbot, page.view.export)
    out = tmp_path / "vm2.toml"
    page.dialog.file.set_path(str(out))
    page.dialog.with_host.setChecked(False)
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert "run/vm1.sock" not in out.read_text()
    press(qtbot, page.view.back)
    idle(qtbot, page)
    assert len(page.list.cards) == 2
    press(qtbot, page.list.taking)
    page.dialog.file.set_path(str(out))
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert "already" in page.dialog.banner.report
    qtbot.keyClicks(page.dialog.edit, "vm3")
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert page.view.guest.verdict is Verdict.NOT_APPROVED
    press(qtbot, page.view.approve)
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert page.view.guest.verdict is Verdict.GO


def test_a_guest_that_somebody_else_has_changed_is_not_overwritten(qtbot, page, guests) -> None:
    press(qtbot, page.view.edit)
    idle(qtbot, page)
    one = guests.one("vm1")
    guests.change(one.stored, one.profile.to_document() | {"description": "theirs"})
    qtbot.keyClicks(page.form.fields["description"].widget, "mine")
    page.form.saving.click()
    idle(qtbot, page)
    assert "in the meantime" in page.form.banner.report
    assert guests.one("vm1").profile.description == "theirs"


def test_what_a_file_says_is_never_taken_for_markup(qtbot, guests, tmp_path, show) -> None:
    guests.take_in(str(_toml(tmp_path)), "", with_host=False)
    page = show()
    press(qtbot, page.list.cards[0].button)
    assert "<img src=x>\\u202e" in texts(page)


def _toml(folder):
    path = folder / "in.toml"
    path.write_text(
        'name = "vm9"\ntechnology = "sev"\npolicy = 0x1100002b\nfirmware = "/x/y.fd"\n'
        'description = "<img src=x>\\u202e"\n'
    )
    return path


# -- looks -------------------------------------------------------------------------


def test_everything_has_a_name_and_room_in_the_smallest_window(
    qtbot, page, firmware, scheme
) -> None:
    page.resize(*SMALLEST)
    changed(firmware)
    page.refresh()
    idle(qtbot, page)
    settled(page)
    assert (nameless(page), cut_off(page)) == ([], [])
    press(qtbot, page.view.approve)
    settled(page)
    assert (nameless(page.dialog), cut_off(page.dialog)) == ([], [])
    page.dialog.reject()
    page.view.editWanted.emit()
    idle(qtbot, page)
    page.form.boot.set_open(True)
    page.form.expert.set_open(True)
    page.form.secrets.adding.click()
    page.form.saving.click()
    settled(page)
    assert (nameless(page), cut_off(page)) == ([], [])
    page.show_list()
    idle(qtbot, page)
    settled(page)
    assert (nameless(page), cut_off(page)) == ([], [])


def test_nothing_is_cut_off_in_a_language_with_longer_words(
    qtbot, guests, firmware, tmp_path, show, longer_words
) -> None:
    guests.add(plain_document(tmp_path))
    page = show()
    page.resize(*SMALLEST)
    settled(page)
    assert cut_off(page) == []
    page.list.cards[0].button.click()
    settled(page)
    assert cut_off(page) == []


def test_a_folder_that_can_not_be_read_is_said(qtbot, guests, show, monkeypatch) -> None:
    def fail():
        raise BadInput("bad-folder", "the folder", "It can't be read.", "Mend it.")

    monkeypatch.setattr(guests, "all", fail)
    page = show()
    assert "can't be read" in page.banner.report
