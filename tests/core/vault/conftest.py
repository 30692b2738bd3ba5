# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the vault's tests: keyrings in memory, and gnome-keyring on a private D-Bus."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from watchword.core.vault.vault import Vault

from .support import (
    MemoryBackend,
    PrivateBus,
    SecretService,
    keyring_ways,
    memory_access,
    passphrase_way,
)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    # What is written needn't outlive a power cut.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(autouse=True)
def _no_keyring_of_the_person_who_runs_the_tests(monkeypatch):
    for variable in ("DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND", "WATCHWORD_HOME"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def backend():
    return MemoryBackend()


@pytest.fixture
def access(backend):
    access = memory_access(backend)
    yield access
    access.close()


@pytest.fixture
def ways(access):
    return keyring_ways(access)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "vault"


@pytest.fixture
def keyring_vault(folder, ways):
    """A vault that opens with the keyring in memory; empty."""
    (way,) = ways.values()
    with Vault.create(folder, way) as vault:
        yield vault


@pytest.fixture
def passphrase_vault(folder):
    """A vault that opens with PASSPHRASE; empty."""
    with Vault.create(folder, passphrase_way()) as vault:
        yield vault


@pytest.fixture(scope="session")
def programs(program):
    """The two programs of a Secret Service, or a skip that names their packages."""
    return program("dbus-daemon", "dbus"), program("gnome-keyring-daemon", "gnome-keyring")


@pytest.fixture(scope="session")
def secret_service(programs):
    """gnome-keyring, unlocked, on a private bus."""
    with private_service(*programs, unlocked=True) as service:
        wait_until_ready(service.bus.address)
        yield service


@pytest.fixture
def locked_service(programs):
    """gnome-keyring with a keyring that exists and is locked, as after a login without password."""
    with short_folder() as folder:
        with private_service(*programs, unlocked=True, folder=folder) as service:
            wait_until_ready(service.bus.address)
        with private_service(*programs, unlocked=False, folder=folder) as service:
            wait_until_there(service.bus.address)
            yield service


@pytest.fixture
def new_service(programs):
    """gnome-keyring that never had a keyring, and is locked."""
    with private_service(*programs, unlocked=False) as service:
        wait_until_there(service.bus.address)
        yield service


@pytest.fixture
def secret_service_of_its_own(programs):
    """gnome-keyring, unlocked, for one test that breaks it."""
    with private_service(*programs, unlocked=True) as service:
        wait_until_ready(service.bus.address)
        yield service


@pytest.fixture
def short_bus(programs):
    """A session bus on which there is no Secret Service; it looks like a service otherwise."""
    with short_folder() as folder:
        bus = PrivateBus(programs[0], folder)
        yield SimpleNamespace(bus=bus, environment={"DBUS_SESSION_BUS_ADDRESS": bus.address})
        bus.stop()


@contextmanager
def private_service(dbus_daemon, gnome_keyring, *, unlocked, folder=None):
    with contextlib.ExitStack() as stack:
        folder = folder or stack.enter_context(short_folder())
        bus = PrivateBus(dbus_daemon, folder)
        stack.callback(bus.stop)
        service = SecretService(gnome_keyring, bus, folder, unlocked=unlocked)
        stack.callback(service.stop)
        yield service


@contextmanager
def short_folder():
    """A folder with a name that is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="ww-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def wait_until_there(address):
    wait_until(address, lambda secretstorage, connection: True)


def wait_until_ready(address):
    wait_until(address, is_unlocked)


def wait_until(address, condition):
    """Wait until the service has its name and the condition holds; nothing here can prompt."""
    import secretstorage
    from jeepney.io.blocking import open_dbus_connection

    deadline = time.monotonic() + 20
    while True:
        connection = open_dbus_connection(address)
        try:
            if secretstorage.check_service_availability(connection) and condition(
                secretstorage, connection
            ):
                return
        finally:
            connection.close()
        assert time.monotonic() < deadline, "gnome-keyring did not start"
        time.sleep(0.01)


def is_unlocked(secretstorage, connection):
    try:
        return not secretstorage.Collection(connection).is_locked()
    except secretstorage.exceptions.SecretStorageException:
        return False
