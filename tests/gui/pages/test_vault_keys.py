# SPDX-License-Identifier: Apache-2.0
"""The vault's key from the window: tokens, credentials, a new key, a copy restored by its code."""

from __future__ import annotations

import shutil

import pytest

from watchword.core.secret import Secret
from watchword.core.vault import systemd_creds
from watchword.core.vault.credential_way import DIRECTORY_VARIABLE
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.core.vault.token_way import MODULE_VARIABLE
from watchword.gui.pages.vault_dialogs import RecoveryDialog
from watchword.gui.pages.vault_given import Given
from watchword.gui.pages.vault_key_dialogs import RestoreDialog, RotateDialog, TokenDialog
from watchword.gui.pages.vault_page import VaultPage
from watchword.gui.pages.vault_service import VaultState

from ...core.vault.soft_hsm import PIN, TOKEN, configured
from .support import PASSPHRASE, idle, make_service, passphrase, press, revealed, texts

ANOTHER = "six other words chosen by chance"


@pytest.fixture
def show(qtbot, bridge):
    def shown(service):
        page = VaultPage(bridge, service)
        qtbot.addWidget(page)
        page.resize(900, 700)
        page.show()
        page.refresh()
        idle(qtbot, page)
        return page

    return shown


@pytest.fixture(scope="module")
def soft_token(program, tmp_path_factory):
    """SoftHSM with a token."""
    pytest.importorskip("pkcs11", reason="no python-pkcs11 (extra pkcs11)")
    with pytest.MonkeyPatch.context() as patch:
        yield configured(program, tmp_path_factory, patch)


