# SPDX-License-Identifier: Apache-2.0
"""The page of the ledger: read without writing, verified in words, copied to new files."""

from __future__ import annotations

import json
import sqlite3

import pytest
from PySide6.QtGui import QGuiApplication

from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import FILE_NAME, Records
from watchword.gui.pages.ledger_page import LedgerPage
from watchword.gui.pages.ledger_service import LedgerService
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
    press(qtbot, page.copying)
    assert QGuiApplication.clipboard().text() == f"5:{story[-1].hash}"


def test_a_changed_entry_is_named_and_no_head_is_shown(qtbot, page, folder) -> None:
    press(qtbot, page.verifying)
    idle(qtbot, page)
    tamper(folder)
    press(qtbot, page.verifying)
    idle(qtbot, page)
    assert page.verdict.tone is Tone.BAD
    assert "Entry 2" in page.verdict.report
    assert not page.copying.isVisible()


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
