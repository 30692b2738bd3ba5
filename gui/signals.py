# SPDX-License-Identifier: Apache-2.0
"""Lets Ctrl-C and SIGTERM end the program at once, as if the window were closed.

Python runs its signal handlers only when it gets control, and Qt may keep that for
long. So the signal writes a byte into a pipe, which Qt watches: no timer wakes
an idle program.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

from PySide6.QtCore import QObject, QSocketNotifier, Slot

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalWatcher(QObject):
    """Calls ``on_signal`` in the GUI thread when one of the signals comes."""

    def __init__(self, on_signal: Callable[[], object], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._on_signal = on_signal
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        self._notifier = QSocketNotifier(self._reader, QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._drain)

    def stop(self) -> None:
        """Put everything back as it was."""
        self._notifier.setEnabled(False)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._before)
        os.close(self._reader)
        os.close(self._writer)

    @Slot()
    def _drain(self) -> None:
        """Python gets control here, and runs the handler before the next line."""
        try:
            os.read(self._reader, 64)
        except BlockingIOError:
            return

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._on_signal()
