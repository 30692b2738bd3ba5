# SPDX-License-Identifier: Apache-2.0
"""What the tests of fleets share: an owner's home, a folder for manifests, and a person."""

from __future__ import annotations

import shutil

from watchword.core.amd.advisories import published_advisories
from watchword.core.batch.intent import Intent
from watchword.core.launch.surroundings import Surroundings, connector
from watchword.core.secret import Secret
from watchword.gui.fleet_service import FleetService, PlannedLaunch
from watchword.gui.launch_service import LaunchService
from watchword.gui.pages.vault_service import VaultService

from ...core.cli.batch_support import PASSPHRASE, SECRET, Home, simulated_roots
from ...fleet_hosts import FleetHosts
from .support import CHEAP

__all__ = ["PASSPHRASE", "SECRET"]

FLEET = 4
"""Where the page is in the sidebar."""


def launches(room):
    """What the records know."""
    return room.launches.summaries()


class FleetRoom:
    """Vault, profile ``web`` and manifests of an owner; the simulated machine's root is AMD's."""

    def __init__(self, home, folder, keys, platform, firmware):
        self.folder, self.keys = folder, keys
        self._platform, self._firmware = platform, firmware
        home.mkdir()
        self.home = Home(home, keys, firmware)
        self.home.profile("web")
        shutil.copy(platform / "full_chain.cert", folder / "chain.cert")
        self.vaults = VaultService(home / "vault", stretching=CHEAP)
        self.launches = LaunchService(self.vaults, self._surroundings)
        self.service = FleetService(self.launches)

    def _surroundings(self, *, ask_amd):
        return Surroundings(
            connect=connector(),
            roots=simulated_roots(self.keys),
            advisories=published_advisories(),
        )

    def unlock(self):
        self.vaults.unlock(Secret(PASSPHRASE))

    def hosts(self, **behaviours):
        """Simulated hosts in a process, which start each VM once its blob lies there."""
        return FleetHosts(self.folder, self._platform, self._firmware, behaviours)

    def manifest(self, count, more="", wait=60):
        """A manifest of launches v1, v2, …, each at a socket of its own; its path."""
        return self.write(
            f'format = 1\n[defaults]\nhost = "qmp+unix://{self.folder}/{{name}}.sock"\n'
            f'certificates = "chain.cert"\nwait = {wait}\n{more}'
            f'[[launch]]\nname = "v{{1..{count}}}"\nguest = "web"\n'
        )

    def write(self, text):
        path = self.folder / "fleet.toml"
        path.write_text(text)
        return str(path)


class Operator:
    """Uses a page of fleets as a person does."""

    def __init__(self, qtbot, page):
        self.qtbot, self.page = qtbot, page
        self._ended = 0
        page.run.changed.connect(self._note)

    def _note(self):
        self._ended += not self.page.run.running

    def until(self, condition):
        self.qtbot.waitUntil(condition)

    def open(self, path):
        """Have a manifest checked."""
        self.page.open_manifest(path)
        self.until(lambda: not self.page.work.busy)

    def press(self, button):
        """The button itself: its place is not settled while the page grows."""
        self.until(lambda: button.isVisible() and button.isEnabled())
        button.click()

    def run(self, button):
        """Press it, and wait until the fleet is through."""
        self.run_by(lambda: self.press(button))

    def run_by(self, do):
        """The same, whatever it is begun by."""
        before = self._ended
        do()
        self.until(lambda: self._ended > before)

    def through(self):
        self.until(lambda: not self.page.run.running)

    def outcomes(self):
        """By name."""
        return {row.name: row.outcome and row.outcome.value for row in self.page.model.rows}


def plan(count, intent=Intent.BEGIN):
    """So many launches, none of which was begun."""
    return [PlannedLaunch(f"v{n}", "web", f"qmp+unix:///run/v{n}", intent) for n in range(count)]


def step(number, name="measurement", state="done"):
    """What a batch tells of a step."""
    words = {"event": "step", "name": f"v{number}", "launch": f"web-{number}"}
    return {**words, "step": name, "state": state}


def result(number, outcome="done", code=""):
    """What a batch tells of a result."""
    words = {"event": "result", "name": f"v{number}", "launch": f"web-{number}"}
    error = {"code": code, "title": f"Because of {code}", "message": "m", "remedy": "r"}
    return {**words, "outcome": outcome, **({"error": error} if code else {})}
