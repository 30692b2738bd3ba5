# SPDX-License-Identifier: Apache-2.0
"""Whatever is changed in a vault file is noticed, by its seals and not by its checksum alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from watchword.core.errors import VaultError
from watchword.core.secret import Secret
from watchword.core.vault.contents import Contents
from watchword.core.vault.entries import EntryInfo, EntryKind
from watchword.core.vault.header import Header, KeyringSlot
from watchword.core.vault.key_stretching import Scrypt
from watchword.core.vault.layout import VaultLayout
from watchword.core.vault.opening import open_storage, read_header
from watchword.core.vault.sealed_entries import SealingKeys
from watchword.core.vault.vault import Vault
from watchword.core.vault.vault_file import MemoryStorage
from watchword.core.vault.ways import SessionWay

from .support import passphrase_way, revealed

VAULT_ID = bytes(range(16))
WRAP_KEY = bytes(32)
NAMES = ("web1/disk", "web2/disk")
DIGEST = 32
DAMAGE = {"vault-damaged", "vault-too-new", "vault-parameters"}


@pytest.fixture
def keys():
    return SealingKeys(Secret(WRAP_KEY), VAULT_ID)


@pytest.fixture
def contents(keys):
    """Two entries of the same size, kind and time."""
    empty = Contents(Header(VAULT_ID, keys.key_id, KeyringSlot("SecretService")), 1, {})
    new = [(info(name), Secret(name.encode())) for name in NAMES]
    return empty.changed(keys, add=new)


def info(name, kind=EntryKind.DISK_SECRET):
    return EntryInfo(name, kind, "2026-11-23T14:00:00Z")


def with_new_checksum(data):
    """As somebody would leave it who changes the file on purpose."""
    return data[:-DIGEST] + hashlib.sha256(data[:-DIGEST]).digest()


def unnoticed(variants, keys):
    """The names of those variants that open."""
    found = []
    for name, data in variants:
        codes = []
        try:
            Contents.open(bytes(data), keys)
        except VaultError as error:
            codes.append(error.code)
        if not DAMAGE & set(codes):
            found.append(name)
    return found


def every_bit_flipped(data, length):
    for position in range(length):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            yield f"byte {position}, bit {bit}", changed


def test_an_untouched_file_opens(contents, keys):
    assert Contents.open(contents.seal(keys), keys) == contents


def test_every_flipped_bit_is_noticed(contents, keys):
    data = contents.seal(keys)
    assert unnoticed(every_bit_flipped(data, len(data)), keys) == []


def test_every_flipped_bit_is_noticed_where_the_checksum_was_made_right(contents, keys):
    data = contents.seal(keys)
    flipped = every_bit_flipped(data, len(data) - DIGEST)
    assert unnoticed(((name, with_new_checksum(changed)) for name, changed in flipped), keys) == []


def test_every_truncation_is_noticed(contents, keys):
    data = contents.seal(keys)
    cut = ((f"{size} bytes", data[:size]) for size in range(len(data)))
    assert unnoticed(cut, keys) == []
    body = data[:-DIGEST]
    cut = (
        (f"{size} bytes", with_new_checksum(body[:size] + bytes(32))) for size in range(len(body))
    )
    assert unnoticed(cut, keys) == []


def test_bytes_after_the_end_are_noticed(contents, keys):
    longer = contents.seal(keys)[:-DIGEST] + bytes(1 + DIGEST)
    assert unnoticed([("longer", with_new_checksum(longer))], keys) == []


def test_entries_that_changed_places_are_noticed(contents, keys):
    layout = VaultLayout.parse(contents.seal(keys))
    half = len(layout.sealed_entries) // 2
    one, other = layout.sealed_entries[:half], layout.sealed_entries[half:]
    swapped = VaultLayout(layout.header, layout.sealed_index, other + one).build()
    assert unnoticed([("swapped", swapped)], keys) == []


def test_an_entry_or_index_of_an_earlier_state_is_noticed(contents, keys):
    changed = contents.changed(keys, add=[(info(NAMES[0]), Secret(b"newer txt"))])
    old, new = (VaultLayout.parse(state.seal(keys)) for state in (contents, changed))
    mixtures = {
        "old entries": VaultLayout(new.header, new.sealed_index, old.sealed_entries),
        "old index": VaultLayout(new.header, old.sealed_index, new.sealed_entries),
    }
    assert unnoticed(((name, layout.build()) for name, layout in mixtures.items()), keys) == []


def test_a_removed_entry_is_noticed(contents, keys):
    layout = VaultLayout.parse(contents.seal(keys))
    half = len(layout.sealed_entries) // 2
    for kept in (layout.sealed_entries[:half], layout.sealed_entries[half:], b""):
        data = VaultLayout(layout.header, layout.sealed_index, kept).build()
        assert unnoticed([("removed", data)], keys) == []


def test_another_header_under_the_same_index_is_noticed(contents, keys):
    layout = VaultLayout.parse(contents.seal(keys))
    header = Header(VAULT_ID, keys.key_id, KeyringSlot("KWallet")).build()
    data = VaultLayout(header, layout.sealed_index, layout.sealed_entries).build()
    assert unnoticed([("another header", data)], keys) == []


def test_an_entry_opens_in_its_own_vault_alone(keys):
    entry, sealed = keys.seal_entry(info(NAMES[0]), 1, Secret(b"unlocks"))
    assert revealed(keys.open_entry(entry, sealed)) == b"unlocks"
    elsewhere = SealingKeys(Secret(WRAP_KEY), VAULT_ID[::-1])
    with pytest.raises(VaultError):
        elsewhere.open_entry(entry, sealed)


def test_an_entry_opens_under_its_own_name_kind_time_id_and_generation_alone(keys):
    entry, sealed = keys.seal_entry(info(NAMES[0]), 1, Secret(b"unlocks"))
    relabelled = [
        replace(entry, info=info(NAMES[1])),
        replace(entry, info=info(NAMES[0], EntryKind.TEST_SECRET)),
        replace(entry, info=replace(entry.info, created="2026-11-23T14:00:01Z")),
        replace(entry, entry_id=bytes(16)),
        replace(entry, generation=2),
    ]
    for label in relabelled:
        with pytest.raises(VaultError):
            keys.open_entry(label, sealed)


def test_sealing_the_same_twice_gives_different_bytes(keys):
    one, other = (keys.seal_entry(info("a"), 1, Secret(b"unlocks"))[1] for _ in range(2))
    assert one != other
    assert keys.seal_index(b"{}", b"") != keys.seal_index(b"{}", b"")


def test_every_flipped_bit_of_a_passphrase_vault_is_noticed(passphrase_vault, folder, monkeypatch):
    data = (folder / "secrets.vault").read_bytes()
    monkeypatch.setattr(Scrypt, "derive", lambda *given: Secret(bytes(32)))  # the right key for any
    way, storage = passphrase_way(), MemoryStorage()
    boxed = keep_under_cheap_key(way, data)
    # The index and what follows are flipped above; here it is what is read before there is a key.
    flipped = every_bit_flipped(boxed, 28 + len(VaultLayout.parse(boxed).header))
    for name, changed in flipped:
        storage.write(with_new_checksum(changed))
        with pytest.raises(VaultError):
            open_all(storage, way)
        assert name
    storage.write(boxed)
    open_all(storage, way)


def keep_under_cheap_key(way, data):
    """The same vault, empty, with its key in a box under the key that is derived now."""
    header = read_header(data)
    keys = SealingKeys(Secret(WRAP_KEY), header.vault_id)
    slot = way.keep(header.vault_id, Secret(WRAP_KEY))
    return Contents(Header(header.vault_id, keys.key_id, slot), 1, {}).seal(keys)


def open_all(storage, way):
    return open_storage(storage, way, read_header(storage.read())).contents


def test_every_flipped_bit_of_a_session_only_vault_is_noticed(folder):
    Vault.create(folder, SessionWay()).close()
    data = (folder / "secrets.vault").read_bytes()
    for name, changed in every_bit_flipped(data, len(data) - DIGEST):
        with pytest.raises(VaultError):
            read_header(with_new_checksum(changed))
        assert name


def test_a_newer_schema_is_refused_with_its_number(contents, keys):
    data = bytearray(contents.seal(keys))
    data[16] = 2
    with pytest.raises(VaultError) as caught:
        Contents.open(with_new_checksum(data), keys)
    assert caught.value.code == "vault-too-new"
    assert "schema 2" in caught.value.message


def test_the_names_of_entries_are_not_readable_in_the_file(contents, keys):
    data = contents.seal(keys)
    assert not any(name.encode() in data for name in NAMES)
