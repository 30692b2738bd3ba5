# SPDX-License-Identifier: Apache-2.0
"""Collects Python's garbage in the GUI thread, between events, and nowhere else.

Left to itself, Python collects wherever memory is asked for: in the loop's thread, which must
not destroy a widget, or while Qt delivers an event to the very widget that is garbage. Both
end the program without a word.
"""

from __future__ import annotations

import gc
from typing import Final

from PySide6.QtCore import QObject, QTimer

INTERVAL: Final = 1000
"""Milliseconds between two looks at what has gathered."""


class Collector(QObject):
    """From :meth:`begin` on, automatic collection is off for the whole process."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self.look)

    def begin(self) -> None:
        """Take over from Python."""
        gc.disable()
        self._timer.start()

    def stop(self) -> None:
        """Give it back; nothing shows widgets any more."""
        self._timer.stop()
        gc.enable()

    def look(self) -> None:
        """Collect the oldest generation that is due, by Python's own thresholds."""
        for generation in (2, 1, 0):
            threshold = gc.get_threshold()[generation]
            if threshold and gc.get_count()[generation] > threshold:
                gc.collect(generation)
                return
