# SPDX-License-Identifier: Apache-2.0
"""The page of the ledger: read without writing, verified in words, copied to new files."""

from __future__ import annotations

import hashlib
import json
import sqlite3

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton

from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.heads import LedgerHead
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import FILE_NAME, Records
from watchword.core.vault.header import OpenWith
from watchword.gui.pages.ledger_page import LedgerPage
from watchword.gui.pages.ledger_service import MOST_SHOWN, LedgerService
from watchword.gui.pages.ledger_words import kind_look
from watchword.gui.widgets.tones import Tone

from ..widgets.looks import cut_off, nameless
from .support import idle, press, settled, texts

SMALLEST = (911 - 180, 512)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def story(folder):
    """Five entries of two launches; the second is a rehearsal that was refused."""
    host = "qmp+tcp://h\u202e:1/<b>"
    with Records.open(folder) as records:
        ledger = Ledger(records)
        ledger.append(EntryKind.LAUNCH_PREPARED, "a1", {"guest": "web1", "host": host})
        ledger.append(EntryKind.MEASUREMENT_VERIFIED, "a1", {"guest": "web1"})
        error = {"code": "platform-refused", "title": "No AMD processor"}
        ledger.append(EntryKind.PLATFORM_REFUSED, "b2", {"error": error}, simulated=True)
        ledger.append(EntryKind.SECRET_HANDED_OVER, "a1", {"guest": "web1"})
        return list(ledger.entries())


@pytest.fixture
def show(qtbot, bridge, folder):
    def shown():
        page = LedgerPage(bridge, LedgerService(folder))
        qtbot.addWidget(page)
        page.resize(900, 800)
        page.show()
        page.refresh()
        idle(qtbot, page)
        return page

    return shown


@pytest.fixture
def page(story, show):
    return show()


def tamper(folder):
    """Somebody changes the second entry past all rules."""
    with sqlite3.connect(folder / FILE_NAME) as connection:
        connection.execute("drop trigger ledger_not_changed")
        connection.execute(
            "update ledger set record = cast(replace(record, 'web1', 'web9') as blob)"
            " where sequence = 2"
        )
    connection.close()


def test_without_records_none_are_made_and_it_says_what_to_do(show, folder) -> None:
    page = show()
    assert page.empty.isVisible()
    assert "first launch" in texts(page)
    assert not page.recorded.isVisible()
    assert not folder.exists()


def test_the_newest_entry_is_first_and_a_rehearsal_says_so(page) -> None:
    rows = [
        [page.table.item(row, column).text() for column in (0, 2, 4)]
        for row in range(page.table.rowCount())
    ]
    assert rows[0] == ["5", "The secret was handed over", "a1"]
    assert rows[1] == ["4", "SIMULATED · The platform was refused", "b2"]
    assert len(rows) == 5


def test_an_entry_is_shown_with_all_that_it_says_and_never_as_markup(qtbot, page, story) -> None:
    page.table.selectRow(3)
    assert page.entry.isVisible()
    words = texts(page.entry)
    assert "qmp+tcp://h\\u202e:1/<b>" in words
    press(qtbot, page.entry.copying)
    assert json.loads(QGuiApplication.clipboard().text()) == story[1].as_json()


def test_entries_are_found_by_kind_and_by_launch(qtbot, page) -> None:
    page.kinds.setCurrentIndex(page.kinds.findData(EntryKind.PLATFORM_REFUSED.value))
    idle(qtbot, page)
    assert [entry.launch_id for entry in page.table.entries] == ["b2"]
    page.kinds.setCurrentIndex(0)
    idle(qtbot, page)
    page.launch.setText("a1")
    page._typing.timeout.emit()
    idle(qtbot, page)
    assert [entry.sequence for entry in page.table.entries] == [5, 3, 2]
    page.launch.setText("zz")
    page._typing.timeout.emit()
    idle(qtbot, page)
    assert "no such entry" in texts(page)
    page.launch.setText("no launch's id")
    page._typing.timeout.emit()
    idle(qtbot, page)
    assert "bad-launch-id" in page.banner.report


def test_a_whole_ledger_is_verified_and_its_head_can_be_copied(qtbot, page, story) -> None:
    press(qtbot, page.verifying)
    idle(qtbot, page)
    assert page.verdict.tone is Tone.OK
    assert "Entries 1 to 5" in texts(page.verdict)
    assert "(SIMULATED): 1" in texts(page.verdict)
    assert "missing at its end" in texts(page.verdict)
    press(qtbot, page.check.copying)
    assert QGuiApplication.clipboard().text() == f"5:{story[-1].hash}"


def test_a_changed_entry_is_named_and_no_head_is_shown(qtbot, page, folder) -> None:
    press(qtbot, page.verifying)
    idle(qtbot, page)
    tamper(folder)
    press(qtbot, page.verifying)
    idle(qtbot, page)
    assert page.verdict.tone is Tone.BAD
    assert "Entry 2" in page.verdict.report
    assert not page.check.copying.isVisible()


