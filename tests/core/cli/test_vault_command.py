# SPDX-License-Identifier: Apache-2.0
"""``watchword vault``: from init to restore, in text and JSON, with and without a terminal."""

from __future__ import annotations

import base64
import errno
import os
import pty
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from watchword.core.cli import secret_input, vault_options
from watchword.core.vault.key_stretching import Argon2id, Scrypt
from watchword.core.vault.keyring_access import KeyringAccess
from watchword.core.vault.vault import Vault
from watchword.core.vault.vault_errors import rolled_back

from .support import start

PASSPHRASE = "five words chosen by chance"
MARKER = b"canary-5f3a91c7e2d8"


class MemoryBackend(dict):
    """A keyring for unit tests."""

    def get_password(self, service, user):
        return self.get((service, user))

    def set_password(self, service, user, password):
        self[service, user] = password

    def delete_password(self, service, user):
        self.pop((service, user), None)


class Cheap:
    """Stands for a class of parameters and makes the least of them."""

    def __init__(self, parameters, *least):
        self.NAME = parameters.NAME
        self._make = lambda: parameters(*least)

    def __call__(self):
        return self._make()


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A home of its own, no keyring, no terminal, and little work for a passphrase."""
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path / "home"))
    for variable in ("DBUS_SESSION_BUS_ADDRESS", "WATCHWORD_VAULT_PASSPHRASE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(vault_options, "Scrypt", Cheap(Scrypt, 14, 1))
    monkeypatch.setattr(vault_options, "Argon2id", Cheap(Argon2id, 1, 1, 19456))
    monkeypatch.setattr(secret_input, "_has_terminal", lambda: False)
    return tmp_path / "home"


@pytest.fixture
def keyring(monkeypatch):
    """The operating system's keyring, in memory."""
    backend = MemoryBackend()

    def access():
        return KeyringAccess(5.0, lambda wanted: (wanted or "Memory", backend))

    monkeypatch.setattr(vault_options, "KeyringAccess", access)
    return backend