@pytest.fixture
def credentials(tmp_path, monkeypatch):
    """What systemd would hand to this program's service."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "watchword-vault").write_bytes(bytes(range(32)))
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(folder))
    return folder


def with_code(service):
    """A vault with an entry and a recovery code, which is returned as text."""
    service.add("web1/disk", EntryKind.DISK_SECRET, Secret(b"unlocks"))
    code, _ = service.make_recovery_code()
    return revealed(code).decode()


def shown_code(qtbot, page):
    """The code in the dialog that shows it once, which is closed."""
    assert isinstance(page.dialog, RecoveryDialog)
    code = page.dialog.words.accessibleName()
    page.dialog.written.click()
    press(qtbot, page.dialog.agreeing)
    return code


# -- tokens --------------------------------------------------------------------------


def test_a_vault_is_made_with_a_token_and_opened_with_its_pin(
    qtbot, soft_token, service, next_run, show, monkeypatch
):
    monkeypatch.delenv(MODULE_VARIABLE, raising=False)
    page = show(service)
    page.maker.chooser.others.set_open(True)
    page.maker.choices[OpenWith.PKCS11].click()
    fields = page.maker.chooser.token
    assert not page.maker.button.isEnabled()
    fields.module.set_path(soft_token)
    fields.label.setText(TOKEN)
    qtbot.keyClicks(fields.pin.edit, PIN.decode())
    press(qtbot, page.maker.button)
    idle(qtbot, page)
    assert (page.view.state, page.view.open_with) == (VaultState.OPEN, OpenWith.PKCS11)
    assert fields.pin.empty
    page = show(next_run())
    assert page.view.state is VaultState.CLOSED
    assert TOKEN in texts(page)
    press(qtbot, page.opening)
    dialog = page.dialog
    assert isinstance(dialog, TokenDialog)
    dialog.fields.module.set_path(soft_token)
    qtbot.keyClicks(dialog.fields.pin.edit, "000000")
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert page.dialog is dialog
    assert "token-pin-wrong" in dialog.banner.report
    qtbot.keyClicks(dialog.fields.pin.edit, PIN.decode())
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert page.view.state is VaultState.OPEN
    press(qtbot, page.keys.rotating)
    qtbot.keyClicks(page.dialog.field.edit, PIN.decode())
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert page.dialog is None
    assert not page.banner.isVisible()


# -- credentials -----------------------------------------------------------------------


def test_a_service_of_systemd_opens_its_vault_without_asking(
    qtbot, credentials, service, next_run, show
):
    page = show(service)
    page.maker.chooser.others.set_open(True)
    page.maker.choices[OpenWith.SYSTEMD_CREDENTIAL].click()
    press(qtbot, page.maker.button)
    idle(qtbot, page)
    assert page.view.open_with is OpenWith.SYSTEMD_CREDENTIAL
    page = show(next_run())
    assert page.view.state is VaultState.OPEN
    assert "systemd" in texts(page)
    assert not page.closing.isVisible()


def test_a_credential_is_made_where_no_service_runs(qtbot, service, show, monkeypatch, tmp_path):
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)
    given = []
    monkeypatch.setattr(systemd_creds.shutil, "which", lambda tool: f"/usr/bin/{tool}")

    def run(command, secret):
        given.append(command)
        return b"sealed by systemd"

    monkeypatch.setattr(systemd_creds, "_run", run)
    page = show(service)
    page.maker.chooser.others.set_open(True)
    page.maker.choices[OpenWith.SYSTEMD_CREDENTIAL].click()
    assert not page.maker.button.isEnabled()
    fields = page.maker.chooser.credential
    fields.name.setText("no name/")
    assert not page.maker.button.isEnabled()
    fields.name.setText("desk")
    fields.file.set_path(str(tmp_path / "desk.cred"))
    fields.with_key.setCurrentIndex(fields.with_key.findData("host"))
    press(qtbot, page.maker.button)
    idle(qtbot, page)
    assert given == [
        ["/usr/bin/systemd-creds", "--name=desk", "--with-key=host", "encrypt", "-", "-"]
    ]
    assert (tmp_path / "desk.cred").read_bytes() == b"sealed by systemd"
    assert page.view.state is VaultState.OPEN


def test_a_vault_of_a_service_says_why_it_does_not_open_here(service, next_run, show, credentials):
    service.create(OpenWith.SYSTEMD_CREDENTIAL)
    shutil.rmtree(credentials)
    page = show(next_run())
    assert page.view.state is VaultState.UNUSABLE
    assert "credential-missing" in page.banner.report


# -- a new key ---------------------------------------------------------------------------


def test_a_new_key_brings_a_new_code_and_the_old_one_is_void(qtbot, service, show):
    service.create(OpenWith.KEYRING)
    old = with_code(service)
    page = show(service)
    press(qtbot, page.keys.rotating)
    dialog = page.dialog
    assert isinstance(dialog, RotateDialog)
    assert "void" in texts(dialog)
    assert not dialog.field.isVisible()
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    code = shown_code(qtbot, page)
    assert len(code) == len(old)
    assert code != old
    assert service.names() == ("web1/disk",)


def test_a_new_key_may_bring_another_passphrase(qtbot, service, next_run, show):
    service.create(OpenWith.PASSPHRASE, passphrase())
    page = show(service)
    press(qtbot, page.keys.rotating)
    dialog = page.dialog
    assert not dialog.agreeing.isEnabled()
    for line in (dialog.field.edit, dialog.field.again):
        qtbot.keyClicks(line, ANOTHER)
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert page.dialog is None
    again = next_run()
    view = again.unlock(Secret(ANOTHER.encode()))
    assert view.state is VaultState.OPEN


# -- copies, and the code -------------------------------------------------------------------


def test_a_forgotten_passphrase_is_replaced_by_means_of_the_code(qtbot, service, next_run, show):
    service.create(OpenWith.PASSPHRASE, passphrase())
    code = with_code(service)
    page = show(next_run())
    press(qtbot, page.keys.by_code)
    dialog = page.dialog
    assert isinstance(dialog, RestoreDialog)
    assert not dialog.file.isVisible()
    qtbot.keyClicks(dialog.code.edit, code)
    assert not dialog.agreeing.isEnabled()
    dialog.chooser.choices[OpenWith.PASSPHRASE].click()
    for line in (dialog.chooser.passphrase.edit, dialog.chooser.passphrase.again):
        qtbot.keyClicks(line, ANOTHER)
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert page.dialog is None
    assert page.view.state is VaultState.OPEN
    assert [row.info.name for row in page.entries.rows] == ["web1/disk"]
    assert next_run().unlock(Secret(ANOTHER.encode())).state is VaultState.OPEN


def test_a_wrong_code_is_said_and_the_vault_stays_as_it_was(qtbot, service, next_run, show):
    service.create(OpenWith.PASSPHRASE, passphrase())
    with_code(service)
    before = (service.folder / "secrets.vault").read_bytes()
    page = show(next_run())
    press(qtbot, page.keys.by_code)
    dialog = page.dialog
    qtbot.keyClicks(dialog.code.edit, "0000-0000")
    dialog.chooser.choices[OpenWith.KEYRING].click()
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert page.dialog is dialog
    assert "recovery-code" in dialog.banner.report
    assert (service.folder / "secrets.vault").read_bytes() == before
    dialog.reject()


def test_a_copy_is_restored_where_there_is_no_vault(qtbot, tmp_path, backend, service, show):
    service.create(OpenWith.PASSPHRASE, passphrase())
    service.add("web1/disk", EntryKind.DISK_SECRET, Secret(b"unlocks"))
    service.close()
    copy = tmp_path / "copy.vault"
    copy.write_bytes((service.folder / "secrets.vault").read_bytes())
    elsewhere = make_service(tmp_path / "elsewhere", backend)
    page = show(elsewhere)
    press(qtbot, page.maker.restoring)
    dialog = page.dialog
    assert not dialog.agreeing.isEnabled()
    dialog.file.set_path(str(copy))
    qtbot.keyClicks(dialog.old.edit, PASSPHRASE.decode())
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert page.view.state is VaultState.OPEN
    assert elsewhere.names() == ("web1/disk",)
    elsewhere.close()


def test_an_older_copy_is_restored_only_after_it_was_agreed_to(qtbot, service, next_run, show):
    service.create(OpenWith.KEYRING)
    file = service.folder / "secrets.vault"
    older = file.read_bytes()
    service.add("web1/disk", EntryKind.DISK_SECRET, Secret(b"unlocks"))
    service.close()
    file.unlink()
    copy = service.folder / "older.vault"
    copy.write_bytes(older)
    page = show(next_run())
    press(qtbot, page.maker.restoring)
    dialog = page.dialog
    assert not dialog.accept_older.isVisible()
    dialog.file.set_path(str(copy))
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert "vault-rolled-back" in dialog.banner.report
    assert not file.exists()
    dialog.accept_older.click()
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert page.view.state is VaultState.OPEN


# -- entries ---------------------------------------------------------------------------------


def test_an_entry_is_replaced_only_after_it_was_agreed_to(qtbot, service, show):
    service.create(OpenWith.KEYRING)
    service.add("web1/disk", EntryKind.DISK_SECRET, Secret(b"old"))
    page = show(service)
    press(qtbot, page.adding)
    dialog = page.dialog
    qtbot.keyClicks(dialog.name_field, "web1/disk")
    assert not dialog.replace.isVisible()
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert "entry-exists" in dialog.banner.report
    assert revealed(service.reveal("web1/disk")) == b"old"
    dialog.replace.click()
    press(qtbot, dialog.agreeing)
    idle(qtbot, page)
    assert page.dialog is None
    assert len(revealed(service.reveal("web1/disk"))) == 44


def test_what_was_given_is_wiped_whatever_comes_of_it(service):
    service.create(OpenWith.PASSPHRASE, passphrase())
    service.close()
    given = Given(open_with=OpenWith.PASSPHRASE, passphrase=Secret(b"x"), pin=Secret(b"y"))
    with pytest.raises(Exception, match="passphrase"):
        service.unlock_with(given)
    assert given.passphrase.wiped
    assert given.pin.wiped


def test_by_the_code_it_can_open_in_another_way_from_now_on(qtbot, service, next_run, show):
    service.create(OpenWith.PASSPHRASE, passphrase())
    code = with_code(service)
    page = show(next_run())
    press(qtbot, page.keys.by_code)
    qtbot.keyClicks(page.dialog.code.edit, code)
    page.dialog.chooser.choices[OpenWith.KEYRING].click()
    press(qtbot, page.dialog.agreeing)
    idle(qtbot, page)
    assert page.view.open_with is OpenWith.KEYRING
    assert next_run().look().state is VaultState.OPEN