def test_a_changed_entry_is_told_when_the_page_is_opened_and_can_be_verified(
    qtbot, story, folder, show
) -> None:
    tamper(folder)
    page = show()
    assert page.banner.tone is Tone.BAD
    assert "Entry 2" in page.banner.report
    press(qtbot, page.verifying)
    idle(qtbot, page)
    assert page.verdict.tone is Tone.BAD


def test_a_head_from_earlier_shows_what_was_cut_off(qtbot, page, story, tmp_path) -> None:
    page.known.set_path(f"9:{'0' * 64}")
    press(qtbot, page.verifying)
    idle(qtbot, page)
    assert "ledger-cut" in page.verdict.report
    press(qtbot, page.saving)
    head = tmp_path / "head.json"
    page.dialog.file.set_path(str(head))
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert page.dialog is None
    page.known.set_path(str(head))
    press(qtbot, page.verifying)
    idle(qtbot, page)
    assert page.verdict.tone is Tone.OK
    assert "when the head was taken" in texts(page.verdict)


def test_the_ledger_is_exported_to_a_new_file_only(qtbot, page, tmp_path, story) -> None:
    out = tmp_path / "ledger.jsonl"
    press(qtbot, page.exporting)
    page.dialog.file.set_path(str(out))
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert len(out.read_text().splitlines()) == len(story)
    assert "5 entries" in texts(page.banner)
    press(qtbot, page.exporting)
    page.dialog.file.set_path(str(out))
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert "exists already" in page.dialog.banner.report
    page.dialog.reject()


def test_everything_has_a_name_and_room_in_the_smallest_window(qtbot, page, scheme) -> None:
    page.resize(*SMALLEST)
    page.table.selectRow(1)
    press(qtbot, page.verifying)
    idle(qtbot, page)
    settled(page)
    assert (nameless(page), cut_off(page)) == ([], [])
    press(qtbot, page.exporting)
    assert (nameless(page.dialog), cut_off(settled(page.dialog))) == ([], [])
    page.dialog.reject()


def test_nothing_is_cut_off_in_a_language_with_longer_words(story, longer_words, show) -> None:
    page = show()
    page.resize(*SMALLEST)
    page.table.selectRow(1)
    settled(page)
    assert cut_off(page) == []


# -- one entry, and a weakness ---------------------------------------------------------


def test_an_entry_is_shown_by_its_number_whatever_was_looked_for_before(qtbot, page, story):
    page.kinds.setCurrentIndex(page.kinds.findData(EntryKind.PLATFORM_REFUSED.value))
    idle(qtbot, page)
    page.show_entry(3)
    idle(qtbot, page)
    assert len(page.table.entries) == len(story)
    assert page.table.currentRow() == 2
    assert "Entry 3" in texts(page.entry)
    page.show_entry(99)
    idle(qtbot, page)
    assert "entry-missing" in page.banner.report


def test_an_old_entry_of_a_long_ledger_is_shown_among_its_neighbours(qtbot, folder, show):
    with Records.open(folder) as records, records.writing():
        ledger = Ledger(records)
        for _ in range(2 * MOST_SHOWN):
            ledger.append(EntryKind.LAUNCH_PREPARED, "a1", {})
    page = show()
    assert "Only the newest" in texts(page)
    page.show_entry(5)
    idle(qtbot, page)
    assert page.table.entries[page.table.currentRow()].sequence == 5
    assert "Newer entries are not shown" in texts(page)
    page.kinds.setCurrentIndex(1)
    idle(qtbot, page)
    assert [entry.kind for entry in page.table.entries] == [EntryKind.LEDGER_BEGUN]


def weak(folder):
    """One launch on Milan that was given a secret, one on Rome, one that says nothing."""
    secret = {"name": "disk-passphrase", "entry": "web1/disk", "size": 44, "test": False}
    with Records.open(folder) as records:
        ledger = Ledger(records)
        body = {"guest": "web1", "generation": "milan", "cek_sha256": "ab" * 32}
        ledger.append(EntryKind.PACKET_SEALED, "m1", {**body, "secrets": [secret]})
        ledger.append(EntryKind.PACKET_SEALED, "r1", {"generation": "rome"})
        ledger.append(EntryKind.PACKET_SEALED, "u1", {"guest": "lab"})


def test_a_search_names_the_launches_and_secrets_that_a_weakness_concerns(qtbot, folder, show):
    weak(folder)
    page = show()
    press(qtbot, page.affected.button)
    page.affected.generation.setCurrentIndex(page.affected.generation.findData("milan"))
    press(qtbot, page.affected.searching)
    idle(qtbot, page)
    words = texts(page.affected)
    assert page.affected.answer.tone is Tone.WARN
    assert "Were given secrets: 1" in words
    assert "disk-passphrase from vault entry web1/disk" in words
    assert "Perhaps: what they ran on was not recorded: 1" in words
    assert "r1" not in words.replace("\n", " ").split()
    (first, _) = page.affected.findChildren(QPushButton, "entry")
    press(qtbot, first)
    idle(qtbot, page)
    assert "Entry 2" in texts(page.entry)


