# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C is heard at once, although Qt and not Python waits for events."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from PySide6.QtCore import QEventLoop, QTimer

from watchword.gui.signals import SignalWatcher


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_heard_while_qt_waits(qapp, number: signal.Signals) -> None:
    loop = QEventLoop()
    watcher = SignalWatcher(loop.quit)
    sender = threading.Timer(0.1, lambda: os.kill(os.getpid(), number))
    # Python stays out of control all this time, so it can't be Python that hears of it.
    watchdog = threading.Timer(10, loop.quit)
    QTimer.singleShot(0, sender.start)
    watchdog.start()
    try:
        loop.exec()
        assert watchdog.is_alive(), "the signal was not heard"
    finally:
        watchdog.cancel()
        sender.join()
        watchdog.join()
        watcher.stop()


def test_afterwards_everything_is_as_it_was(qapp) -> None:
    before = [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
    SignalWatcher(lambda: None).stop()
    assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1
