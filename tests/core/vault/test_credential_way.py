# SPDX-License-Identifier: Apache-2.0
"""A vault that a service opens with a credential from systemd."""

from __future__ import annotations

import base64
import subprocess

import pytest

from watchword.core.errors import BadInput, UsageError, VaultError
from watchword.core.secret import Secret
from watchword.core.vault import systemd_creds
from watchword.core.vault.credential_way import (
    CredentialWay,
    credentials_directory,
)
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.core.vault.systemd_creds import make_credential
from watchword.core.vault.vault import RollbackCheck, Vault

from .support import revealed

NAME = "watchword-vault"
CREDENTIAL = bytes(range(224, 256))


def ways(directory, name=NAME, fresh=None):
    return {OpenWith.SYSTEMD_CREDENTIAL: CredentialWay(directory, name, fresh)}


def code_of(error, call, *arguments):
    with pytest.raises(error) as caught:
        call(*arguments)
    return caught.value.code


@pytest.fixture
def credentials(tmp_path):
    directory = tmp_path / "credentials"
    directory.mkdir()
    (directory / NAME).write_bytes(CREDENTIAL)
    return directory


@pytest.fixture
def vault_folder(folder, credentials):
    """A vault made with the credential, with one entry."""
    (way,) = ways(credentials).values()
    with Vault.create(folder, way) as vault:
        vault.add("a", EntryKind.DISK_SECRET, Secret(b"unlocks"))
    return folder


@pytest.mark.parametrize(
    "written",
    [
        CREDENTIAL,
        base64.b64encode(CREDENTIAL),
        base64.urlsafe_b64encode(CREDENTIAL).rstrip(b"=") + b"\n",
        base64.b64encode(CREDENTIAL)[:20] + b"\r\n" + base64.b64encode(CREDENTIAL)[20:],
    ],
)
def test_a_credential_opens_the_vault_raw_or_in_base64(vault_folder, credentials, written):
    (credentials / NAME).write_bytes(written)
    with Vault.open(vault_folder, ways(credentials, "another-default")) as vault:
        assert revealed(vault.get("a")) == b"unlocks"
        assert vault.rollback is RollbackCheck.NOT_DETECTABLE
        vault.rotate()
    with Vault.open(vault_folder, ways(credentials)) as vault:
        assert revealed(vault.get("a")) == b"unlocks"


@pytest.mark.parametrize("written", [b"\0", b"A" * 43 + b"!", b"A" * 40, b"A" * 44, b"\xff" * 44])
def test_a_credential_that_is_none_is_said_to_be_none(vault_folder, credentials, written):
    (credentials / NAME).write_bytes(written)
    assert code_of(VaultError, Vault.open, vault_folder, ways(credentials)) == "bad-credential"


def test_another_credential_does_not_open(vault_folder, credentials):
    (credentials / NAME).write_bytes(bytes(32))
    assert code_of(VaultError, Vault.open, vault_folder, ways(credentials)) == "wrong-credential"


def test_outside_of_its_service_the_credential_is_missed(vault_folder, credentials):
    assert code_of(VaultError, Vault.open, vault_folder, ways(None)) == "credential-missing"
    (credentials / NAME).unlink()
    assert code_of(VaultError, Vault.open, vault_folder, ways(credentials)) == "credential-missing"


@pytest.mark.parametrize("name", ["", "../key", "a/b", ".hidden", "a" * 65, "a b"])
def test_a_name_that_leads_elsewhere_is_refused(credentials, name):
    assert code_of(UsageError, CredentialWay, credentials, name) == "bad-credential-name"


def test_systemd_says_where_credentials_are(monkeypatch, tmp_path):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert credentials_directory() is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert credentials_directory() == tmp_path


def test_a_credential_made_by_systemd_creds_opens_the_vault(program, folder, tmp_path, monkeypatch):
    tool = program("systemd-creds", "systemd")
    # The key of this very machine stays as it is.
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", str(tmp_path / "host-key"))
    out = tmp_path / "encrypted"
    fresh = make_credential(NAME, out, "host")
    (way,) = ways(None, fresh=fresh).values()
    with Vault.create(folder, way) as vault:
        vault.add("a", EntryKind.DISK_SECRET, Secret(b"unlocks"))
    assert revealed(fresh) not in out.read_bytes()
    # What systemd does before it starts a service with LoadCredentialEncrypted=.
    directory = tmp_path / "credentials"
    directory.mkdir()
    command = [tool, f"--name={NAME}", "decrypt", out, directory / NAME]
    subprocess.run(command, check=True, capture_output=True)
    with Vault.open(folder, ways(directory)) as vault:
        assert revealed(vault.get("a")) == b"unlocks"


def test_a_credential_of_another_vault_is_not_overwritten(tmp_path):
    out = tmp_path / "encrypted"
    out.write_bytes(b"of another vault")
    assert code_of(BadInput, make_credential, NAME, out) == "file-exists"
    assert out.read_bytes() == b"of another vault"


def test_without_systemd_creds_the_remedy_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code = code_of(VaultError, make_credential, NAME, tmp_path / "out")
    assert code == "systemd-creds-missing"


@pytest.mark.parametrize(
    "script", ["echo no TPM >&2; exit 1", "exit 0", "exec sleep 60"], ids=["fails", "mute", "hangs"]
)
def test_a_tool_that_fails_leaves_no_file_and_says_why(tmp_path, monkeypatch, script):
    tool = tmp_path / "systemd-creds"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(systemd_creds, "TOOL_LIMIT", 0.3)
    with pytest.raises(VaultError) as caught:
        make_credential(NAME, tmp_path / "out")
    assert caught.value.code == "systemd-creds-failed"
    assert "TPM" in caught.value.message or "TPM" not in script
    assert not (tmp_path / "out").exists()


def test_the_credential_is_on_no_command_line(tmp_path, monkeypatch):
    seen = []

    def run(command, **options):
        seen.append((command, options))
        return subprocess.CompletedProcess(command, 0, b"encrypted", b"")

    monkeypatch.setattr(systemd_creds.subprocess, "run", run)
    monkeypatch.setattr(systemd_creds.shutil, "which", lambda name: name)
    fresh = revealed(make_credential(NAME, tmp_path / "out"))
    ((command, options),) = seen
    assert command == ["systemd-creds", f"--name={NAME}", "--with-key=auto", "encrypt", "-", "-"]
    assert base64.b64decode(options["input"]) == fresh
    assert "env" not in options
