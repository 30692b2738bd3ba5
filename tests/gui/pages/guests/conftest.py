# SPDX-License-Identifier: Apache-2.0
"""Guests to show: a firmware, a folder of profiles, and the page over them."""

from __future__ import annotations

import pytest

from watchword.gui.launch_service import LaunchService
from watchword.gui.pages.guests_page import GuestsPage
from watchword.gui.pages.guests_service import GuestService
from watchword.gui.pages.vault_service import VaultService

from ..guest_files import firmware_file, plain_document
from ..support import idle, press


@pytest.fixture
def firmware(tmp_path):
    return firmware_file(tmp_path)


@pytest.fixture
def guests(tmp_path):
    return GuestService(tmp_path / "home" / "guests", lambda: ["vm1/disk", "vm2/disk"])


@pytest.fixture
def show(qtbot, bridge, guests):
    """Shows the page over the profiles, as the window does."""

    def shown():
        page = GuestsPage(bridge, guests, lambda: LaunchService(VaultService()))
        qtbot.addWidget(page)
        page.resize(900, 700)
        page.show()
        page.refresh()
        idle(qtbot, page)
        return page

    return shown


@pytest.fixture
def page(qtbot, guests, firmware, tmp_path, show):
    """The page that shows vm1, a plain SEV guest that is GO."""
    guests.add(plain_document(tmp_path, host="qmp+unix:///run/vm1.sock"))
    page = show()
    press(qtbot, page.list.cards[0].button)
    return page
