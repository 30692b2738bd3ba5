# SPDX-License-Identifier: Apache-2.0
"""A secret on the clipboard: marked as one, and taken away again after 20 seconds.

There is one for the program, not one for a button: a page that is left must not
take the clearing with it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from PySide6.QtCore import QDeadlineTimer, QMimeData, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication

HINT: Final = "x-kde-passwordManagerHint"
"""Clipboard managers keep nothing that comes with this format."""
SECONDS: Final = 20.0
_TICK: Final = 1000


class SecretClipboard(QObject):
    """Puts a secret on the clipboard and clears it, unless something else was copied since.

    ``counted``  whole seconds that are left, about once a second
    ``cleared``  the secret is gone from the clipboard
    ``stuck``    it could not be taken away; it is tried again when the window is active again
    """

    counted = Signal(int)
    cleared = Signal()
    stuck = Signal()

    def __init__(self, parent: QObject | None = None, seconds: float = SECONDS) -> None:
        super().__init__(parent)
        self._seconds = seconds
        self._key = secrets.token_bytes(32)
        self._mark: bytes | None = None
        self._copies = 0
        self._deadline = QDeadlineTimer(QDeadlineTimer.ForeverConstant.Forever)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._tick)
        application = QGuiApplication.instance()
        if isinstance(application, QGuiApplication):
            application.aboutToQuit.connect(self.clear)
            application.applicationStateChanged.connect(self._state_changed)

    @classmethod
    def of_application(cls) -> SecretClipboard:
        """The program's own; it is made when it is first asked for."""
        application = QGuiApplication.instance()
        found = application.findChild(cls) if application is not None else None
        return found if found is not None else cls(application)

    @property
    def holds_secret(self) -> bool:
        """Whether a secret was put there and is not known to be gone."""
        return self._mark is not None

    @property
    def copies(self) -> int:
        """How many secrets were put there so far: a button knows by it whether the last was its."""
        return self._copies

    def put(self, text: str) -> None:
        """Put a secret on the clipboard and begin to count."""
        self._copies += 1
        data = QMimeData()
        data.setText(text)
        data.setData(HINT, b"secret")
        QGuiApplication.clipboard().setMimeData(data)
        self._mark = self._mark_of(text)
        self._deadline = QDeadlineTimer(round(self._seconds * 1000), Qt.TimerType.PreciseTimer)
        self._tick()

    def clear(self) -> None:
        """Take the secret away now, if it is still what the clipboard holds."""
        self._timer.stop()
        if self._mark is None:
            return
        clipboard = QGuiApplication.clipboard()
        if self._is_there():
            clipboard.clear()
        if self._is_there():
            self.stuck.emit()
        elif self._can_tell():
            self._mark = None
            self.cleared.emit()

    def _tick(self) -> None:
        left = self._deadline.remainingTime()
        if left <= 0:
            self.clear()
            return
        self.counted.emit(-(-left // 1000))
        self._timer.start(min(_TICK, left))

    def _state_changed(self, state: Qt.ApplicationState) -> None:
        active = state == Qt.ApplicationState.ApplicationActive
        if active and self._mark is not None and self._deadline.hasExpired():
            self.clear()

    def _is_there(self) -> bool:
        text = QGuiApplication.clipboard().text()
        return self._mark is not None and hmac.compare_digest(self._mark, self._mark_of(text))

    def _can_tell(self) -> bool:
        """On Wayland a program without the focus may not read the clipboard."""
        if not QGuiApplication.platformName().startswith("wayland"):
            return True
        return QGuiApplication.applicationState() == Qt.ApplicationState.ApplicationActive

    def _mark_of(self, text: str) -> bytes:
        """What the text is recognised by: not the text itself, which must not stay here."""
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._key).digest()
