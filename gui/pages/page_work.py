# SPDX-License-Identifier: Apache-2.0
"""Runs what a page asks of files, vault or records outside the GUI thread, one thing at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar, cast

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QApplication, QWidget
from shiboken6 import isValid

from watchword.core.errors import WatchwordError

from ..bridge import Bridge, Job, Report, Work
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine

T = TypeVar("T")

_PATIENCE: Final = 200
"""Milliseconds before it is said what is waited for: what is quick makes nothing flicker."""
_ROUNDS: Final = 8
"""Layouts within layouts, whose words wrap, come to rest one after the other."""


class PageWork(QObject):
    """What one page has under way, said in its busy line; errors go to its banner.

    ``busyChanged``  whether anything is under way: buttons that would begin more follow it
    """

    busyChanged = Signal(bool)

    def __init__(self, bridge: Bridge, line: BusyLine, banner: Banner, parent: QObject) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._line = line
        self._banner = banner
        self._job: Job | None = None
        self._then: Callable[[object], object] | None = None
        self._failed: Callable[[WatchwordError], object] | None = None
        self._words = ""
        self._can_cancel = False
        self._began: QWidget | None = None
        self._instead: QWidget | None = None
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(_PATIENCE)
        self._patience.timeout.connect(self._say)
        line.cancelled.connect(self.cancel)

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return self._job is not None

    def start(
        self,
        words: str,
        call: Callable[[], T],
        then: Callable[[T], object],
        *,
        failed: Callable[[WatchwordError], object] | None = None,
        can_cancel: bool = False,
    ) -> bool:
        """Have a blocking call run in a thread; False, and nothing happens, while one does.

        ``words``       what is waited for
        ``then``        gets the result, in the GUI thread
        ``failed``      gets the error in place of the banner
        ``can_cancel``  only for what changes nothing: the call itself runs on to its end
        """
        if self._job is not None:
            return False
        self._words, self._can_cancel = words, can_cancel
        self._then, self._failed = cast("Callable[[object], object]", then), failed
        self._banner.clear()
        self._job = self._bridge.submit(_in_thread(call))
        self._job.succeeded.connect(self._succeeded)
        self._job.failed.connect(self._show_failure)
        self._job.cancelled.connect(self._end)
        self._patience.start()
        began = QApplication.focusWidget()
        self.busyChanged.emit(True)
        self._began = began if began is not None and not began.isEnabled() else None
        self._instead = QApplication.focusWidget()
        return True

    @Slot()
    def cancel(self) -> None:
        """Wait no longer for what is under way."""
        if self._job is not None:
            self._job.cancel()

    @Slot()
    def _say(self) -> None:
        self._line.begin(self._words, can_cancel=self._can_cancel)

    @Slot()
    def _end(self) -> None:
        self._job = None
        self._patience.stop()
        self._line.end()
        self.busyChanged.emit(False)
        self._give_focus_back()

    def _give_focus_back(self) -> None:
        """To the button that was pressed: while it was disabled, the focus had to go elsewhere."""
        began, self._began = self._began, None
        moved = QApplication.focusWidget() is not self._instead
        self._instead = None
        if began is not None and not moved and isValid(began) and began.isEnabled():
            began.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot(object)
    def _succeeded(self, result: object) -> None:
        then = self._then
        self._end()
        if then is not None:
            then(result)
            lay_out_now()

    @Slot(object)
    def _show_failure(self, error: WatchwordError) -> None:
        failed = self._failed
        self._end()
        if failed is not None:
            failed(error)
        else:
            self._banner.show_error(error)


def lay_out_now() -> None:
    """Give what was just shown its place before the next picture, in which it would be squeezed."""
    for _ in range(_ROUNDS):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)


def _in_thread(call: Callable[[], object]) -> Work:
    async def work(report: Report) -> object:
        del report
        return await asyncio.to_thread(call)

    return work
