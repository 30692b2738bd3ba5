# SPDX-License-Identifier: Apache-2.0
"""What the vault adds to the cipher where an entry is sealed and opened again.

The bare calls are what a program without a vault would write for one secret under a key
at hand: the library's AES-GCM object, a fresh nonce that is put before the ciphertext,
and the same associated data, ready-made. They seal the same bytes and get them back, and
a test of its own opens the vault's entry with them. They check nothing, say nothing of
what was wrong, and leave the opened bytes where nobody can wipe them. They make the
cipher object for each call because a command seldom has more than one secret to do with;
the vault has one from when it was opened. What the ratio would be against one that is
kept is listed.
"""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from watchword.core.secret import Secret
from watchword.core.vault.entries import LARGEST_VALUE, EntryInfo, EntryKind
from watchword.core.vault.key_box import derive_key
from watchword.core.vault.sealed_entries import SealingKeys

from .ratio import Ratio, best_times

WRAP_KEY = Secret(bytes(range(32)))
VAULT_ID = bytes(range(16))
GENERATION = 7
INFO = EntryInfo("web1/disk", EntryKind.DISK_SECRET, "2026-11-23T14:00:00Z")
TIMES = 200  # for one measurement

SIZES = pytest.mark.parametrize("size", [16, 44, 4096, LARGEST_VALUE])


class Bare:
    """The cipher alone, under the vault's key and with the vault's associated data."""

    def __init__(self, entry_id: bytes) -> None:
        with derive_key(WRAP_KEY, VAULT_ID, "watchword vault entries").reveal() as view:
            self.key = bytes(view)
        label = (b"watchword vault entry\0", VAULT_ID, entry_id, GENERATION.to_bytes(8, "little"))
        sizes = bytes((len("disk-secret"), len("web1/disk")))
        text = b"disk-secretweb1/disk2026-11-23T14:00:00Z"
        self.associated = b"".join((*label, sizes, text))

    def cipher(self) -> AESGCM:
        return AESGCM(self.key)

    def seal(self, value: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self.cipher().encrypt(nonce, value, self.associated)

    def open(self, sealed: bytes) -> bytes:
        return self.cipher().decrypt(sealed[:12], sealed[12:], self.associated)


class BareKept(Bare):
    """The same with one cipher object for all."""

    def __init__(self, entry_id: bytes) -> None:
        super().__init__(entry_id)
        self.kept = super().cipher()

    def cipher(self) -> AESGCM:
        return self.kept


@pytest.fixture
def keys() -> SealingKeys:
    return SealingKeys(WRAP_KEY, VAULT_ID)


def seal_and_open(keys: SealingKeys, value: bytes):
    """The vault's work on one entry, and a function that does it many times."""
    secret = Secret(value)

    def work() -> None:
        for _ in range(TIMES):
            keys.open_entry(*keys.seal_entry(INFO, GENERATION, secret))

    return work


def seal_and_open_bare(bare: Bare, value: bytes):
    def work() -> None:
        for _ in range(TIMES):
            bare.open(bare.seal(value))

    return work


@pytest.mark.parametrize("kind", [Bare, BareKept])
def test_the_bare_calls_do_the_same(keys: SealingKeys, kind: type[Bare]) -> None:
    entry, sealed = keys.seal_entry(INFO, GENERATION, Secret(b"unlocks"))
    bare = kind(entry.entry_id)
    assert bare.open(sealed) == b"unlocks"
    with keys.open_entry(entry, bare.seal(b"unlocks")).reveal() as view:
        assert view == b"unlocks"


@SIZES
def test_an_entry_costs_no_more_than_twice_the_bare_calls(
    keys: SealingKeys, ratio: Ratio, size: int
) -> None:
    value = os.urandom(size)
    name = f"seal and open {size} bytes / bare AES-GCM"
    bare = Bare(bytes(16))
    ratio(name, seal_and_open(keys, value), seal_and_open_bare(bare, value), 2.0)


@SIZES
def test_what_an_entry_costs_against_a_cipher_that_is_kept_is_listed(
    keys: SealingKeys, size: int
) -> None:
    value = os.urandom(size)
    bare = seal_and_open_bare(BareKept(bytes(16)), value)
    ours, least = best_times(seal_and_open(keys, value), bare, 15)
    print(f"\nseal and open {size} bytes / AES-GCM kept: {ours / least:.2f}", end="")
    assert ours > 0
