# SPDX-License-Identifier: Apache-2.0
"""Catches what nobody caught, from every thread, and has it shown in the GUI thread."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from .crash_report import crash_report, is_interrupt, place_of, write_to_stderr

if TYPE_CHECKING:
    from .crash_dialog import CrashDialog

_MOST_SHOWN: Final = 5
"""Reports in one run; a fault that repeats with every event would bury the window."""


class CrashReporter(QObject):
    """Hears of faults in every thread and shows each once, in the GUI thread."""

    _arrived = Signal(object)

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self._application = application
        self._known: set[str] = set()
        self._shown: list[CrashDialog] = []
        self._arrived.connect(self.report, Qt.ConnectionType.QueuedConnection)

    def install(self) -> None:
        """Take over Python's hooks for exceptions, in the main thread and in all others."""
        sys.excepthook = self._hook
        threading.excepthook = self._thread_hook

    @Slot(object)
    def report(self, error: BaseException) -> None:
        """Show a fault, unless it is known by now."""
        place = place_of(error)
        if place in self._known or len(self._known) >= _MOST_SHOWN:
            return
        self._known.add(place)
        platform = f"Display: {QGuiApplication.platformName()}"
        text = crash_report(error, platform)
        write_to_stderr(text)
        from .crash_dialog import CrashDialog  # noqa: PLC0415 - the first window needs none

        dialog = CrashDialog(text, self._application.activeWindow())
        # One without a parent vanishes with its last reference.
        self._shown.append(dialog)
        dialog.open()

    def _hook(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        del trace
        if is_interrupt(kind):
            self._application.quit()
        else:
            self._arrived.emit(error)

    def _thread_hook(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None and not is_interrupt(arguments.exc_type):
            self._arrived.emit(arguments.exc_value)
