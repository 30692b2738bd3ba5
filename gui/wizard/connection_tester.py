# SPDX-License-Identifier: Apache-2.0
"""Has the chosen host looked over in the loop, one question at a time, until nobody wants it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import cast

from PySide6.QtCore import QObject, Signal, Slot

from watchword.core.errors import WatchwordError
from watchword.core.hosts.protocol import GuestRow

from ..asking import ask_async
from ..bridge import Bridge, Job
from ..host_look import HostLook, draft_of_guest, look_at_host, with_guest
from ..launch_service import LaunchService
from .connection_panel import ConnectionPanel
from .host_url_field import HostUrlField
from .wanted import Wanted


class ConnectionTester(QObject):
    """Goes with ``owner``; what it finds is shown in ``panel``.

    ``url``      where the host's URL is filled in
    ``wanted``   gives what the launch would be, with that URL
    ``drafted``  comes with the HostDraft of a VM that a profile is to be made of
    """

    drafted = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        service: Callable[[], LaunchService],
        url: HostUrlField,
        panel: ConnectionPanel,
        *,
        wanted: Callable[[], Wanted],
        owner: QObject,
    ) -> None:
        super().__init__(owner)
        self._bridge = bridge
        self._service = service
        self._url = url
        self._panel = panel
        self._wanted = wanted
        self._job: Job | None = None
        self._number = 0
        self._asked = ""
        panel.wanted.connect(self.test)
        panel.cancelled.connect(self.cancel)
        panel.guestChosen.connect(self._take)
        panel.draftWanted.connect(self._draft)
        url.edit.textChanged.connect(self.forget)

    @Slot()
    def test(self) -> None:
        """Ask the host; a URL that can't be read is told below its field alone."""
        if self._job is None and self._url.judge():
            self._panel.begin()
            self._ask(partial(look_at_host, self._service(), self._wanted()), self._show)

    @Slot()
    def cancel(self) -> None:
        """Ask no further; the line goes away once nothing is at work any more."""
        if self._job is not None:
            self._job.cancel()

    @Slot()
    def forget(self) -> None:
        """What was found, or is being found, is about another choice."""
        self._number += 1  # an answer that is on its way already is not heard
        if self._job is not None:
            self._job.cancel()
            self._end(self._job)
        self._panel.clear()

    @Slot(object)
    def _take(self, guest: GuestRow) -> None:
        """The launch is to be on this VM of the host that was asked."""
        self._url.set_url(with_guest(self._asked, guest))

    @Slot(object)
    def _draft(self, guest: GuestRow) -> None:
        """A profile is to be made of this VM of the host that was asked."""
        if self._job is None:
            url = with_guest(self._asked, guest)
            self._panel.begin_draft()
            work = partial(draft_of_guest, self._service(), url, guest.name)
            self._ask(work, self._show_draft)

    def _ask(
        self, work: Callable[[], Coroutine[object, object, object]], show: Callable[..., object]
    ) -> None:
        self._number += 1
        then, fail = partial(show, self._number), partial(self._fail, self._number)
        job = self._job = ask_async(self._bridge, self, work, then, fail)
        job.finished.connect(partial(self._end, job))

    def _show_draft(self, number: int, draft: object) -> None:
        if number == self._number:
            self.drafted.emit(draft)

    def _end(self, job: Job) -> None:
        if job is self._job:
            self._job = None
            self._panel.end()

    def _show(self, number: int, found: object) -> None:
        if number == self._number:
            look = cast("HostLook", found)
            self._asked = look.url
            self._panel.show_look(look)

    def _fail(self, number: int, error: object) -> None:
        if number == self._number:
            self._panel.show_error(cast("WatchwordError", error))
