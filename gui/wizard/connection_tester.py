# SPDX-License-Identifier: Apache-2.0
"""Has the chosen host looked over in the loop, one question at a time, until nobody wants it."""

from __future__ import annotations

from functools import partial
from typing import cast

from PySide6.QtCore import QObject, Slot

from watchword.core.errors import WatchwordError
from watchword.core.hosts.protocol import GuestRow

from ..asking import ask_async
from ..bridge import Bridge, Job
from ..host_look import HostLook, look_at_host, with_guest
from ..launch_service import LaunchService
from .recorded_choices import RecordedChoices


class ConnectionTester(QObject):
    """Goes with ``owner``; what it finds is shown among the choices."""

    def __init__(
        self, bridge: Bridge, service: LaunchService, choices: RecordedChoices, owner: QObject
    ) -> None:
        super().__init__(owner)
        self._bridge = bridge
        self._service = service
        self._choices = choices
        self._panel = choices.connection
        self._job: Job | None = None
        self._number = 0
        self._asked = ""
        self._panel.wanted.connect(self.test)
        self._panel.cancelled.connect(self.cancel)
        self._panel.guestChosen.connect(self._take)
        choices.host.textChanged.connect(self._forget)
        choices.guests.currentTextChanged.connect(self._forget)

    @Slot()
    def test(self) -> None:
        """Ask the host; a URL that can't be read is told below its field alone."""
        if self._job is not None or not self._choices.url.judge():
            return
        self._panel.begin()
        work = partial(look_at_host, self._service, self._choices.wanted())
        self._number += 1
        show, fail = partial(self._show, self._number), partial(self._fail, self._number)
        job = self._job = ask_async(self._bridge, self, work, show, fail)
        job.finished.connect(partial(self._end, job))

    @Slot()
    def cancel(self) -> None:
        """Ask no further; the line goes away once nothing is at work any more."""
        if self._job is not None:
            self._job.cancel()

    @Slot()
    def _forget(self) -> None:
        """What was found, or is being found, is about another choice."""
        self._number += 1  # an answer that is on its way already is not heard
        if self._job is not None:
            self._job.cancel()
            self._end(self._job)
        self._panel.clear()

    @Slot(object)
    def _take(self, guest: GuestRow) -> None:
        """The launch is to be on this VM of the host that was asked."""
        self._choices.url.set_url(with_guest(self._asked, guest))

    def _end(self, job: Job) -> None:
        if job is self._job:
            self._job = None
            self._panel.end()

    def _show(self, number: int, found: object) -> None:
        if number == self._number:
            look = cast("HostLook", found)
            self._asked = look.url
            self._panel.show_found(look.found, look.guests)

    def _fail(self, number: int, error: object) -> None:
        if number == self._number:
            self._panel.show_error(cast("WatchwordError", error))
