# SPDX-License-Identifier: Apache-2.0
"""A vault from outside: entries go in, come out, and leave; it opens in its own way alone."""

from __future__ import annotations

import base64
import copy
import pickle
import stat

import pytest

from watchword.core.errors import UsageError, VaultError, VerificationRefused
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind, generate_disk_passphrase
from watchword.core.vault.header import OpenWith
from watchword.core.vault.launch_keys import (
    erase_launch,
    erase_launch_keys,
    exchange_keys_for_packet,
    launch_key_names,
    launches_in,
    read_launch_keys,
    read_launch_packet,
    store_launch_keys,
)
from watchword.core.vault.vault import RollbackCheck, Vault
from watchword.core.vault.vault_file import default_folder
from watchword.core.vault.ways import SessionWay

from .support import keyring_ways, memory_access, passphrase_way, passphrase_ways, revealed

DISK = EntryKind.DISK_SECRET


def code_of(error, call, *arguments, **options):
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    return caught.value.code


def test_what_was_stored_comes_back_byte_for_byte(passphrase_vault, folder):
    value = bytes(range(256)) + b"\n\0"
    passphrase_vault.add("web1/disk", DISK, Secret(value))
    assert revealed(passphrase_vault.get("web1/disk")) == value
    with Vault.open(folder, passphrase_ways()) as vault:
        assert revealed(vault.get("web1/disk")) == value


def test_the_list_has_names_kinds_and_times_and_no_secret(keyring_vault):
    for name, kind in (("b", DISK), ("a", EntryKind.TEST_SECRET)):
        keyring_vault.add(name, kind, Secret(b"unlocks"))
    first, second = keyring_vault.list()
    assert (first.name, first.kind, second.name, second.kind) == (
        "a",
        EntryKind.TEST_SECRET,
        "b",
        DISK,
    )
    assert first.as_json().keys() == {"name", "kind", "created"}
    assert first.created.endswith("Z")
    assert keyring_vault.info("a") == first


def test_an_entry_that_is_not_there_is_said_to_be_missing(keyring_vault):
    for call in (keyring_vault.get, keyring_vault.info, keyring_vault.remove):
        assert code_of(VaultError, call, "web1/disk") == "entry-missing"


def test_an_entry_is_replaced_only_on_demand_and_keeps_its_kind(keyring_vault):
    keyring_vault.add("a", DISK, Secret(b"old"))
    again = ("a", DISK, Secret(b"new"))
    assert code_of(VaultError, keyring_vault.add, *again) == "entry-exists"
    other_kind = ("a", EntryKind.TEST_SECRET, Secret(b"new"))
    code = code_of(VaultError, keyring_vault.add, *other_kind, replace=True)
    assert code == "entry-kind-differs"
    assert revealed(keyring_vault.get("a")) == b"old"
    keyring_vault.add(*again, replace=True)
    assert revealed(keyring_vault.get("a")) == b"new"


def test_several_entries_are_stored_or_removed_together_or_not_at_all(keyring_vault):
    keyring_vault.add("a", DISK, Secret(b"1"))
    new = [("b", DISK, Secret(b"2")), ("a", DISK, Secret(b"3"))]
    assert code_of(VaultError, keyring_vault.add_all, new) == "entry-exists"
    assert code_of(VaultError, keyring_vault.remove, "a", "b") == "entry-missing"
    assert [entry.name for entry in keyring_vault.list()] == ["a"]


@pytest.mark.parametrize(("size", "fits"), [(0, False), (1, True), (65536, True), (65537, False)])
def test_a_value_has_1_to_65536_bytes(keyring_vault, size, fits):
    value = Secret(bytes(size))
    if fits:
        keyring_vault.add("a", DISK, value)
        assert len(keyring_vault.get("a")) == size
    else:
        assert code_of(UsageError, keyring_vault.add, "a", DISK, value) == "bad-entry-value"