@pytest.mark.parametrize(
    ("field", "text", "given"),
    [
        ("cek", "ab" * 32, "m1"),
        ("vault_entry", "web1/disk", "m1"),
        ("build", "nonsense", "bad-build"),
        ("cek", "xyz", "bad-"),
    ],
)
def test_each_field_narrows_the_search_or_says_what_is_wrong(
    qtbot, folder, show, field, text, given
):
    weak(folder)
    page = show()
    press(qtbot, page.affected.button)
    press(qtbot, page.affected.searching)
    idle(qtbot, page)
    assert "nothing-to-search" in page.affected.answer.report
    getattr(page.affected, field).setText(text)
    press(qtbot, page.affected.searching)
    idle(qtbot, page)
    assert given in texts(page.affected) + page.affected.answer.report


def test_a_firmware_is_named_by_its_file_or_by_its_hash(qtbot, folder, show, tmp_path):
    firmware = tmp_path / "OVMF.fd"
    firmware.write_bytes(b"firmware")
    body = {"firmware_sha256": [hashlib.sha256(b"firmware").hexdigest()]}
    with Records.open(folder) as records:
        Ledger(records).append(EntryKind.PACKET_SEALED, "f1", body)
    page = show()
    press(qtbot, page.affected.button)
    for name in (str(firmware), body["firmware_sha256"][0]):
        page.affected.firmware.set_path(name)
        press(qtbot, page.affected.searching)
        idle(qtbot, page)
        assert "Were given secrets: 1" in texts(page.affected)


def test_every_advisory_can_be_searched_for(qtbot, folder, show):
    weak(folder)
    page = show()
    press(qtbot, page.affected.button)
    for place in range(1, page.affected.advisory.count()):
        page.affected.advisory.setCurrentIndex(place)
        press(qtbot, page.affected.searching)
        idle(qtbot, page)
        assert page.affected.answer.report


# -- what the keyring has noted -----------------------------------------------------------


@pytest.fixture
def noted(qtbot, bridge, folder, story, service):
    """The page over a vault whose keyring has noted the newest entry."""
    service.create(OpenWith.KEYRING)
    with service.opened() as vault:
        vault.write_anchor(LedgerHead(story[-1].sequence, story[-1].hash).text)
    service.close()
    page = LedgerPage(bridge, LedgerService(folder, service))
    qtbot.addWidget(page)
    page.resize(900, 900)
    page.show()
    page.refresh()
    idle(qtbot, page)
    return page


def verified_with_keyring(qtbot, page):
    page.check.anchor.setChecked(True)
    press(qtbot, page.verifying)
    qtbot.waitUntil(page.verdict.isVisible)
    idle(qtbot, page)


def test_the_newest_ledger_has_what_the_keyring_has_noted(qtbot, noted):
    verified_with_keyring(qtbot, noted)
    assert noted.verdict.tone is Tone.OK
    assert "no older records" in noted.verdict.report


def test_an_older_copy_is_named_and_counts_only_with_a_typed_reason(qtbot, noted, folder, service):
    (folder / FILE_NAME).unlink()
    with Records.open(folder) as records:
        Ledger(records).append(EntryKind.LAUNCH_PREPARED, "a1", {"guest": "web1"})
    verified_with_keyring(qtbot, noted)
    assert "ledger-rolled-back" in noted.verdict.report
    (going_on,) = [
        button for button in noted.verdict.findChildren(QPushButton) if "older" in button.text()
    ]
    press(qtbot, going_on)
    dialog = noted.dialog
    assert "must not be completed again" in texts(dialog)
    assert not dialog.agreeing.isEnabled()
    qtbot.keyClicks(dialog.reason, "the disk died")
    press(qtbot, dialog.agreeing)
    idle(qtbot, noted)
    qtbot.waitUntil(lambda: noted.table.entries[0].kind is EntryKind.ROLLBACK_ACCEPTED)
    idle(qtbot, noted)
    assert noted.table.entries[0].body["reason"] == "the disk died"
    service.close()
    verified_with_keyring(qtbot, noted)
    assert noted.verdict.tone is Tone.OK


def test_a_damaged_ledger_can_not_be_accepted(qtbot, noted, folder):
    tamper(folder)
    verified_with_keyring(qtbot, noted)
    assert "ledger-broken" in noted.verdict.report
    assert not [one for one in noted.verdict.findChildren(QPushButton) if "older" in one.text()]


def test_a_ledger_that_is_gone_is_missed_by_the_keyring(qtbot, noted, folder):
    (folder / FILE_NAME).unlink()
    noted.refresh()
    idle(qtbot, noted)
    press(qtbot, noted.empty.button)
    verified_with_keyring(qtbot, noted)
    assert "ledger-rolled-back" in noted.verdict.report
    assert not noted.list.isVisible()


@pytest.mark.parametrize("kind", EntryKind)
def test_each_kind_of_entry_has_its_words(kind):
    assert kind_look(kind).word
