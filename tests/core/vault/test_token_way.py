# SPDX-License-Identifier: Apache-2.0
"""A vault that opens with a key in a PKCS#11 token, here SoftHSM."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace

import pytest

from watchword.core.errors import VaultError
from watchword.core.secret import Secret
from watchword.core.vault import token_way
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.core.vault.token_way import TokenWay
from watchword.core.vault.vault import Vault

from .soft_hsm import MODULE, OTHER, PIN, TOKEN, configured
from .support import revealed

pkcs11 = pytest.importorskip("pkcs11", reason="no python-pkcs11 (extra pkcs11)")


@pytest.fixture(scope="session")
def soft_token(program, tmp_path_factory):
    """SoftHSM with two tokens of its own."""
    with pytest.MonkeyPatch.context() as patch:
        yield configured(program, tmp_path_factory, patch)


def ways(module, token=None, pin=PIN):
    return {OpenWith.PKCS11: TokenWay(module, token, lambda: Secret(pin))}


def code_of(call, *arguments):
    with pytest.raises(VaultError) as caught:
        call(*arguments)
    return caught.value.code


@pytest.fixture
def token_vault(soft_token, folder):
    (way,) = ways(soft_token, TOKEN).values()
    with Vault.create(folder, way) as vault:
        vault.add("a", EntryKind.DISK_SECRET, Secret(b"unlocks"))
    return folder


def test_a_token_opens_the_vault(soft_token, token_vault):
    with Vault.open(token_vault, ways(soft_token)) as vault:
        assert revealed(vault.get("a")) == b"unlocks"
        vault.rotate()
    with Vault.open(token_vault, ways(soft_token)) as vault:
        assert revealed(vault.get("a")) == b"unlocks"
        assert vault.header.slot.token == TOKEN


def test_the_key_cannot_be_read_from_the_token(soft_token, token_vault):
    token = pkcs11.lib(soft_token).get_token(token_label=TOKEN)
    with token.open(user_pin=PIN.decode()) as session:
        for key in session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY}):
            with pytest.raises(pkcs11.AttributeSensitive):
                key[pkcs11.Attribute.VALUE]


def test_a_wrong_pin_is_said_to_be_wrong(soft_token, token_vault):
    for pin in (b"00000000", b"1", b"\xff" * 8):
        assert code_of(Vault.open, token_vault, ways(soft_token, pin=pin)) == "token-pin-wrong"


def test_another_token_does_not_open(soft_token, token_vault):
    way = TokenWay(soft_token, OTHER, lambda: Secret(PIN))
    slot = way.keep(bytes(16), Secret(bytes(32)))
    way.close()
    header = Vault.open(token_vault, ways(soft_token)).header
    elsewhere = replace(header, slot=replace(header.slot, token=OTHER))
    assert code_of(TokenWay(soft_token, None, lambda: Secret(PIN)).fetch, elsewhere) == (
        "token-key-missing"
    )
    wrong_key = replace(header, slot=replace(slot, box=header.slot.box))
    assert code_of(TokenWay(soft_token, None, lambda: Secret(PIN)).fetch, wrong_key) == (
        "wrong-token"
    )
    nowhere = replace(header, slot=replace(header.slot, token="unplugged"))
    assert code_of(TokenWay(soft_token, None, lambda: Secret(PIN)).fetch, nowhere) == (
        "token-missing"
    )


def test_a_token_without_its_library_is_said_to_fail(soft_token, token_vault, tmp_path):
    for module in (None, str(tmp_path / "nothing.so")):
        assert code_of(Vault.open, token_vault, ways(module)) == "token-failed"


def test_a_token_must_be_named(soft_token, folder):
    (way,) = ways(soft_token).values()
    assert code_of(Vault.create, folder, way) == "token-failed"


def test_without_the_extra_the_remedy_is_said(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    (way,) = ways(MODULE, TOKEN).values()
    with pytest.raises(VaultError) as caught:
        Vault.create(folder, way)
    assert "watchword[pkcs11]" in caught.value.remedy
    assert not (folder / "secrets.vault").exists()


def test_a_token_that_waits_for_a_touch_ends_at_the_limit(folder, monkeypatch):
    touched = threading.Event()
    monkeypatch.setattr(TokenWay, "_session", lambda self, token: touched.wait(60))
    way = TokenWay(MODULE, TOKEN, lambda: Secret(PIN), limit=0.05)
    try:
        assert code_of(Vault.create, folder, way) == "token-blocked"
    finally:
        touched.set()
        for thread in threading.enumerate():
            if thread.name == "watchword-token":
                thread.join(10)


def test_the_pin_is_asked_for_once_and_wiped(soft_token, folder):
    given = []

    def ask():
        given.append(Secret(PIN))
        return given[-1]

    with Vault.create(folder, TokenWay(soft_token, TOKEN, ask)) as vault:
        vault.rotate()
    assert [pin.wiped for pin in given] == [True]


def test_mapped_exceptions_are_still_called_so():
    assert set(token_way._FAULTS) <= set(vars(pkcs11.exceptions))