def test_a_removed_entry_is_no_longer_in_the_file(passphrase_vault, folder):
    path = folder / "secrets.vault"
    before = path.read_bytes()
    passphrase_vault.add("a", DISK, Secret(bytes(5000)))
    assert len(path.read_bytes()) > len(before) + 5000
    passphrase_vault.remove("a")
    assert len(path.read_bytes()) == len(before)
    assert sorted(p.name for p in folder.iterdir()) == ["secrets.vault", "secrets.vault.lock"]


def test_the_keys_of_a_launch_are_stored_once_and_erased(keyring_vault):
    binding = b"b" * 32
    store_launch_keys(keyring_vault, "7f-3", Secret(b"k" * 16), Secret(b"i" * 16), binding)
    assert [revealed(key) for key in read_launch_keys(keyring_vault, "7f-3", binding)] == [
        b"k" * 16,
        b"i" * 16,
    ]
    assert {entry.name for entry in keyring_vault.list()} == set(launch_key_names("7f-3"))
    again = (keyring_vault, "7f-3", Secret(b"x" * 16), Secret(b"y" * 16), binding)
    assert code_of(VaultError, store_launch_keys, *again) == "entry-exists"
    assert erase_launch_keys(keyring_vault, "7f-3")
    assert not erase_launch_keys(keyring_vault, "7f-3")
    assert keyring_vault.list() == ()
    read = (keyring_vault, "7f-3", binding)
    assert code_of(VaultError, read_launch_keys, *read) == "launch-keys-missing"
    assert code_of(UsageError, launch_key_names, "../7") == "bad-launch-id"


@pytest.mark.parametrize("other", [b"c" * 32, b"", b"b" * 31])
def test_keys_are_given_out_only_for_what_they_were_made_for(keyring_vault, other):
    store_launch_keys(keyring_vault, "7f-3", Secret(b"k" * 16), Secret(b"i" * 16), b"b" * 32)
    read = (keyring_vault, "7f-3", other)
    assert code_of(VerificationRefused, read_launch_keys, *read) == "launch-record-changed"


def test_the_packet_of_a_launch_takes_the_place_of_its_keys_in_one_step(keyring_vault):
    store_launch_keys(keyring_vault, "7f-3", Secret(b"t"), Secret(b"i"), bytes(32))
    before = keyring_vault.generation
    assert read_launch_packet(keyring_vault, "7f-3") is None
    exchange_keys_for_packet(keyring_vault, "7f-3", b"sealed")
    assert keyring_vault.generation == before + 1
    assert [entry.name for entry in keyring_vault.list()] == ["launch/7f-3/packet"]
    assert read_launch_packet(keyring_vault, "7f-3") == b"sealed"
    assert launches_in(keyring_vault) == {"7f-3"}
    assert not erase_launch_keys(keyring_vault, "7f-3")
    assert erase_launch(keyring_vault, "7f-3")
    assert launches_in(keyring_vault) == frozenset()


def test_an_exchange_that_can_not_be_made_changes_nothing(keyring_vault):
    keyring_vault.add("a", EntryKind.DISK_SECRET, Secret(b"1"))
    keyring_vault.add("b", EntryKind.DISK_SECRET, Secret(b"2"))
    before = keyring_vault.generation
    new = ("b", EntryKind.DISK_SECRET, Secret(b"3"))
    assert code_of(VaultError, keyring_vault.exchange, ["a"], [new]) == "entry-exists"
    new = ("c", EntryKind.DISK_SECRET, Secret(b"3"))
    assert code_of(VaultError, keyring_vault.exchange, ["a", "x"], [new]) == "entry-missing"
    new = ("c", EntryKind.DISK_SECRET, Secret(b""))
    assert code_of(UsageError, keyring_vault.exchange, ["a"], [new]) == "bad-entry-value"
    assert [entry.name for entry in keyring_vault.list()] == ["a", "b"]
    assert keyring_vault.generation == before


def test_a_generated_disk_passphrase_is_33_bytes_in_base64_without_newline():
    one, other = revealed(generate_disk_passphrase()), revealed(generate_disk_passphrase())
    assert len(one) == 44
    assert len(base64.b64decode(one, validate=True)) == 33
    assert one != other
    assert revealed(generate_disk_passphrase(bytes)) == b"A" * 44


