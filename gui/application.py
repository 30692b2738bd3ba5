# SPDX-License-Identifier: Apache-2.0
"""Puts the program together: application, theme, bridge, window, and their end in order."""

from __future__ import annotations

import importlib
import sys
from typing import Final

from PySide6.QtCore import QLibraryInfo, QLocale, QTranslator
from PySide6.QtWidgets import QApplication

from watchword.core.errors import ExitStatus

from .bridge import Bridge, Report
from .collector import Collector
from .crash_reporter import CrashReporter
from .main_window import MainWindow
from .settings import WindowSettings, settings_path
from .signals import SignalWatcher
from .theme import Theme

DESKTOP_FILE: Final = "local.watchword.Watchword"
"""The desktop file's name without its ending: Wayland finds the icon by it."""


def make_application() -> QApplication:
    """The application with its names and translations, and no window yet."""
    QApplication.setDesktopFileName(DESKTOP_FILE)
    QApplication.setApplicationName("watchword")
    QApplication.setApplicationDisplayName("Watchword")
    application = QApplication(sys.argv[:1])
    # A crash dialog must not end the program when it is closed; the main window does.
    application.setQuitOnLastWindowClosed(False)
    _translate(application)
    return application


def run(*, try_it_now: bool = False, attack: str | None = None) -> int:
    """Show the window until it is closed; the exit status, 130 after Ctrl-C.

    ``try_it_now``  show a rehearsal and nothing else; the exit status is then its own
    ``attack``      how its host lies, if it does
    """
    application = make_application()
    settings = WindowSettings(settings_path())
    theme = Theme(application, settings.scheme)
    reporter = CrashReporter(application)
    reporter.install()
    bridge = Bridge(application)
    bridge.crashed.connect(reporter.report)
    window = MainWindow(bridge, theme, settings)
    window.closed.connect(application.quit)
    watcher = SignalWatcher(lambda: application.exit(int(ExitStatus.INTERRUPTED)))
    rehearsal = window.only_try(attack) if try_it_now else None
    collector = Collector(window)
    window.painted.connect(collector.begin)
    if rehearsal is None:
        window.painted.connect(lambda: bridge.submit(_warm_up))
    window.show()
    try:
        return application.exec() or (0 if rehearsal is None else int(rehearsal.status))
    finally:
        collector.stop()
        watcher.stop()
        window.hide()
        bridge.shutdown()
        window.close_vault()


async def _warm_up(_report: Report) -> None:
    """Import what the wizard needs, which takes half a second, while nobody waits for it."""
    import asyncio  # noqa: PLC0415 - after the first window

    await asyncio.to_thread(importlib.import_module, "watchword.core.rehearsal.stepwise")


def _translate(application: QApplication) -> None:
    """Qt's own dialogs in the user's language, where Qt has them."""
    if QLocale().language() in (QLocale.Language.English, QLocale.Language.C):
        return
    translator = QTranslator(application)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if translator.load(QLocale(), "qtbase", "_", folder):
        application.installTranslator(translator)
