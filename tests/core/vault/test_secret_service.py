# SPDX-License-Identifier: Apache-2.0
"""The keyring on a real gnome-keyring: working, locked, absent, asking without an answer."""

from __future__ import annotations

import gc
import json
import subprocess
import sys

import pytest

from watchword.core.errors import VaultError
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.keyring_access import KeyringAccess
from watchword.core.vault.vault import RollbackCheck, Vault

from .support import keyring_ways, revealed

USER = "0" * 32

# The keyring package doesn't close its connection where a call fails: Python does, and warns.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

# A program of its own: the thread that waits for the prompt must not keep it from ending.
TWO_READS = f"""
import json
from watchword.core.errors import VaultError
from watchword.core.vault.keyring_access import KeyringAccess

access = KeyringAccess(limit=0.3)
for _ in range(2):
    try:
        access.read_key("SecretService", "{USER}")
    except VaultError as error:
        print(json.dumps({{"code": error.code, "title": error.title, "message": error.message}}))
"""


@pytest.fixture
def real_access(request, monkeypatch):
    """Makes access to the keyring of a service; its thread is gone at the end of the test."""
    made = []

    def make(service, limit=20.0):
        for name, value in service.environment.items():
            monkeypatch.setenv(name, value)
        made.append(KeyringAccess(limit))
        return made[-1]

    yield make
    for access in made:
        access.close()
    gc.collect()  # here, where no other test is blamed for what the package left


def test_a_vault_lives_in_a_real_keyring(secret_service, real_access, folder):
    ways = keyring_ways(real_access(secret_service))
    (way,) = ways.values()
    with Vault.create(folder, way) as vault:
        vault.add("web1/disk", EntryKind.DISK_SECRET, Secret(b"unlocks"))
    with Vault.open(folder, ways) as vault:
        assert revealed(vault.get("web1/disk")) == b"unlocks"
        assert vault.rollback is RollbackCheck.CHECKED
        assert vault.header.slot.keyring == "SecretService"
        vault.rotate()
    another_process = keyring_ways(real_access(secret_service))
    with Vault.open(folder, another_process) as vault:
        assert revealed(vault.get("web1/disk")) == b"unlocks"


def test_a_key_that_was_never_stored_or_is_deleted_is_not_found(secret_service, real_access):
    access = real_access(secret_service)
    assert access.read_key("SecretService", USER) is None
    access.delete("SecretService", USER)
    access.write_key("SecretService", USER, Secret(bytes(32)))
    access.delete("SecretService", USER)
    assert access.read_key("SecretService", USER, again=True) is None


@pytest.mark.parametrize("service", ["locked_service", "new_service"])
def test_a_locked_keyring_that_cannot_ask_is_said_to_be_locked(request, real_access, service):
    access = real_access(request.getfixturevalue(service))
    with pytest.raises(VaultError) as caught:
        access.read_key("SecretService", USER)
    assert caught.value.code == "keyring-locked"


def test_a_prompt_that_nobody_answers_ends_at_the_limit_and_the_program_ends_too(locked_service):
    # Whoever owns this name shows the windows; this one shows none and never answers.
    prompter = silent_prompter(locked_service.bus.address)
    try:
        program = subprocess.run(
            [sys.executable, "-c", TWO_READS],
            env=locked_service.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    finally:
        prompter.close()
    assert program.stderr == ""
    first, second = map(json.loads, program.stdout.splitlines())
    assert first["code"] == second["code"] == "keyring-blocked"
    assert "0.3 seconds" in first["message"]
    assert "does not answer" in first["title"]


def test_a_bus_without_a_secret_service_is_no_keyring(programs, real_access, short_bus):
    with pytest.raises(VaultError) as caught:
        real_access(short_bus).name()
    assert caught.value.code == "keyring-absent"


def test_a_bus_that_is_gone_is_no_keyring(real_access, short_bus):
    access = real_access(short_bus)
    short_bus.bus.stop()
    with pytest.raises(VaultError) as caught:
        access.name()
    assert caught.value.code == "keyring-absent"


def test_no_bus_at_all_is_no_keyring(monkeypatch):
    access = KeyringAccess()
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent")
    with pytest.raises(VaultError) as caught:
        access.name()
    access.close()
    assert caught.value.code == "keyring-absent"


def test_a_service_that_dies_under_us_does_not_pass_for_an_empty_keyring(
    secret_service_of_its_own, real_access
):
    access = real_access(secret_service_of_its_own)
    access.write_key("SecretService", USER, Secret(bytes(32)))
    secret_service_of_its_own.process.kill()
    secret_service_of_its_own.process.wait()
    with pytest.raises(VaultError) as caught:
        access.read_key("SecretService", USER, again=True)
    assert caught.value.code in ("keyring-absent", "keyring-broken")


def silent_prompter(address):
    from jeepney import DBusAddress, new_method_call
    from jeepney.io.blocking import open_dbus_connection

    connection = open_dbus_connection(address)
    daemon = DBusAddress(
        "/org/freedesktop/DBus", bus_name="org.freedesktop.DBus", interface="org.freedesktop.DBus"
    )
    name = "org.gnome.keyring.SystemPrompter"
    request = new_method_call(daemon, "RequestName", "su", (name, 0))
    assert connection.send_and_get_reply(request, timeout=10).body == (1,)
    return connection