def test_file_and_folder_are_for_their_owner_alone(keyring_vault, folder):
    keyring_vault.add("a", DISK, Secret(b"1"))
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (folder, *folder.iterdir())}
    assert modes == {"vault": 0o700, "secrets.vault": 0o600, "secrets.vault.lock": 0o600}


def test_a_second_vault_in_the_same_folder_is_refused(keyring_vault, folder):
    before = (folder / "secrets.vault").read_bytes()
    assert code_of(VaultError, Vault.create, folder, passphrase_way()) == "vault-exists"
    assert (folder / "secrets.vault").read_bytes() == before


def test_a_vault_opens_in_its_own_way_and_no_other(passphrase_vault, folder, ways):
    assert code_of(VaultError, Vault.open, folder, ways) == "vault-opens-otherwise"


def test_no_vault_is_no_vault(folder, ways):
    assert code_of(VaultError, Vault.open, folder, ways) == "vault-missing"
    folder.mkdir(mode=0o700)
    (folder / "secrets.vault").mkdir()
    assert code_of(VaultError, Vault.open, folder, ways) == "vault-unreadable"


def test_a_vault_without_its_key_in_the_keyring_does_not_open(keyring_vault, folder, backend):
    vault_id = keyring_vault.header.vault_id.hex()
    keyring_vault.close()
    del backend.items["watchword", vault_id]
    fresh = memory_access(backend)
    code = code_of(VaultError, Vault.open, folder, keyring_ways(fresh))
    assert code == "keyring-key-missing"
    backend.items["watchword", vault_id] = base64.urlsafe_b64encode(bytes(32)).decode()[:-1]
    assert code_of(VaultError, Vault.open, folder, keyring_ways(fresh)) == "keyring-key-missing"
    fresh.close()


def test_a_closed_vault_gives_nothing(passphrase_vault):
    passphrase_vault.add("a", DISK, Secret(b"1"))
    passphrase_vault.close()
    passphrase_vault.close()
    for call in (passphrase_vault.list, passphrase_vault.rotate):
        assert code_of(VaultError, call) == "vault-closed"
    assert code_of(VaultError, passphrase_vault.get, "a") == "vault-closed"


def test_a_session_only_vault_leaves_nothing_but_its_choice(folder):
    ways = {OpenWith.SESSION_ONLY: SessionWay()}
    with Vault.create(folder, SessionWay()) as vault:
        before = (folder / "secrets.vault").read_bytes()
        vault.add("a", DISK, Secret(b"1"))
        vault.rotate()
        assert revealed(vault.get("a")) == b"1"
        assert vault.rollback is RollbackCheck.NOT_DETECTABLE
        assert (folder / "secrets.vault").read_bytes() == before
    with Vault.open(folder, ways) as vault:
        assert vault.list() == ()
        assert vault.header.slot.WAY is OpenWith.SESSION_ONLY


def test_a_vault_in_memory_is_a_vault(tmp_path):
    with Vault.in_memory() as vault:
        vault.add("a", DISK, Secret(b"1"))
        vault.remove("a")
        assert not vault.write_anchor("head")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_others_may_change_is_refused(keyring_vault, folder, ways):
    keyring_vault.close()
    for mode in (0o770, 0o702):
        folder.chmod(mode)
        assert code_of(VaultError, Vault.open, folder, ways) == "vault-exposed"
    folder.chmod(0o755)
    (folder / "secrets.vault").unlink()
    assert code_of(VaultError, Vault.create, folder, passphrase_way()) == "vault-exposed"
    folder.chmod(0o700)


def test_neither_vault_nor_key_can_be_copied_or_shown(keyring_vault):
    assert repr(keyring_vault) == "<vault>"
    for attempt in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            attempt(keyring_vault)


def test_the_folder_is_named_by_the_environment_or_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "watchword" / "vault"
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path / "home"))
    assert default_folder() == tmp_path / "home" / "vault"
