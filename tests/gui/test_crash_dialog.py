# SPDX-License-Identifier: Apache-2.0
"""A fault of ours: told once, with where it happened, and nothing of what was worked on."""

from __future__ import annotations

import sys
import threading

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QPushButton

from watchword.gui.crash_dialog import CrashDialog
from watchword.gui.crash_report import crash_report
from watchword.gui.crash_reporter import CrashReporter

CANARY = "correct horse battery staple"


def fault() -> BaseException:
    """An exception whose message, cause and variables hold a secret."""
    secret = CANARY
    try:
        try:
            {}[secret]
        except KeyError as missing:
            raise ValueError(f"no {secret}") from missing
    except ValueError as error:
        return error
    raise AssertionError


@pytest.fixture
def reporter(qapp: QApplication, monkeypatch, capsys):
    """A reporter that has taken over the hooks, which the test gets back."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    made = CrashReporter(qapp)
    made.install()
    yield made
    for dialog in dialogs():
        dialog.close()
    made.deleteLater()
    assert CANARY not in capsys.readouterr().err


def dialogs() -> list[CrashDialog]:
    return [one for one in QApplication.topLevelWidgets() if isinstance(one, CrashDialog)]


def test_the_report_names_the_places_and_no_values() -> None:
    report = crash_report(fault())
    assert CANARY not in report
    assert "horse" not in report
    assert "ValueError" in report
    assert "Came from: KeyError" in report
    assert " fault" in report
    assert __file__ not in report


def test_the_report_can_be_copied(qtbot, reporter: CrashReporter) -> None:
    reporter.report(fault())
    (dialog,) = dialogs()
    (copy,) = (b for b in dialog.findChildren(QPushButton) if "Copy" in b.text())
    copy.click()
    shown = dialog.findChild(QPlainTextEdit).toPlainText()
    assert QGuiApplication.clipboard().text() == shown
    assert CANARY not in shown
    assert "Display: offscreen" in shown


def test_a_fault_that_comes_again_is_shown_once(qtbot, reporter: CrashReporter) -> None:
    for _ in range(3):
        reporter.report(fault())
    assert len(dialogs()) == 1


def test_a_fault_of_another_thread_is_shown_in_the_gui_thread(
    qtbot, reporter: CrashReporter
) -> None:
    def fail() -> None:
        raise fault()

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: len(dialogs()) == 1)


def test_a_fault_in_the_gui_thread_is_shown(qtbot, reporter: CrashReporter) -> None:
    error = fault()
    sys.excepthook(type(error), error, error.__traceback__)
    qtbot.waitUntil(lambda: len(dialogs()) == 1)


def test_ctrl_c_is_no_fault(qtbot, reporter: CrashReporter, monkeypatch) -> None:
    quits: list[bool] = []
    monkeypatch.setattr(reporter._application, "quit", lambda: quits.append(True))
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert quits == [True]
    assert dialogs() == []
