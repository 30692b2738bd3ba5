# SPDX-License-Identifier: Apache-2.0
"""Tells somebody who looks at another window that a launch needs him; else it says nothing."""

from __future__ import annotations

import html
import os
import shutil
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer
from PySide6.QtWidgets import QApplication, QWidget

from .widgets.simulated import simulated_word
from .wizard.flow import Need

Send = Callable[[str, str], None]
"""Shows a title and a sentence on the desktop, where there is a way to do it."""

_PROGRAM: Final = "notify-send"
_VARIABLES: Final = (
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "HOME",
    "PATH",
)
_LONGEST: Final = 5_000
"""Milliseconds after which a program that shows a notification is given up."""


class Notifier(QObject):
    """A taskbar entry that asks for attention, and a notification where the desktop has them.

    ``send``     in place of the desktop's own notifications
    ``focused``  whether any window of the program has the focus
    """

    def __init__(
        self,
        window: QWidget,
        send: Send | None = None,
        focused: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._send = send or DesktopNotifications(self).send
        self._focused = focused or (lambda: QApplication.activeWindow() is not None)

    def tell(self, needed: Need, launch: str, *, simulated: bool) -> None:
        """Say what a launch needs a person for, unless he looks at it anyway."""
        if self._focused():
            return
        QApplication.alert(self._window)
        mark = f"{simulated_word()}: " if simulated else ""
        self._send(self._title(needed), f"{mark}{launch}")

    def _title(self, needed: Need) -> str:
        return {
            Need.BLOB: self.tr("The launch blob is made: the VM can be started"),
            Need.VM: self.tr("Waiting for the VM to be started"),
            Need.ANSWER: self.tr("A launch waits for you"),
            Need.VERDICT: self.tr("The verdict is there: the secret can be handed over"),
            Need.REFUSAL: self.tr("A launch was refused"),
            Need.FAILURE: self.tr("A launch can't go on"),
            Need.DONE: self.tr("A launch is done"),
        }[needed]


class DesktopNotifications(QObject):
    """Notifications by ``notify-send`` (package libnotify-bin), where that and a session bus are.

    Nothing waits for it, and that it fails is of no account: the taskbar was told already.
    """

    def send(self, title: str, body: str) -> None:
        """Show both; nothing secret is ever in them."""
        program = shutil.which(_PROGRAM)
        if program is None or not os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
            return
        process = QProcess(self)
        process.setProcessEnvironment(_environment())
        process.setStandardInputFile(QProcess.nullDevice())
        process.setStandardOutputFile(QProcess.nullDevice())
        process.setStandardErrorFile(QProcess.nullDevice())
        process.finished.connect(process.deleteLater)
        process.errorOccurred.connect(process.deleteLater)
        # The body may hold markup, the title none.
        words = ["--app-name=Watchword", "--icon=watchword", "--", title, html.escape(body)]
        process.start(program, words)
        limit = QTimer(process)
        limit.setSingleShot(True)
        limit.timeout.connect(process.kill)
        limit.start(_LONGEST)


def _environment() -> QProcessEnvironment:
    """What a program needs to reach the desktop, and nothing else of ours."""
    made = QProcessEnvironment()
    for name in _VARIABLES:
        if name in os.environ:
            made.insert(name, os.environ[name])
    made.insert("LC_ALL", "C.UTF-8")
    return made
