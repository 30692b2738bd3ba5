# SPDX-License-Identifier: Apache-2.0
"""A marker goes through everything a vault does and turns up nowhere outside of its seals."""

from __future__ import annotations

import base64
import logging
import subprocess
import traceback

import pytest

from watchword.core.errors import WatchwordError
from watchword.core.secret import Secret
from watchword.core.vault import systemd_creds, vault_file
from watchword.core.vault.credential_way import CredentialWay
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.core.vault.keyring_way import KeyringWay
from watchword.core.vault.restoring import restore_vault
from watchword.core.vault.systemd_creds import make_credential
from watchword.core.vault.vault import Vault

from .support import memory_access, passphrase_way, passphrase_ways

MARKER = b"canary-5f3a91c7e2d8"
KIND = EntryKind.DISK_SECRET


def forms(secret):
    """A secret as it could lie about: raw, hex, base64 at every offset, UTF-16."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for offset, first in enumerate((0, 2, 3)):  # the digits that are the secret's alone
        encoded = base64.b64encode(bytes(offset) + secret + bytes(2))
        yield encoded[first : (offset + len(secret)) * 8 // 6]
    yield secret.decode("latin-1").encode("utf-16-le")


@pytest.fixture
def witness(monkeypatch, caplog, tmp_path):
    """Collects whatever leaves the program: logs, files whole and half-written, commands."""
    caplog.set_level(logging.DEBUG)
    seen = []
    write_file, run = vault_file.write_file, subprocess.run

    def writes(path, data, **options):
        seen.append(bytes(data))
        write_file(path, data, **options)

    def runs(command, **options):
        seen.append(repr(command).encode())
        return run(command, **options)

    monkeypatch.setattr(vault_file, "write_file", writes)
    monkeypatch.setattr(systemd_creds.subprocess, "run", runs)
    yield seen
    seen += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    seen.append(caplog.text.encode())
    for record in caplog.records:
        seen.append(repr(record.__dict__).encode())
    for form in forms(MARKER):
        assert not any(form in piece for piece in seen), form


@pytest.mark.parametrize("before", [b"", b"1", b"12"])
def test_a_marker_would_be_seen_in_base64(before):
    text = base64.b64encode(before + MARKER + b"after it")
    assert any(form in text for form in forms(MARKER))


def expect(witness, expected, call, *arguments, **options):
    """An error, all of whose words and frames' lines are kept."""
    with pytest.raises(WatchwordError) as caught:
        call(*arguments, **options)
    assert caught.value.code == expected
    told = [*traceback.format_exception(caught.value), repr(caught.value), caught.value.as_json()]
    witness += [str(words).encode() for words in told]


def test_a_value_is_nowhere_but_in_its_seal(witness, folder, backend, tmp_path):
    access = memory_access(backend)
    value = Secret(MARKER)
    with Vault.create(folder, KeyringWay(access)) as vault:
        vault.add("a", KIND, value)
        vault.add("a", KIND, value, replace=True)
        expect(witness, "entry-exists", vault.add, "a", KIND, value)
        expect(witness, "bad-entry-name", vault.add, "a b", KIND, value)
        expect(
            witness, "entry-kind-differs", vault.add, "a", EntryKind.RECOVERY, value, replace=True
        )
        vault.rotate()
        shown = [vault, vault.header, vault.list(), vault.get("a"), vault._contents, vault._keys]
        witness += [f"{item!r}{item!s}".encode() for item in shown]
        vault.remove("a")
    witness += [repr(item).encode() for item in backend.items.items()]
    witness += [repr(item).encode() for item in (access, KeyringWay(access))]
    access.close()


def test_a_passphrase_is_nowhere(witness, folder):
    way = passphrase_way(MARKER)
    with Vault.create(folder, way) as vault:
        vault.rotate()
        witness.append(repr((way, vault.header)).encode())
    expect(witness, "wrong-passphrase", Vault.open, folder, passphrase_ways(MARKER + b"x"))
    expect(witness, "passphrase-too-long", passphrase_way(MARKER * 100).prepare)


def test_a_recovery_code_is_nowhere(witness, passphrase_vault, folder, tmp_path):
    expect(
        witness,
        "recovery-code-mistyped",
        restore_vault,
        with_recovery(passphrase_vault, folder),
        tmp_path / "there",
        passphrase_ways(),
        code=Secret(MARKER),
        open_with=OpenWith.PASSPHRASE,
    )


def with_recovery(vault, folder):
    vault.make_recovery_code().wipe()
    return folder / "secrets.vault"


def test_a_credential_is_nowhere_in_clear(witness, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(systemd_creds, "new_wrap_key", lambda: Secret(MARKER.ljust(32)))
    tool = tmp_path / "systemd-creds"
    tool.write_text("#!/bin/sh\ncat > /dev/null\necho encrypted\n")
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fresh = make_credential("name", tmp_path / "out")
    way = CredentialWay(None, "name", fresh)
    Vault.create(folder, way).close()
    witness.append(repr(way).encode())
