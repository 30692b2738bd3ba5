# SPDX-License-Identifier: Apache-2.0
"""What the pages' tests share: a keyring in memory, the cheapest stretching, waiting for a page."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel

from watchword.core.secret import Secret
from watchword.core.vault.key_stretching import Scrypt
from watchword.core.vault.keyring_access import KeyringAccess
from watchword.gui.pages.vault_service import VaultService

PASSPHRASE = b"five words chosen by chance"
CHEAP = Scrypt(log2_n=14, r=1)
"""The least work that is accepted: 2 MiB, a few milliseconds."""


class MemoryBackend:
    """A keyring in memory; ``fault`` is raised by each call while it is set."""

    def __init__(self):
        self.items = {}
        self.fault = None

    def get_password(self, service, username):
        self._fail()
        return self.items.get((service, username))

    def set_password(self, service, username, password):
        self._fail()
        self.items[service, username] = password

    def delete_password(self, service, username):
        self._fail()
        self.items.pop((service, username), None)

    def _fail(self):
        if self.fault is not None:
            raise self.fault


class KeyringLocked(Exception):
    """As the keyring package calls it."""


def make_service(folder, backend):
    """A service over a folder of the test and a keyring in memory."""

    def access():
        return KeyringAccess(5.0, lambda wanted: (wanted or "Memory", backend))

    return VaultService(folder, access, CHEAP)


def passphrase():
    return Secret(PASSPHRASE)


def revealed(secret):
    """The bytes of a secret, which is wiped."""
    with secret.reveal() as view:
        value = bytes(view)
    secret.wipe()
    return value


def idle(qtbot, page):
    """Wait until nothing is under way."""
    qtbot.waitUntil(lambda: not page.work.busy)


def texts(root):
    """All words on labels and buttons that are shown."""
    return "\n".join(
        widget.text().replace("\u200b", "")
        for widget in root.findChildren(QLabel) + root.findChildren(QAbstractButton)
        if widget.isVisible()
    )


def press(qtbot, button):
    """Click a button that must be there and must be enabled."""
    assert button.isVisible()
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def settled(widget):
    """Let all layouts come to rest; words that wrap take a few rounds."""
    for _ in range(5):
        QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
        QApplication.processEvents()
    return widget
