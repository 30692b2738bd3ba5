# SPDX-License-Identifier: Apache-2.0
"""An owner's home with vault, profile and records, a host beside it, and wizards over both."""

from __future__ import annotations

import os

import pytest

from watchword.core.cli import main as command_line
from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.launch.surroundings import connector
from watchword.core.secret import Secret
from watchword.core.simulator import PlatformKeys
from watchword.gui.launch_service import LaunchService
from watchword.gui.pages.vault_service import VaultService
from watchword.gui.wizard.recorded_launch import RecordedLaunch

from ...core.launch.support import PASSPHRASE, Office, amd_like_roots
from ..pages.support import CHEAP
from .support import HostThread, Person


@pytest.fixture(scope="session")
def keys() -> PlatformKeys:
    return PlatformKeys.generate(2048)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    for variable in ("DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(autouse=True)
def _no_hardening(monkeypatch):
    """The command line is run in this process too, which other tests go on with."""
    monkeypatch.setattr(command_line, "harden_process", lambda: None)


@pytest.fixture
def office(tmp_path, keys):
    """The owner's home, with the vault and a profile under the simulated machine's own root."""
    home = tmp_path / "home"
    home.mkdir()
    made = Office(home, keys)
    made.roots = amd_like_roots(keys)
    ProfileStore(profiles_folder()).add(made.profile)
    return made


@pytest.fixture
def host(keys, short_folder):
    made = HostThread(keys)
    yield made
    made.close()


@pytest.fixture
def vaults(office):
    """The window's vault, opened already: a test of its own asks for the passphrase."""
    made = VaultService(office.home / "vault", stretching=CHEAP)
    made.unlock(Secret(PASSPHRASE))
    yield made
    made.close()


@pytest.fixture
def service(office, vaults):
    def surroundings(*, ask_amd):
        return office.surroundings(connect=connector(), more_certificates=from_amd)

    async def from_amd(chip_id, known):
        return (("AMD's copy", office.keys.cek),)

    return LaunchService(vaults, surroundings)


@pytest.fixture
def make_wizard(qtbot, bridge, theme, service):
    """Makes wizards, shown, that dwell nowhere."""

    def make(**options):
        wizard = RecordedLaunch(bridge, service, dwell=0, **options)
        qtbot.addWidget(wizard)
        wizard.resize(1100, 740)
        with qtbot.waitExposed(wizard):
            wizard.show()
        wizard.activateWindow()
        wizard.begin()
        made.append(wizard)
        return Person(qtbot, wizard)

    made = []
    yield make
    for wizard in made:
        wizard.close_launch()
    qtbot.waitUntil(lambda: not bridge.busy)
