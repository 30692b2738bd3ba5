# SPDX-License-Identifier: Apache-2.0
"""The recovery code: what is typed, what it opens, and a vault that moves to another machine."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput, VaultError
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.core.vault.recovery_code import new_recovery_code, recovery_key
from watchword.core.vault.restoring import restore_vault
from watchword.core.vault.vault import Vault

from .support import MemoryBackend, keyring_ways, memory_access, passphrase_ways, revealed

KIND = EntryKind.DISK_SECRET
VAULT_ID = bytes(16)


def code_of(call, *arguments, **options):
    with pytest.raises(VaultError) as caught:
        call(*arguments, **options)
    return caught.value.code


def test_a_code_is_160_bits_in_nine_groups_of_four():
    code = revealed(new_recovery_code()).decode()
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){8}[0-9A-HJKMNP-TV-Z]{4}", code)
    assert revealed(new_recovery_code()).decode() != code
    # 20 zero bytes; the last group is the first 20 bits of SHA-256("watchword recovery code\0" 0…).
    assert revealed(new_recovery_code(bytes)) == b"0000-" * 8 + last_group(bytes(20))


def last_group(raw):
    number = int.from_bytes(hashlib.sha256(b"watchword recovery code\0" + raw).digest(), "big")
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return "".join(digits[number >> (256 - 5 * n) & 31] for n in range(1, 5)).encode()


@given(st.binary(min_size=20, max_size=20))
def test_a_code_is_read_however_it_is_written_down(raw):
    code = revealed(new_recovery_code(lambda size: raw))
    key = revealed(recovery_key(Secret(code), VAULT_ID))
    by_hand = code.replace(b"-", b" ").lower().replace(b"0", b"o").replace(b"1", b"l") + b"\n"
    assert revealed(recovery_key(Secret(by_hand), VAULT_ID)) == key
    assert revealed(recovery_key(Secret(code), bytes([1]) * 16)) != key


def test_a_slip_of_the_pen_is_noticed():
    code = bytearray(revealed(new_recovery_code(lambda size: bytes(range(size)))))
    slips = 0
    for position, character in enumerate(code):
        if character == ord("-"):
            continue
        for other in b"0123456789ABCDEFGHJKMNPQRSTVWXYZ":
            if other != character:
                changed = code.copy()
                changed[position] = other
                slips += (
                    code_of(recovery_key, Secret(changed), VAULT_ID) == "recovery-code-mistyped"
                )
    assert slips == 36 * 31


@given(st.binary(max_size=80))
def test_any_bytes_are_a_code_or_mistyped(data):
    fault = None
    try:
        recovery_key(Secret(data), VAULT_ID)
    except VaultError as error:
        fault = error.code
    assert fault in (None, "recovery-code-mistyped")


def test_a_novel_is_no_code():
    assert code_of(recovery_key, Secret(b"-" * 5000), VAULT_ID) == "recovery-code-mistyped"


@pytest.fixture
def copied(keyring_vault, folder):
    """A copy of a vault with one entry, and its recovery code."""
    keyring_vault.add("a", KIND, Secret(b"unlocks"))
    code = revealed(keyring_vault.make_recovery_code())
    copy = folder.parent / "copy"
    copy.write_bytes((folder / "secrets.vault").read_bytes())
    return copy, code


@pytest.mark.parametrize("open_with", [OpenWith.KEYRING, OpenWith.PASSPHRASE])
def test_a_code_moves_a_vault_to_another_machine(copied, tmp_path, open_with):
    copy, code = copied
    backend = MemoryBackend()
    access = memory_access(backend)
    ways = keyring_ways(access) | passphrase_ways()
    there = tmp_path / "there"
    options = {"code": Secret(code), "open_with": open_with}
    with restore_vault(copy, there, ways, **options) as vault:
        assert revealed(vault.get("a")) == b"unlocks"
        assert not any(user.endswith("/next") for _, user in backend.items)
    with Vault.open(there, ways) as vault:
        assert vault.header.slot.WAY is open_with
        assert revealed(vault.get("a")) == b"unlocks"
        assert vault.header.recovery is not None
    access.close()
    users = {user.partition("/")[2] for _, user in backend.items}
    assert users == ({"", "anchor"} if open_with is OpenWith.KEYRING else set())


def test_a_code_brings_a_vault_back_whose_key_was_deleted(copied, folder, backend, ways):
    _, code = copied
    backend.items.clear()
    lost = memory_access(backend)
    options = {"code": Secret(code), "open_with": OpenWith.KEYRING}
    with restore_vault(folder / "secrets.vault", folder, keyring_ways(lost), **options) as vault:
        assert revealed(vault.get("a")) == b"unlocks"
    lost.close()


def test_a_new_code_voids_the_one_before(keyring_vault, copied, folder, ways, tmp_path):
    _, old = copied
    new = revealed(keyring_vault.make_recovery_code())
    keyring_vault.close()
    path, there = folder / "secrets.vault", tmp_path / "there"
    options = {"open_with": OpenWith.PASSPHRASE}
    both = ways | passphrase_ways()
    code = code_of(restore_vault, path, there, both, code=Secret(old), **options)
    assert code == "recovery-code-wrong"
    restore_vault(path, there, both, code=Secret(new), **options).close()


def test_rotating_voids_the_code_and_gives_another(keyring_vault, copied, folder, ways, tmp_path):
    _, old = copied
    new = revealed(keyring_vault.rotate())
    keyring_vault.close()
    path, there = folder / "secrets.vault", tmp_path / "there"
    options = {"open_with": OpenWith.PASSPHRASE}
    both = ways | passphrase_ways()
    code = code_of(restore_vault, path, there, both, code=Secret(old), **options)
    assert code == "recovery-code-wrong"
    with restore_vault(path, there, both, code=Secret(new), **options) as vault:
        assert revealed(vault.get("a")) == b"unlocks"


def test_a_vault_without_a_code_says_so(keyring_vault, folder, ways, tmp_path):
    code = new_recovery_code()
    there = tmp_path / "there"
    options = {"code": code, "open_with": OpenWith.KEYRING}
    path = folder / "secrets.vault"
    assert code_of(restore_vault, path, there, ways, **options) == "no-recovery-code"
    assert not there.exists()


def test_a_vault_that_is_there_is_not_overwritten(copied, folder, ways):
    copy, _ = copied
    before = (folder / "secrets.vault").read_bytes()
    assert code_of(restore_vault, copy, folder, ways) == "vault-exists"
    assert (folder / "secrets.vault").read_bytes() == before


def test_a_copy_that_is_none_is_refused(tmp_path, ways):
    with pytest.raises(BadInput) as caught:
        restore_vault(tmp_path / "nothing", tmp_path / "there", ways)
    assert caught.value.code == "file-missing"
    (tmp_path / "junk").write_bytes(b"junk" * 100)
    assert code_of(restore_vault, tmp_path / "junk", tmp_path / "there", ways) == "vault-damaged"


def test_a_restored_vault_cannot_be_for_this_session_only(copied, tmp_path, ways):
    copy, code = copied
    options = {"code": Secret(code), "open_with": OpenWith.SESSION_ONLY}
    assert code_of(restore_vault, copy, tmp_path / "there", ways, **options) == "session-only-vault"
