# SPDX-License-Identifier: Apache-2.0
"""What every test of the window rests on: no display, no settings of the user's, nothing left."""

from __future__ import annotations

import os

# Before anything imports Qt, which reads it once.
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ.pop("QT_SCALE_FACTOR", None)

import gc
import tempfile
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="no PySide6 (package PySide6-Essentials)")

import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent, QTimer, QTranslator
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from watchword.gui.bindings_check import bindings_problem
from watchword.gui.bridge import Bridge
from watchword.gui.theme import Scheme, Theme

if (problem := bindings_problem()) is not None:  # better than an abort in the middle of the run
    raise RuntimeError(f"{problem.message} {problem.remedy}")

# Offscreen says so at every resize; it has no window manager to tell.
HARMLESS = (
    r"^This plugin does not support"
    r" (raise\(\)|propagateSizeHints\(\)|grabbing the keyboard)"
)

PATIENCE = 60_000
"""Milliseconds for which anything is waited for: a machine may have much else to do."""


class PatientBot(QtBot):
    """Waits until what is meant is so; how long that takes is no test's matter."""

    def waitUntil(self, callback, *, timeout=PATIENCE):  # noqa: N802 - pytest-qt's name
        super().waitUntil(callback, timeout=timeout)

    def waitSignal(self, signal, *, timeout=PATIENCE, **more):  # noqa: N802 - as above
        return super().waitSignal(signal, timeout=timeout, **more)

    def waitExposed(self, widget, *, timeout=PATIENCE):  # noqa: N802 - as above
        return super().waitExposed(widget, timeout=timeout)

    def waitActive(self, widget, *, timeout=PATIENCE):  # noqa: N802 - as above
        return super().waitActive(widget, timeout=timeout)


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> PatientBot:
    """In place of pytest-qt's own, which gives up after five seconds."""
    del qapp
    return PatientBot(request)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Qt's warnings fail a test, but for those that a plugin without a screen can't help."""
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):  # noqa: PTH120 - a plain string
            item.add_marker(pytest.mark.qt_log_level_fail("WARNING"))
            item.add_marker(pytest.mark.qt_log_ignore(HARMLESS, extend=True))


@pytest.fixture(autouse=True)
def _not_the_users(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, records and profiles go to a folder of the test."""
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


@pytest.fixture(scope="session", autouse=True)
def _quick_collections() -> Iterator[None]:
    """What was imported stays anyway: leave it out of the many collections to come."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _no_collection_in_events() -> Iterator[None]:
    """Garbage that is collected while Qt delivers an event may be a widget it is using."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    """A test ends the threads that it began."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(PATIENCE / 1000)
    left = [thread.name for thread in left if thread.is_alive()]
    assert left == [], f"threads that were left running: {left}"


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """After qtbot closed its widgets there are no windows and no running timers."""
    del item
    if QApplication.instance() is None:
        return
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    gc.collect()
    windows = QApplication.topLevelWidgets()
    names = [f"{type(window).__name__} {window.windowTitle()}" for window in windows]
    timers = list(_running_timers())
    for one in (*windows, *timers):  # or all tests after this one fail too
        one.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert names == [], f"windows that were left: {names}"
    assert timers == [], f"timers that were left running: {timers}"


def _running_timers() -> Iterator[QTimer]:
    for thing in gc.get_objects():
        if type(thing) is QTimer and shiboken6.isValid(thing) and thing.isActive():
            yield thing


@pytest.fixture(scope="session")
def theme(qapp: QApplication) -> Theme:
    """The program's style and its light palette, for the whole run."""
    return Theme(qapp, Scheme.LIGHT)


class Longer(QTranslator):
    """A language whose words are 30 % longer than the English ones, and not the same."""

    def translate(self, context, text, disambiguation=None, n=-1):
        padding = "éxtra " * 50
        return text + " " + padding[: max(2, round(len(text) * 0.3))].rstrip()

    def isEmpty(self) -> bool:  # noqa: N802 - Qt's name
        return False


@pytest.fixture
def longer_words(theme: Theme) -> Iterator[None]:
    """The program in that language."""
    translator = Longer()
    QCoreApplication.installTranslator(translator)
    yield
    QCoreApplication.removeTranslator(translator)


@pytest.fixture
def bridge(qapp: QApplication) -> Iterator[Bridge]:
    """A bridge whose thread has ended after the test."""
    del qapp
    made = Bridge()
    yield made
    assert made.shutdown(PATIENCE / 1000), "work that did not stop"
    made.deleteLater()


@pytest.fixture
def short_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sockets need short paths; nothing is left in the folder afterwards."""
    with tempfile.TemporaryDirectory(prefix="wwt") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield
        assert os.listdir(folder) == []  # noqa: PTH208 - a plain list
