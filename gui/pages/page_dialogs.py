# SPDX-License-Identifier: Apache-2.0
"""The one dialog that a page has open, and the work that is done for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import QObject, Slot

from watchword.core.errors import WatchwordError

from ..widgets.banner import Banner
from .page_dialog import PageDialog
from .page_work import PageWork

T = TypeVar("T")


class PageDialogs(QObject):
    """Opens a page's dialogs, and closes each once what it asks for is done."""

    def __init__(self, work: PageWork, banner: Banner, parent: QObject) -> None:
        super().__init__(parent)
        self._work = work
        self._banner = banner
        self.dialog: PageDialog | None = None
        work.busyChanged.connect(self._follow_work)

    def open(self, dialog: PageDialog) -> None:
        """Show a dialog over the page."""
        self.dialog = dialog
        dialog.finished.connect(self._forget)
        dialog.open()

    def do(
        self,
        words: str,
        call: Callable[[], T],
        then: Callable[[T], object],
        *,
        stay: bool = False,
    ) -> None:
        """Do what the open dialog asks for; it closes once that is done, or says why it is not.

        ``stay``  it shows the result itself
        """
        dialog = self.dialog

        def done(result: T) -> None:
            if dialog is not None and dialog is self.dialog and not stay:
                dialog.accept()
            then(result)

        def failed(error: WatchwordError) -> None:
            if dialog is not None and dialog is self.dialog:
                dialog.show_error(error)
            else:
                self._banner.show_error(error)

        self._work.start(words, call, done, failed=failed)

    @Slot(bool)
    def _follow_work(self, busy: bool) -> None:
        if self.dialog is not None:
            self.dialog.set_busy(busy)

    @Slot()
    def _forget(self) -> None:
        if self.sender() is self.dialog:
            self.dialog = None
