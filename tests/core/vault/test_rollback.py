# SPDX-License-Identifier: Apache-2.0
"""An older copy of the vault is noticed where the keyring remembers the newest state."""

from __future__ import annotations

import pytest

from watchword.core.errors import UsageError, VaultError
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.restoring import restore_vault
from watchword.core.vault.vault import RollbackCheck, Vault

from .support import keyring_ways, memory_access, passphrase_ways, revealed

KIND = EntryKind.DISK_SECRET


@pytest.fixture
def older(folder, ways, keyring_vault):
    """A copy of the vault from before its last change; the vault itself is newer and closed."""
    keyring_vault.add("a", KIND, Secret(b"old"))
    keyring_vault.write_anchor("head 1")
    keyring_vault.close()
    copy = folder.parent / "copy"
    copy.write_bytes((folder / "secrets.vault").read_bytes())
    with Vault.open(folder, ways) as vault:
        vault.add("a", KIND, Secret(b"new"), replace=True)
    return copy


def test_an_older_copy_put_back_is_refused(folder, ways, older):
    (folder / "secrets.vault").write_bytes(older.read_bytes())
    with pytest.raises(VaultError) as caught:
        Vault.open(folder, ways)
    assert caught.value.code == "vault-rolled-back"
    assert caught.value.details == {"generation": 2, "newest_seen": 3}


def test_the_newest_state_opens_and_says_that_it_was_checked(folder, ways, older):
    with Vault.open(folder, ways) as vault:
        assert vault.rollback is RollbackCheck.CHECKED
        assert vault.ledger_head == "head 1"


def test_an_older_copy_under_an_open_vault_is_refused(folder, ways, older):
    with Vault.open(folder, ways) as vault:
        (folder / "secrets.vault").write_bytes(older.read_bytes())
        with pytest.raises(VaultError) as caught:
            vault.get("a")
    assert caught.value.code == "vault-rolled-back"


def test_an_older_copy_is_put_back_on_purpose_only(folder, ways, older):
    path = folder / "secrets.vault"
    path.write_bytes(older.read_bytes())
    with pytest.raises(VaultError) as caught:
        restore_vault(path, folder, ways)
    assert caught.value.code == "vault-rolled-back"
    with restore_vault(path, folder, ways, accept_older=True) as vault:
        assert revealed(vault.get("a")) == b"old"
        assert vault.generation == 4  # beyond the newest that was seen
    with Vault.open(folder, ways) as vault:
        assert vault.rollback is RollbackCheck.CHECKED


def test_a_run_that_ended_before_it_took_note_raises_no_alarm(folder, ways, older):
    vault = Vault.open(folder, ways)
    vault.add("b", KIND, Secret(b"1"))
    vault.close()
    with Vault.open(folder, ways) as vault:
        assert vault.anchor_due  # the next run makes up for it
    with Vault.open(folder, ways) as vault:
        assert not vault.anchor_due


def test_the_keyring_takes_note_once_per_run(folder, backend, older):
    access = memory_access(backend)
    before = len(backend.calls)
    with Vault.open(folder, keyring_ways(access)) as vault:
        for name in "bcd":
            vault.add(name, KIND, Secret(b"1"))
    calls = [(what, user.partition("/")[2]) for what, _, user in backend.calls[before:]]
    assert calls == [("get", ""), ("get", "anchor"), ("get", "anchor"), ("set", "anchor")]
    access.close()


def test_a_run_that_changes_nothing_writes_nothing(folder, ways, backend, older):
    before = len(backend.calls)
    with Vault.open(folder, ways) as vault:
        vault.get("a")
    assert {what for what, _, _ in backend.calls[before:]} == {"get"}


def test_the_ledger_head_stays_until_another_is_noted(folder, ways, older):
    with Vault.open(folder, ways) as vault:
        vault.add("b", KIND, Secret(b"1"))
    with Vault.open(folder, ways) as vault:
        assert vault.ledger_head == "head 1"
        assert vault.write_anchor("head 2")
    with Vault.open(folder, ways) as vault:
        assert vault.ledger_head == "head 2"
        for head in ("", "a" * 129, "a\n", "ä"):
            with pytest.raises(UsageError):
                vault.write_anchor(head)


def test_a_run_never_takes_note_of_less_than_another_has(folder, ways, older):
    with Vault.open(folder, ways) as slow, Vault.open(folder, ways) as quick:
        slow.add("b", KIND, Secret(b"1"))
        quick.add("c", KIND, Secret(b"1"))
        quick.write_anchor("head of the quick one")
    with Vault.open(folder, ways) as vault:
        assert vault.generation == 5
        assert not vault.anchor_due
        assert vault.ledger_head == "head of the quick one"


def test_a_head_is_chosen_knowing_what_another_run_noted_meanwhile(folder, ways, older):
    with Vault.open(folder, ways) as slow:
        with Vault.open(folder, ways) as quick:
            quick.write_anchor("head 3")
        asked = []
        assert slow.write_anchor(asked.append)
        assert (asked, slow.ledger_head) == (["head 3"], "head 3")
        with pytest.raises(UsageError):
            slow.write_anchor(lambda noted: "ä")
        assert slow.write_anchor(lambda noted: f"{noted}, 4")
        assert slow.ledger_head == "head 3, 4"


def test_a_copy_that_is_older_than_another_run_noted_is_never_noted(folder, ways, older):
    path = folder / "secrets.vault"
    with Vault.open(folder, ways) as slow:
        before = path.read_bytes()
        with Vault.open(folder, ways) as quick:
            quick.add("b", KIND, Secret(b"1"))
        path.write_bytes(before)
        with pytest.raises(VaultError) as caught:
            slow.write_anchor()
    assert caught.value.code == "vault-rolled-back"


def test_what_is_noted_already_is_not_noted_again(folder, ways, backend, older):
    with Vault.open(folder, ways) as vault:
        before = len(backend.calls)
        assert vault.write_anchor()
        assert {what for what, _, _ in backend.calls[before:]} == {"get"}


def test_without_a_keyring_the_status_says_that_a_rollback_is_not_detectable(
    passphrase_vault, folder
):
    before = (folder / "secrets.vault").read_bytes()
    passphrase_vault.add("a", KIND, Secret(b"1"))
    passphrase_vault.close()
    (folder / "secrets.vault").write_bytes(before)
    with Vault.open(folder, passphrase_ways()) as vault:
        assert vault.rollback is RollbackCheck.NOT_DETECTABLE
        assert not vault.write_anchor("head")


def test_an_anchor_that_was_lost_is_said_to_be_lost(folder, ways, backend, older):
    del backend.items["watchword", next(u for _, u in backend.items if u.endswith("/anchor"))]
    with Vault.open(folder, ways) as vault:
        assert vault.rollback is RollbackCheck.NOT_DETECTABLE
    with Vault.open(folder, ways) as vault:
        assert vault.rollback is RollbackCheck.CHECKED
