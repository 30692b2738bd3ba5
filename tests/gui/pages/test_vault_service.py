# SPDX-License-Identifier: Apache-2.0
"""The vault as the window has it: opened once, never switched to another way by itself."""

from __future__ import annotations

import pytest

from watchword.core.errors import BadInput, VaultError
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.core.vault.vault import RollbackCheck
from watchword.gui.pages.vault_service import VaultState

from .support import KeyringLocked, passphrase, revealed


def test_without_a_vault_none_is_made_by_looking(service) -> None:
    assert service.look().state is VaultState.ABSENT
    assert not service.folder.exists()
    assert service.names() is None


def test_a_vault_of_the_keyring_opens_by_itself_in_the_next_run(service, next_run) -> None:
    service.create(OpenWith.KEYRING)
    service.generate("web1/disk", EntryKind.DISK_SECRET)
    view = next_run().look()
    assert (view.state, view.open_with, view.keyring) == (
        VaultState.OPEN,
        OpenWith.KEYRING,
        "Memory",
    )
    assert [entry.name for entry in view.entries] == ["web1/disk"]
    assert view.rollback is RollbackCheck.CHECKED


def test_a_vault_with_a_passphrase_is_closed_until_it_is_given_once(service, next_run) -> None:
    service.create(OpenWith.PASSPHRASE, passphrase())
    service = next_run()
    assert service.look().state is VaultState.CLOSED
    with pytest.raises(VaultError, match="closed"), service.opened():
        pass
    given = passphrase()
    view = service.unlock(given)
    assert given.wiped
    assert (view.state, view.rollback) == (VaultState.OPEN, RollbackCheck.NOT_DETECTABLE)
    assert service.look().state is VaultState.OPEN
    service.close()
    assert service.look().state is VaultState.CLOSED


def test_a_wrong_passphrase_is_said_and_leaves_it_closed(service, next_run) -> None:
    service.create(OpenWith.PASSPHRASE, passphrase())
    service = next_run()
    with pytest.raises(VaultError) as refused:
        service.unlock(Secret(b"another five words altogether"))
    assert refused.value.code == "wrong-passphrase"
    assert service.look().state is VaultState.CLOSED


def test_a_session_only_vault_keeps_nothing_and_stays_session_only(service, next_run) -> None:
    service.create(OpenWith.SESSION_ONLY)
    service.generate("a", EntryKind.TEST_SECRET)
    assert service.names() == ("a",)
    view = next_run().look()
    assert (view.state, view.open_with, view.entries) == (
        VaultState.OPEN,
        OpenWith.SESSION_ONLY,
        (),
    )


def test_a_locked_keyring_is_told_and_never_exchanged_for_another_way(
    service, backend, next_run
) -> None:
    service.create(OpenWith.KEYRING)
    service = next_run()
    backend.fault = KeyringLocked()
    view = service.look()
    assert (view.state, view.open_with) == (VaultState.UNUSABLE, OpenWith.KEYRING)
    assert view.error is not None
    assert view.error.code == "keyring-locked"
    backend.fault = None
    assert service.look().state is VaultState.OPEN


def test_a_keyring_that_fails_while_a_vault_is_made_leaves_none(service, backend) -> None:
    backend.fault = KeyringLocked()
    with pytest.raises(VaultError, match="locked"):
        service.create(OpenWith.KEYRING)
    backend.fault = None
    assert service.look().state is VaultState.ABSENT


def test_a_damaged_file_is_told(service, next_run) -> None:
    service.create(OpenWith.KEYRING)
    service = next_run()
    path = service.folder / "secrets.vault"
    path.write_bytes(path.read_bytes()[:-1])
    view = service.look()
    assert (view.state, view.error.code) == (VaultState.UNUSABLE, "vault-damaged")


def test_an_older_copy_is_told(service, next_run) -> None:
    service.create(OpenWith.KEYRING)
    path = service.folder / "secrets.vault"
    old = path.read_bytes()
    service.generate("a", EntryKind.DISK_SECRET)
    path.write_bytes(old)
    assert next_run().look().error.code == "vault-rolled-back"


def test_a_change_that_the_keyring_does_not_note_is_made_and_said(service, backend) -> None:
    service.create(OpenWith.KEYRING)
    backend.fault = KeyringLocked()
    view = service.generate("a", EntryKind.DISK_SECRET)
    assert [entry.name for entry in view.entries] == ["a"]
    assert "locked" in view.note


def test_a_file_is_stored_byte_for_byte_or_without_its_newline(service, tmp_path) -> None:
    service.create(OpenWith.SESSION_ONLY)
    file = tmp_path / "passphrase"
    file.write_bytes(b"word\n")
    service.add_file("whole", EntryKind.DISK_SECRET, str(file))
    service.add_file("cut", EntryKind.DISK_SECRET, str(file), strip_newline=True)
    assert revealed(service.reveal("whole")) == b"word\n"
    assert revealed(service.reveal("cut")) == b"word"
    with pytest.raises(BadInput):
        service.add_file("none", EntryKind.DISK_SECRET, str(tmp_path / "missing"))


def test_a_secret_that_was_taken_is_wiped_even_if_it_is_not_stored(service) -> None:
    service.create(OpenWith.SESSION_ONLY)
    value = Secret(b"word")
    with pytest.raises(Exception, match="name"):
        service.add("../x", EntryKind.DISK_SECRET, value)
    assert value.wiped


@pytest.mark.parametrize("kind", [EntryKind.TRANSPORT_KEY, EntryKind.SIGNING_KEY])
def test_keys_of_launches_are_neither_shown_nor_removed_by_hand(service, kind) -> None:
    service.create(OpenWith.SESSION_ONLY)
    service.add("launch/1/tik", kind, Secret(bytes(16)))
    for work in (service.reveal, service.remove):
        with pytest.raises(VaultError) as refused:
            work("launch/1/tik")
        assert refused.value.code == "own-key"
    assert service.names() == ("launch/1/tik",)


def test_a_recovery_code_is_made_and_its_day_is_known(service) -> None:
    service.create(OpenWith.PASSPHRASE, passphrase())
    code, view = service.make_recovery_code()
    assert len(revealed(code)) == 44
    assert view.recovery_made is not None