@pytest.fixture
def passphrase_file(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    return path


@pytest.fixture
def vault(command, passphrase_file):
    """Runs a command on a vault that opens with a passphrase."""
    options = ("--passphrase-file", passphrase_file)
    assert command("vault", "init", "--open-with", "passphrase", *options).status == 0
    return lambda word, *words: command("vault", word, *words, *options)


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(MARKER)
    return path


@pytest.fixture
def stdin(monkeypatch):
    """Lets bytes come from stdin."""
    opened = []

    def give(data):
        reading, writing = os.pipe()
        os.write(writing, data)
        os.close(writing)
        opened.append(os.fdopen(reading))
        monkeypatch.setattr(sys, "stdin", opened[-1])

    yield give
    for stream in opened:
        stream.close()


def closed_folder(folder, real):
    """A call to the system that finds what is below a folder closed to this user."""

    def call(path, *more, **named):
        if isinstance(path, (str, os.PathLike)) and Path(path).is_relative_to(folder):
            raise PermissionError(errno.EACCES, "denied", str(path))
        return real(path, *more, **named)

    return call


def descriptor(data):
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return reading


def test_a_vault_in_the_keyring_from_init_to_remove(command, keyring, home, secret_file):
    made = command("vault", "init", "--json").json
    assert made == {
        "ok": True,
        "path": str(home / "vault" / "secrets.vault"),
        "vault_id": made["vault_id"],
        "open_with": "keyring",
        "keyring": "Memory",
        "recovery_code_made": None,
        "recovery_code": None,
    }
    added = command("vault", "add", "web1/disk", "--from-file", secret_file, "--json").json
    assert added | {"created": None} == {
        "ok": True,
        "name": "web1/disk",
        "kind": "disk-secret",
        "created": None,
        "size": len(MARKER),
    }
    listed = command("vault", "list", "--json").json["entries"]
    assert [set(entry) for entry in listed] == [{"name", "kind", "created"}]
    assert command("vault", "show", "web1/disk", "--reveal").out.encode() == MARKER
    removed = command("vault", "remove", "web1/disk", "--json").json
    assert removed == {"ok": True, "removed": ["web1/disk"]}
    assert "The vault is empty." in command("vault", "list").out


def test_the_status_tells_how_a_vault_opens_and_what_is_noticed(command, keyring, home):
    assert command("vault", "status", "--json").json["state"] == "absent"
    command("vault", "init")
    status = command("vault", "status", "--json").json
    assert status == {
        "ok": True,
        "path": str(home / "vault" / "secrets.vault"),
        "state": "open",
        "schema": 1,
        "vault_id": status["vault_id"],
        "open_with": "keyring",
        "keyring": "Memory",
        "recovery_code_made": None,
        "entries": 0,
        "generation": 1,
        "rollback": "checked",
    }
    text = command("vault", "status").out
    assert "keyring (Memory)" in text
    assert "older copy" in text


def test_without_a_keyring_the_status_says_that_a_rollback_is_not_detectable(vault):
    assert vault("status", "--json").json["rollback"] == "not-detectable"
    assert "rollback not detectable" in vault("status").out


def test_the_status_of_a_closed_vault_asks_nobody(command, vault):
    status = command("vault", "status", "--json")
    assert status.status == 0
    assert status.json["state"] == "closed"
    assert "entries" not in status.json


@pytest.mark.parametrize("words", [("status",), ("list",), ("show", "a", "--reveal")])
def test_a_vault_that_nobody_may_look_at_is_not_said_to_be_missing(command, vault, home, words):
    """In a folder that is closed to the user, even the question whether a file is there fails."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "stat", "lstat"):
            patch.setattr(os, name, closed_folder(home / "vault", getattr(os, name)))
        outcome = command("vault", *words, "--json")
    assert (outcome.status, outcome.code) == (5, "vault-unreadable")
    assert "permission" in outcome.json["error"]["message"]


def test_a_vault_whose_name_is_too_long_is_missing(command, tmp_path):
    outcome = command("vault", "list", "--vault", tmp_path / ("x" * 300), "--json")
    assert (outcome.status, outcome.code) == (5, "vault-missing")


def test_the_status_of_a_vault_that_does_not_open_is_an_error_with_what_is_known(command, keyring):
    command("vault", "init")
    keyring.clear()
    status = command("vault", "status", "--json")
    assert status.status == 5
    assert status.json["open_with"] == "keyring"
    assert status.json["error"]["code"] == "keyring-key-missing"


def test_no_keyring_is_said_and_nothing_else_is_taken(command, home):
    outcome = command("vault", "init", "--json")
    assert outcome.status == 5
    assert outcome.code == "keyring-absent"
    assert "--open-with passphrase" in outcome.error["remedy"]
    assert not (home / "vault" / "secrets.vault").exists()


def test_a_refused_back_end_is_named(command, monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    outcome = command("vault", "init", "--json")
    assert outcome.status == 5
    assert outcome.code == "keyring-refused"


@pytest.mark.parametrize("word", ["file", "fd", "variable"])
def test_a_passphrase_comes_by_file_descriptor_or_environment(
    command, vault, monkeypatch, passphrase_file, word
):
    if word == "variable":
        monkeypatch.setenv("WATCHWORD_VAULT_PASSPHRASE", PASSPHRASE)
        outcome = command("vault", "list")
        assert "warning" in outcome.err
    elif word == "fd":
        reading = descriptor(PASSPHRASE.encode())
        outcome = command("vault", "list", "--passphrase-fd", reading)
        os.close(reading)
    else:
        outcome = command("vault", "list", "--passphrase-file", passphrase_file)
    assert outcome.status == 0


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        ((), "passphrase-needed", 5),
        (("--passphrase-fd", "999"), "descriptor-unreadable", 6),
        (("--passphrase-file", "/nonexistent"), "file-missing", 6),
        (("--passphrase-fd", "-1"), "bad-arguments", 2),
    ],
)
def test_without_a_passphrase_nothing_opens(command, vault, words, code, status):
    outcome = command("vault", "list", "--json", *words)
    assert outcome.code == code
    assert outcome.status == status


def test_an_empty_passphrase_is_a_wrong_one(command, vault, tmp_path):
    (tmp_path / "newline").write_text("\n")
    outcome = command("vault", "list", "--json", "--passphrase-file", tmp_path / "newline")
    assert outcome.code == "wrong-passphrase"


def test_a_value_comes_by_stdin_and_descriptor_byte_for_byte(vault, stdin):
    stdin(bytes(range(256)))
    assert vault("add", "a").status == 0
    reading = descriptor(b"\r\n")
    outcome = vault("add", "b", "--from-fd", reading)
    os.close(reading)
    assert outcome.status == 0
    assert "ends with a newline" in outcome.err
    shown = vault("show", "a", "--reveal", "--json").json
    assert base64.b64decode(shown["value_base64"]) == bytes(range(256))
    assert shown["size"] == 256
    assert (
        base64.b64decode(vault("show", "b", "--reveal", "--json").json["value_base64"]) == b"\r\n"
    )


def test_one_newline_is_left_out_on_demand(vault, stdin):
    stdin(b"unlocks\n\n")
    outcome = vault("add", "a", "--strip-newline")
    assert "7 bytes" not in outcome.out
    assert vault("show", "a", "--reveal").out == "unlocks\n"
    stdin(b"unlocks")
    assert vault("add", "a", "--strip-newline", "--replace").status == 0
    assert vault("show", "a", "--reveal").out == "unlocks"


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "bad-entry-value"), (b"a" * 65537, "secret-too-large")]
)
def test_a_value_of_an_impossible_size_is_refused(vault, stdin, data, code):
    stdin(data[:65536])
    if len(data) > 65536:
        reading, writing = os.pipe()
        feeder = threading.Thread(target=feed, args=(writing, data))
        feeder.start()
        outcome = vault("add", "a", "--json", "--from-fd", reading)
        os.close(reading)
        feeder.join(10)
    else:
        outcome = vault("add", "a", "--json")
    assert outcome.code == code


def feed(writing, data):
    with os.fdopen(writing, "wb") as stream:
        stream.write(data)


def test_a_secret_is_not_shown_unless_that_is_said(vault, secret_file):
    vault("add", "a", "--from-file", secret_file)
    outcome = vault("show", "a", "--json")
    assert outcome.status == 2
    assert outcome.code == "reveal-needed"
    assert MARKER.decode() not in outcome.out + outcome.err


def test_the_secret_leaves_through_show_alone(vault, secret_file):
    told = [
        vault("add", "a", "--from-file", secret_file),
        vault("add", "a", "--from-file", secret_file),
        vault("add", "a", "--from-file", secret_file, "--replace", "--json"),
        vault("list", "--json"),
        vault("status"),
        vault("rotate", "--new-passphrase-file", secret_file, "--json"),
        vault("show", "b", "--reveal"),
        vault("remove", "a"),
    ]
    assert not any(MARKER.decode() in outcome.out + outcome.err for outcome in told)


def test_a_generated_passphrase_is_stored_and_not_shown(vault):
    outcome = vault("generate", "web1/disk", "--json")
    assert outcome.json["size"] == 44
    assert outcome.json["kind"] == "disk-secret"
    value = vault("show", "web1/disk", "--reveal").out
    assert len(base64.b64decode(value, validate=True)) == 33
    assert value not in outcome.out
    assert vault("generate", "web1/disk", "--json").code == "entry-exists"
    assert vault("generate", "web1/disk", "--replace").status == 0
    assert vault("show", "web1/disk", "--reveal").out != value


def test_kinds_are_as_listed(vault, secret_file):
    outcome = vault("add", "a", "--kind", "test-secret", "--from-file", secret_file, "--json")
    assert outcome.json["kind"] == "test-secret"
    assert vault("add", "b", "--kind", "other", "--json").status == 2
    assert vault("generate", "b", "--kind", "signing-key", "--json").status == 2


def test_rotating_takes_a_new_passphrase(command, vault, secret_file):
    assert vault("rotate", "--json").code == "passphrase-needed"
    outcome = vault("rotate", "--new-passphrase-file", secret_file, "--json")
    assert outcome.json == {"ok": True, "rotated": True, "generation": 2, "recovery_code": None}
    assert vault("list", "--json").code == "wrong-passphrase"
    assert command("vault", "list", "--passphrase-file", secret_file).status == 0


def test_argon2id_can_be_chosen(command, passphrase_file, home):
    options = ("--open-with", "passphrase", "--kdf", "argon2id")
    assert command("vault", "init", *options, "--passphrase-file", passphrase_file).status == 0
    assert b'"name":"argon2id"' in (home / "vault" / "secrets.vault").read_bytes()
    assert command("vault", "list", "--passphrase-file", passphrase_file).status == 0


def test_a_recovery_code_moves_a_vault_to_another_machine(
    command, vault, keyring, home, tmp_path, secret_file
):
    vault("add", "a", "--from-file", secret_file)
    made = vault("recovery", "--json").json
    code = tmp_path / "code"
    code.write_text(made["recovery_code"].lower() + "\n")
    there = ("--vault", tmp_path / "there")
    options = ("--open-with", "keyring", "--code-file", code)
    source = home / "vault" / "secrets.vault"
    restored = command("vault", "restore", source, *options, *there, "--json").json
    assert restored["open_with"] == "keyring"
    assert restored["entries"] == 1
    assert command("vault", "show", "a", "--reveal", *there).out.encode() == MARKER
    again = command("vault", "restore", source, *options, *there, "--json")
    assert again.code == "vault-exists"
    mistyped = ("--open-with", "keyring", "--code-file", secret_file)
    elsewhere = ("--vault", tmp_path / "elsewhere")
    outcome = command("vault", "restore", source, *mistyped, *elsewhere, "--json")
    assert outcome.code == "recovery-code-mistyped"
    none = command("vault", "restore", source, "--open-with", "keyring", *elsewhere, "--json")
    assert none.code == "recovery-code-needed"


def test_init_prints_a_code_on_demand_and_says_so_else(command, keyring, tmp_path):
    quiet = command("vault", "init", "--vault", tmp_path / "a")
    assert "watchword vault recovery" in quiet.out
    loud = command("vault", "init", "--recovery", "--vault", tmp_path / "b", "--json").json
    assert len(loud["recovery_code"].split("-")) == 9
    text = command("vault", "recovery", "--vault", tmp_path / "b").out
    assert "It is not shown again" in text
    assert loud["recovery_code"] not in text


def test_an_older_copy_is_refused_and_restored_on_purpose(command, keyring, home, secret_file):
    command("vault", "init")
    path = home / "vault" / "secrets.vault"
    old = path.read_bytes()
    command("vault", "add", "a", "--from-file", secret_file)
    path.write_bytes(old)
    assert command("vault", "list", "--json").code == "vault-rolled-back"
    assert command("vault", "restore", path, "--json").code == "vault-rolled-back"
    assert command("vault", "restore", path, "--accept-older").status == 0
    assert command("vault", "list", "--json").json["entries"] == []


def test_a_keyring_that_takes_no_note_is_a_warning(command, keyring, secret_file, monkeypatch):
    command("vault", "init")

    def write(self, service, user, password):
        raise ConnectionResetError

    monkeypatch.setattr(MemoryBackend, "set_password", write)
    outcome = command("vault", "add", "a", "--from-file", secret_file)
    assert outcome.status == 0
    assert "older copy may go unnoticed" in outcome.err
    monkeypatch.undo()


def test_a_rollback_found_at_the_end_is_no_mere_warning(command, keyring, secret_file, monkeypatch):
    command("vault", "init")

    def found(self):
        raise rolled_back(1, 2)

    monkeypatch.setattr(Vault, "write_anchor", found)
    outcome = command("vault", "add", "a", "--from-file", secret_file, "--json")
    assert outcome.code == "vault-rolled-back"


def test_a_session_only_vault_is_a_choice_and_nothing_to_keep_things_in(command, secret_file):
    made = command("vault", "init", "--open-with", "session-only", "--recovery", "--json").json
    assert made["recovery_code"] is None
    assert command("vault", "status", "--json").json["state"] == "session-only"
    outcome = command("vault", "add", "a", "--from-file", secret_file, "--json")
    assert outcome.code == "session-only-vault"
    assert outcome.status == 5


def test_a_systemd_credential_is_made_with_the_vault(command, tmp_path, monkeypatch):
    tool = tmp_path / "systemd-creds"
    tool.write_text(f"#!/bin/sh\nbase64 -d > {tmp_path}/given\necho encrypted\n")
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    out = tmp_path / "credential"
    options = ("--open-with", "systemd-credential", "--credential", "key")
    without = command("vault", "init", *options, "--json")
    assert without.code == "credential-missing"
    assert "--credential-out FILE" in without.json["error"]["remedy"]
    made = command("vault", "init", *options, "--credential-out", out)
    assert made.status == 0
    assert f"LoadCredentialEncrypted=key:{out}" in made.out
    assert out.read_text() == "encrypted\n"
    assert command("vault", "list", "--json").code == "credential-missing"
    (tmp_path / "credentials").mkdir()
    (tmp_path / "given").rename(tmp_path / "credentials" / "key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert command("vault", "list").status == 0
    again = command("vault", "init", *options, "--credential-out", tmp_path / "b", "--json")
    assert again.code == "vault-exists"
    assert not (tmp_path / "b").exists()
    wrong = command("vault", "init", "--credential-out", tmp_path / "b", "--json")
    assert wrong.code == "credential-not-needed"


def test_a_token_needs_its_library_and_pin(command, tmp_path):
    options = ("--open-with", "pkcs11", "--token", "mine", "--json")
    assert command("vault", "init", *options).code == "pin-needed"
    (tmp_path / "pin").write_text("1234\n")
    assert command("vault", "init", *options, "--pin-file", tmp_path / "pin").code == "token-failed"


def test_a_folder_that_others_may_enter_is_a_warning(command, keyring, home):
    command("vault", "init")
    (home / "vault").chmod(0o750)
    assert "chmod 700" in command("vault", "status").err


def test_a_reader_that_went_away_has_lost_nothing(vault, passphrase_file):
    vault("generate", "a")
    options = ("--passphrase-file", passphrase_file)
    reading, writing = os.pipe()
    os.close(reading)
    shown = start("vault", "show", "a", "--reveal", *options, stdout=writing)
    os.close(writing)
    _, errors = shown.communicate(timeout=60)
    assert (shown.returncode, errors) == (0, b"")


def test_a_person_at_a_terminal_types_twice_and_sees_nothing(command, passphrase_file):
    prompts = (b"New passphrase of the vault: ", b"New passphrase of the vault, again: ")
    shown, status = at_terminal(prompts, ("vault", "init", "--open-with", "passphrase"))
    assert status == 0, shown
    assert PASSPHRASE.encode() not in shown
    opened = command("vault", "list", "--passphrase-file", passphrase_file)
    assert "The vault is empty." in opened.out


# A leader of a session gets the first terminal that it opens for its own.
ON_TERMINAL = """
import os, sys
os.close(os.open(sys.argv[1], os.O_RDWR))
os.execv(sys.executable, [sys.executable, "-m", "watchword.core", *sys.argv[2:]])
"""


def at_terminal(prompts, words):
    """A real process with a terminal of its own; the passphrase is typed at every prompt."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, os.ttyname(theirs), *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
    finally:
        os.close(theirs)
    shown = bytearray()
    try:
        for prompt in prompts:
            while not shown.endswith(prompt):
                shown += read_terminal(ours)
            os.write(ours, PASSPHRASE.encode() + b"\n")
        while more := read_terminal(ours):
            shown += more
        return bytes(shown), process.wait(20)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_terminal(terminal):
    ready, _, _ = select.select([terminal], [], [], 20)
    assert ready, "nothing more was shown"
    try:
        return os.read(terminal, 1024)
    except OSError:  # how a terminal ends on Linux
        return b""
