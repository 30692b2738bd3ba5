# SPDX-License-Identifier: Apache-2.0
"""The page of the vault: made by choice, opened once, secrets on the screen for 20 seconds."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.gui.pages.vault_add_dialog import AddDialog, Source
from watchword.gui.pages.vault_dialogs import PassphraseDialog, RecoveryDialog
from watchword.gui.pages.vault_entries import MOST_SHOWN, REVEAL_SECONDS
from watchword.gui.pages.vault_page import VaultPage
from watchword.gui.pages.vault_service import VaultState
from watchword.gui.widgets.secret_clipboard import SecretClipboard
from watchword.gui.widgets.tones import Tone

from ..widgets.looks import cut_off, nameless
from .support import PASSPHRASE, KeyringLocked, idle, passphrase, press, settled, texts

WORD = "correct horse battery staple"
# 1366x768 at 150 %, in device-independent pixels, less the sidebar.
SMALLEST = (911 - 180, 512)


@pytest.fixture
def show(qtbot, bridge):
    """Shows the page over a service, as the window does."""

    def shown(service):
        page = VaultPage(bridge, service)
        qtbot.addWidget(page)
        page.resize(900, 700)
        page.show()
        page.refresh()
        idle(qtbot, page)
        return page

    return shown


@pytest.fixture
def page(service, show):
    """The page over an open vault with one disk secret."""
    service.create(OpenWith.KEYRING)
    service.add("web1/disk", EntryKind.DISK_SECRET, Secret(WORD.encode()))
    return show(service)


# -- making, opening ---------------------------------------------------------------


def test_a_vault_is_made_only_in_the_way_that_was_chosen(qtbot, service, show) -> None:
    page = show(service)
    assert page.maker.isVisible()
    assert page.maker.chosen is None
    assert not page.maker.button.isEnabled()
    page.maker.choices[OpenWith.SESSION_ONLY].click()
    press(qtbot, page.maker.button)
    idle(qtbot, page)
    assert page.view.open_with is OpenWith.SESSION_ONLY
    assert page.badge.look.tone is Tone.WARN
    assert "gone when Watchword ends" in texts(page)
    assert not page.maker.isVisible()


def test_a_passphrase_is_typed_twice_before_a_vault_is_made_with_it(qtbot, service, show) -> None:
    page = show(service)
    page.maker.choices[OpenWith.PASSPHRASE].click()
    qtbot.keyClicks(page.maker.passphrase.edit, PASSPHRASE.decode())
    assert not page.maker.button.isEnabled()
    qtbot.keyClicks(page.maker.passphrase.again, PASSPHRASE.decode())
    press(qtbot, page.maker.button)
    idle(qtbot, page)
    assert (page.view.state, page.view.open_with) == (VaultState.OPEN, OpenWith.PASSPHRASE)
    assert page.maker.passphrase.empty


def test_a_keyring_that_is_locked_is_said_and_no_other_way_is_taken(
    qtbot, service, backend, show
) -> None:
    page = show(service)
    backend.fault = KeyringLocked()
    page.maker.choices[OpenWith.KEYRING].click()
    press(qtbot, page.maker.button)
    idle(qtbot, page)
    assert page.banner.tone is Tone.BAD
    assert "locked" in page.banner.report
    assert page.maker.isVisible()
    assert not (service.folder / "secrets.vault").exists()


def test_the_passphrase_is_asked_for_once_and_a_wrong_one_can_be_mended(
    qtbot, service, next_run, show
) -> None:
    service.create(OpenWith.PASSPHRASE, passphrase())
    page = show(next_run())
    assert not page.held.isVisible()
    press(qtbot, page.opening)
    dialog = page.dialog
    assert isinstance(dialog, PassphraseDialog)
    qtbot.keyClicks(dialog.field.edit, "quite another passphrase")
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert page.dialog is dialog
    assert "not the passphrase" in dialog.field.problem
    assert not dialog.agreeing.isEnabled()
    qtbot.keyClicks(dialog.field.edit, PASSPHRASE.decode())
    qtbot.keyClick(dialog.field.edit, Qt.Key.Key_Return)
    idle(qtbot, page)
    assert page.dialog is None
    assert page.view.state is VaultState.OPEN
    page.refresh()
    idle(qtbot, page)
    assert page.view.state is VaultState.OPEN
    press(qtbot, page.closing)
    idle(qtbot, page)
    assert page.view.state is VaultState.CLOSED
    assert page.opening.isVisible()


def test_what_is_wrong_with_a_vault_is_said_and_can_be_tried_again(
    qtbot, service, backend, next_run, show
) -> None:
    service.create(OpenWith.KEYRING)
    backend.fault = KeyringLocked()
    page = show(next_run())
    assert page.badge.look.tone is Tone.BAD
    assert "locked" in page.banner.report
    assert not page.held.isVisible()
    assert not page.maker.isVisible()
    backend.fault = None
    page.refresh()
    idle(qtbot, page)
    assert page.badge.look.tone is Tone.OK
    assert not page.banner.isVisible()


# -- entries -----------------------------------------------------------------------


def test_a_generated_passphrase_is_stored_and_never_shown_by_itself(qtbot, service, show) -> None:
    service.create(OpenWith.KEYRING)
    page = show(service)
    assert page.empty.isVisible()
    press(qtbot, page.adding)
    dialog = page.dialog
    assert isinstance(dialog, AddDialog)
    assert dialog.source is Source.GENERATE
    assert not dialog.agreeing.isEnabled()
    qtbot.keyClicks(dialog.name_field, "web1/disk")
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    (row,) = page.entries.rows
    assert (row.info.name, row.info.kind) == ("web1/disk", EntryKind.DISK_SECRET)
    assert not row.revealed
    assert not page.empty.isVisible()


def test_a_typed_secret_warns_and_is_gone_from_its_field(qtbot, service, show) -> None:
    service.create(OpenWith.KEYRING)
    page = show(service)
    press(qtbot, page.adding)
    dialog = page.dialog
    qtbot.keyClicks(dialog.name_field, "a")
    dialog.choose(Source.TYPED)
    assert "leaves copies" in texts(dialog)
    for line in (dialog.typed.edit, dialog.typed.again):
        assert not dialog.agreeing.isEnabled()
        qtbot.keyClicks(line, WORD)
    press(qtbot, dialog.agreeing)
    assert dialog.typed.empty
    idle(qtbot, page)
    assert service.names() == ("a",)


def test_a_name_that_can_be_none_is_said_at_its_field(qtbot, service, show) -> None:
    service.create(OpenWith.KEYRING)
    page = show(service)
    press(qtbot, page.adding)
    dialog = page.dialog
    qtbot.keyClicks(dialog.name_field, "../x")
    dialog.name_field.editingFinished.emit()
    assert "slashes" in texts(dialog)
    assert not dialog.agreeing.isEnabled()
    dialog.name_field.setText("x")
    assert dialog.agreeing.isEnabled()
    dialog.reject()
    assert page.dialog is None


def test_what_was_filled_in_stays_if_it_can_not_be_stored(qtbot, page, tmp_path) -> None:
    press(qtbot, page.adding)
    dialog = page.dialog
    qtbot.keyClicks(dialog.name_field, "b")
    dialog.choose(Source.FILE)
    dialog.file.set_path(str(tmp_path / "none"))
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert page.dialog is dialog
    assert dialog.banner.isVisible()
    assert dialog.name == "b"
    assert dialog.agreeing.isEnabled()


def test_a_secret_is_shown_on_demand_and_hides_by_itself(qtbot, page) -> None:
    (row,) = page.entries.rows
    assert WORD not in texts(page)
    press(qtbot, row.reveal)
    idle(qtbot, page)
    assert WORD in texts(page)
    assert str(REVEAL_SECONDS) in row.reveal.accessibleName()
    assert row._timer.interval() == 1000
    for _ in range(REVEAL_SECONDS):
        row._timer.timeout.emit()
    assert not row.revealed
    assert WORD not in texts(page)
    assert not row._timer.isActive()


def test_a_secret_is_not_on_the_screen_any_more_when_the_page_comes_back(qtbot, page) -> None:
    (row,) = page.entries.rows
    press(qtbot, row.reveal)
    idle(qtbot, page)
    page.hide()
    page.show()
    assert WORD not in texts(page)


@pytest.mark.parametrize(
    ("value", "shown", "note"),
    [
        (b"word\n", "word", "newline"),
        (b"\x00\xff", "00ff", "hex"),
        ("Schl\u00fcssel <b>".encode(), "Schl\u00fcssel <b>", ""),
        ("a\u202eb".encode(), "61e280ae62", "hex"),
    ],
)
def test_a_secret_that_is_no_plain_text_is_shown_for_what_it_is(
    qtbot, service, show, value, shown, note
) -> None:
    service.create(OpenWith.SESSION_ONLY)
    service.add("a", EntryKind.GUEST_SECRET, Secret(value))
    page = show(service)
    (row,) = page.entries.rows
    press(qtbot, row.reveal)
    idle(qtbot, page)
    words = texts(row).split("\n")
    assert shown in words
    assert not note or any(note in word for word in words)


def test_a_copied_secret_goes_by_way_of_the_clipboard_that_forgets(qtbot, page) -> None:
    (row,) = page.entries.rows
    press(qtbot, row.copy)
    idle(qtbot, page)
    assert QGuiApplication.clipboard().text() == WORD
    assert WORD not in texts(page)
    clipboard = SecretClipboard.of_application()
    assert clipboard.holds_secret
    clipboard.clear()
    assert QGuiApplication.clipboard().text() == ""


def test_an_entry_is_removed_after_it_was_said_what_that_means(qtbot, page, service) -> None:
    (row,) = page.entries.rows
    press(qtbot, row.remove)
    words = texts(page.dialog)
    assert "can't be brought back" in words
    assert "Backups" in words
    page.dialog.reject()
    assert service.names() == ("web1/disk",)
    press(qtbot, row.remove)
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert service.names() == ()
    assert page.empty.isVisible()


def test_keys_of_watchwords_own_are_named_and_nothing_can_be_done_to_them(
    qtbot, service, show
) -> None:
    service.create(OpenWith.KEYRING)
    service.add("launch/1/tik", EntryKind.TRANSPORT_KEY, Secret(bytes(16)))
    page = show(service)
    assert page.entries.rows == []
    assert page.entries.own.isVisible()
    assert page.empty.isVisible()
    press(qtbot, page.entries.own.button)
    assert "launch/1/tik" in texts(page)


def test_many_entries_are_found_by_name(qtbot, service, show) -> None:
    service.create(OpenWith.SESSION_ONLY)
    with service.opened() as vault:
        vault.add_all(
            [(f"vm{n}/disk", EntryKind.DISK_SECRET, Secret(b"x")) for n in range(MOST_SHOWN + 5)]
        )
    page = show(service)
    assert len(page.entries.rows) == MOST_SHOWN
    assert "5 more" in texts(page)
    qtbot.keyClicks(page.entries.sought, "VM104")
    assert [row.info.name for row in page.entries.rows] == ["vm104/disk"]
    qtbot.keyClicks(page.entries.sought, "x")
    assert page.entries.rows == []
    assert "No entry" in texts(page)


# -- recovery ----------------------------------------------------------------------


def test_a_recovery_code_is_shown_once_for_20_seconds_at_a_time(qtbot, page) -> None:
    press(qtbot, page.recovery)
    idle(qtbot, page)
    dialog = page.dialog
    assert isinstance(dialog, RecoveryDialog)
    code = dialog.words.accessibleName()
    assert len(code) == 44
    assert dialog._timer.interval() == REVEAL_SECONDS * 1000
    dialog.reject()
    assert page.dialog is dialog
    dialog._timer.timeout.emit()
    assert code not in texts(dialog) + dialog.words.accessibleName()
    press(qtbot, dialog.showing)
    assert dialog.words.accessibleName() == code
    dialog.written.click()
    secret = dialog._code
    press(qtbot, dialog.agreeing)
    assert page.dialog is None
    assert secret.wiped
    assert "Made on" in texts(page)


def test_a_second_recovery_code_is_made_only_after_it_was_said_what_becomes_of_the_first(
    qtbot, page, service
) -> None:
    code, view = service.make_recovery_code()
    code.wipe()
    page.show_view(view)
    press(qtbot, page.recovery)
    assert "no longer" in texts(page.dialog)
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert isinstance(page.dialog, RecoveryDialog)
    page.dialog.written.click()
    press(qtbot, page.dialog.agreeing)


# -- looks -------------------------------------------------------------------------


def test_everything_has_a_name_and_room_in_the_smallest_window(
    qtbot, service, show, scheme
) -> None:
    page = show(service)
    page.resize(*SMALLEST)
    page.maker.choices[OpenWith.PASSPHRASE].click()
    settled(page)
    assert (nameless(page), cut_off(page)) == ([], [])
    page.maker.choices[OpenWith.SESSION_ONLY].click()
    press(qtbot, page.maker.button)
    idle(qtbot, page)
    service.generate("web1/disk", EntryKind.DISK_SECRET)
    page.refresh()
    idle(qtbot, page)
    settled(page)
    assert (nameless(page), cut_off(page)) == ([], [])
    press(qtbot, page.adding)
    for source in Source:
        page.dialog.choose(source)
        settled(page)
        assert (nameless(page.dialog), cut_off(page.dialog)) == ([], [])
    page.dialog.reject()


def test_nothing_is_cut_off_in_a_language_with_longer_words(
    qtbot, service, show, longer_words
) -> None:
    service.create(OpenWith.KEYRING)
    service.generate("web1/disk", EntryKind.DISK_SECRET)
    page = show(service)
    page.resize(*SMALLEST)
    settled(page)
    assert cut_off(page) == []
