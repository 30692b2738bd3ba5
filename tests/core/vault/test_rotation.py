# SPDX-License-Identifier: Apache-2.0
"""A new key for a vault: everything is sealed anew, and no crash on the way loses it."""

from __future__ import annotations

import pytest

from watchword.core.errors import VaultError
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.core.vault.keyring_way import KeyringWay
from watchword.core.vault.vault import Vault

from .support import keyring_ways, memory_access, passphrase_way, passphrase_ways, revealed

KIND = EntryKind.DISK_SECRET


@pytest.fixture
def filled(keyring_vault, folder):
    keyring_vault.add("a", KIND, Secret(b"unlocks"))
    keyring_vault.write_anchor()
    keyring_vault.close()
    return folder


def test_everything_is_sealed_anew_under_another_key(filled, ways, backend):
    before = (filled / "secrets.vault").read_bytes()
    keys = {user: text for (_, user), text in backend.items.items() if "/" not in user}
    with Vault.open(filled, ways) as vault:
        created = vault.info("a").created
        assert vault.rotate() is None
        assert revealed(vault.get("a")) == b"unlocks"
        assert vault.info("a").created == created
        vault.add("b", KIND, Secret(b"2"))
    (user,) = keys
    assert backend.items["watchword", user] != keys[user]
    assert not any(name.endswith("/next") for _, name in backend.items)
    fresh = memory_access(backend)
    with Vault.open(filled, keyring_ways(fresh)) as vault:
        assert {entry.name for entry in vault.list()} == {"a", "b"}
    (filled / "secrets.vault").write_bytes(before)
    with pytest.raises(VaultError) as caught:
        Vault.open(filled, keyring_ways(fresh))
    assert caught.value.code == "keyring-key-missing"  # the old key is gone
    fresh.close()


def test_a_crash_before_the_file_is_written_leaves_the_old_key(filled, ways, access, monkeypatch):
    class Dies(KeyringWay):
        def keep(self, vault_id, wrap_key):
            super().keep(vault_id, wrap_key)
            raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        Vault.open(filled, {OpenWith.KEYRING: Dies(access)}) as vault,
    ):
        vault.rotate()
    assert_opens(filled, ways)


def test_a_crash_after_the_file_is_written_leaves_the_new_key(filled, ways, backend):
    class Dies(KeyringWay):
        def settle(self, vault_id, wrap_key, slot):
            raise KeyboardInterrupt

    dying = memory_access(backend)
    with (
        pytest.raises(KeyboardInterrupt),
        Vault.open(filled, {OpenWith.KEYRING: Dies(dying)}) as vault,
    ):
        vault.rotate()
    dying.close()
    assert any(user.endswith("/next") for _, user in backend.items)
    assert_opens(filled, ways)
    assert not any(user.endswith("/next") for _, user in backend.items)
    assert_opens(filled, ways)


def test_a_file_that_cannot_be_written_leaves_the_old_key(filled, ways, backend, monkeypatch):
    with Vault.open(filled, ways) as vault:
        monkeypatch.setattr(vault._storage, "write", refuse)
        with pytest.raises(VaultError, match="full"):
            vault.rotate()
        monkeypatch.undo()
        assert revealed(vault.get("a")) == b"unlocks"
        vault.add("b", KIND, Secret(b"2"))
    assert not any(user.endswith("/next") for _, user in backend.items)
    assert_opens(filled, ways)


def refuse(data):
    raise VaultError("vault-not-written", "The disk is full", "It is.", "Make room.")


def assert_opens(folder, ways):
    with Vault.open(folder, ways) as vault:
        assert revealed(vault.get("a")) == b"unlocks"


def test_an_open_vault_is_told_when_another_process_rotates(filled, ways, backend):
    other_process = memory_access(backend)
    with Vault.open(filled, ways) as vault:
        with Vault.open(filled, keyring_ways(other_process)) as other:
            other.rotate()
        with pytest.raises(VaultError) as caught:
            vault.get("a")
    assert caught.value.code == "vault-key-changed"
    assert_opens(filled, ways)  # although this process had read the old key
    other_process.close()


def test_a_rotation_while_a_vault_is_opened_is_waited_out(filled, ways, access, backend):
    other_process = memory_access(backend)

    class Overtaken(KeyringWay):
        overtaken = False

        def fetch(self, header):
            if not self.overtaken:
                self.overtaken = True
                with Vault.open(filled, keyring_ways(other_process)) as other:
                    other.rotate()
            return super().fetch(header)

    assert_opens(filled, {OpenWith.KEYRING: Overtaken(access)})
    other_process.close()


def test_rotating_changes_the_passphrase(passphrase_vault, folder):
    passphrase_vault.add("a", KIND, Secret(b"unlocks"))
    passphrase_vault.close()
    new = b"another five words by chance"
    with Vault.open(folder, {OpenWith.PASSPHRASE: passphrase_way(new=new)}) as vault:
        vault.rotate()
    with pytest.raises(VaultError) as caught:
        Vault.open(folder, passphrase_ways())
    assert caught.value.code == "wrong-passphrase"
    assert_opens(folder, passphrase_ways(new))


def test_nobody_waits_for_a_person_who_thinks_of_a_passphrase(passphrase_vault, folder):
    passphrase_vault.close()

    def think():
        with Vault.open(folder, passphrase_ways()) as other:
            other.add("a", KIND, Secret(b"unlocks"))  # would wait for the lock
        return Secret(b"another five words by chance")

    way = passphrase_way()
    way._ask_new = think
    with Vault.open(folder, {OpenWith.PASSPHRASE: way}) as vault:
        vault.rotate()
        assert revealed(vault.get("a")) == b"unlocks"
