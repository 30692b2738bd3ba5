# SPDX-License-Identifier: Apache-2.0
"""Passphrases: what is accepted, what opens, and what is stored of them."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.kdf import scrypt

from watchword.core.errors import VaultError
from watchword.core.secret import Secret
from watchword.core.vault.header import Header, KeyringSlot
from watchword.core.vault.key_stretching import Argon2id, Scrypt
from watchword.core.vault.vault import Vault

from .support import CHEAP, PASSPHRASE, passphrase_way, passphrase_ways, revealed

ARGON = Argon2id(1, 1, 19456)
VAULT_ID = bytes(16)


def code_of(call, *arguments):
    with pytest.raises(VaultError) as caught:
        call(*arguments)
    return caught.value.code


@pytest.mark.parametrize("kdf", [CHEAP, ARGON])
def test_parameters_are_stored_and_used(folder, kdf):
    Vault.create(folder, passphrase_way(stretching=kdf)).close()
    with Vault.open(folder, passphrase_ways()) as vault:  # whose own default is another
        assert vault.header.slot.stretching == kdf


def test_scrypt_is_what_the_standard_library_has_by_that_name():
    expected = hashlib.scrypt(PASSPHRASE, salt=bytes(32), n=2**14, r=1, p=1, dklen=32)
    assert revealed(CHEAP.derive(Secret(PASSPHRASE), bytes(32))) == expected


def test_the_default_is_128_mib_of_scrypt():
    assert Scrypt() == Scrypt(17, 8, 1)


@pytest.mark.parametrize("wrong", [PASSPHRASE + b"x", PASSPHRASE[:-1], PASSPHRASE.upper(), b""])
def test_a_wrong_passphrase_does_not_open(passphrase_vault, folder, wrong):
    assert code_of(Vault.open, folder, passphrase_ways(wrong)) == "wrong-passphrase"


def test_a_novel_is_refused_before_any_work(passphrase_vault, folder, monkeypatch):
    monkeypatch.setattr(Scrypt, "derive", None)
    assert code_of(Vault.open, folder, passphrase_ways(b"a" * 1025)) == "wrong-passphrase"


@pytest.mark.parametrize(
    ("passphrase", "code"),
    [(b"", "short"), (b"eleven char", "short"), ("fünf".encode(), "short"), (b"a" * 1025, "long")],
)
def test_a_new_passphrase_has_12_to_1024_bytes(folder, passphrase, code):
    way = passphrase_way(new=passphrase or b"\n")
    assert code_of(Vault.create, folder, way) == f"passphrase-too-{code}"
    assert not folder.exists()


def test_accents_may_be_typed_in_either_way(folder):
    Vault.create(folder, passphrase_way("fünf Wörter, mehr".encode())).close()
    decomposed = "fu\u0308nf Wo\u0308rter, mehr".encode()
    Vault.open(folder, passphrase_ways(decomposed)).close()
    assert code_of(Vault.open, folder, passphrase_ways(b"funf Worter, mehr")) == "wrong-passphrase"


def test_a_passphrase_need_not_be_text(folder):
    Vault.create(folder, passphrase_way(b"\xff" * 16)).close()
    Vault.open(folder, passphrase_ways(b"\xff" * 16)).close()


def test_a_box_of_another_vault_does_not_open():
    way = passphrase_way()
    slot = way.keep(VAULT_ID, Secret(bytes(32)))
    other = Header(b"\x01" * 16, bytes(16), slot)
    assert code_of(way.fetch, other) == "wrong-passphrase"
    assert code_of(way.fetch, Header(VAULT_ID, bytes(16), KeyringSlot("a"))) == (
        "vault-opens-otherwise"
    )


def test_what_is_asked_for_is_wiped(passphrase_vault, folder):
    given = []
    way = passphrase_way()

    def ask():
        given.append(Secret(PASSPHRASE))
        return given[-1]

    way._ask = way._ask_new = ask
    with Vault.open(folder, {passphrase_vault.header.slot.WAY: way}) as vault:
        vault.rotate()
    assert [secret.wiped for secret in given] == [True, True]


def test_too_little_memory_is_said(monkeypatch):
    class Greedy:
        def __init__(self, *arguments):
            pass

        def derive_into(self, *arguments):
            raise MemoryError

    monkeypatch.setattr(scrypt, "Scrypt", Greedy)
    assert code_of(CHEAP.derive, Secret(PASSPHRASE), bytes(32)) == "not-enough-memory"
