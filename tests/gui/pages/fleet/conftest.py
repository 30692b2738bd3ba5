# SPDX-License-Identifier: Apache-2.0
"""What the tests of fleets rest on: hosts of one simulated machine, an owner's room, the page."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from watchword.core.simulator import PlatformKeys, build_firmware, save_platform
from watchword.gui.main_window import MainWindow
from watchword.gui.pages.fleet_page import FleetPage
from watchword.gui.settings import WindowSettings

from ..fleet_support import FLEET, FleetRoom, Operator


@pytest.fixture(scope="session")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture(scope="session")
def platform(keys, tmp_path_factory):
    """The simulated machine, as its hosts' process loads it."""
    path = tmp_path_factory.mktemp("platform")
    save_platform(keys, path)
    return path


@pytest.fixture(scope="session")
def firmware(tmp_path_factory):
    path = tmp_path_factory.mktemp("firmware") / "OVMF.fd"
    path.write_bytes(build_firmware())
    return path


@pytest.fixture
def room(tmp_path, keys, platform, firmware):
    folder = Path(tempfile.mkdtemp(prefix="ww-", dir="/tmp"))  # sockets need short paths
    made = FleetRoom(tmp_path / "home", folder, keys, platform, firmware)
    yield made
    made.vaults.close()
    shutil.rmtree(folder)


@pytest.fixture
def page(qtbot, bridge, theme, room):
    made = FleetPage(bridge, room.service)
    qtbot.addWidget(made)
    made.resize(960, 760)
    with qtbot.waitExposed(made):
        made.show()
    yield made
    made.run.stop()
    qtbot.waitUntil(lambda: not bridge.busy)


@pytest.fixture
def person(qtbot, page):
    return Operator(qtbot, page)


@pytest.fixture
def window(qtbot, bridge, theme, tmp_path, room):
    made = MainWindow(bridge, theme, WindowSettings(tmp_path / "window.ini"))
    made.vaults = room.vaults
    made.launching._service = room.launches
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    made.show_page(FLEET)
    yield made
    made._fleet.run.stop()
    qtbot.waitUntil(lambda: not bridge.busy)
