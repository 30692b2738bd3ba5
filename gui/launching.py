# SPDX-License-Identifier: Apache-2.0
"""What the main window has to do with launches: its first page, and wizards over real hosts."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from .asking import ask
from .bridge import Bridge
from .pages.page import Page
from .pages.start_page import StartPage

if TYPE_CHECKING:
    from watchword.core.launch.store import LaunchSummary

    from .launch_service import LaunchService
    from .pages.check_page import CheckPage
    from .pages.launches_page import LaunchesPage
    from .pages.vault_service import VaultService
    from .wizard.recorded_launch import RecordedLaunch

_HEAVY = ("watchword.gui.launch_service", "watchword.gui.wizard.recorded_launch")


class Launching(QObject):
    """Makes everything when it is first needed, so that the window is there at once.

    ``homeChanged``  another page is the first one now: there are launches
    ``wizardWanted`` with a RecordedLaunch to be shown
    ``checkWanted``  the page *Check a platform* is to be shown
    ``tryItNow``     a rehearsal is wanted
    ``ledgerWanted`` with the sequence of an entry of the ledger that is to be shown
    ``profileWanted`` with the HostDraft of a VM that a profile is to be made of
    """

    homeChanged = Signal()
    wizardWanted = Signal(object)
    checkWanted = Signal()
    tryItNow = Signal()
    ledgerWanted = Signal(int)
    profileWanted = Signal(object)
    failed = Signal(object)

    def __init__(
        self, bridge: Bridge, start: StartPage, vaults: Callable[[], VaultService], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._start = start
        self._vaults = vaults
        self._service: LaunchService | None = None
        self.page: LaunchesPage | None = None
        self.check: CheckPage | None = None
        self._wanted = ""

    @property
    def home(self) -> Page:
        """The first page: where one begins, or the launches that there are."""
        return self._start if self.page is None else self.page

    @property
    def service(self) -> LaunchService:
        """The launches; made when it is first asked for."""
        if self._service is None:
            from .launch_service import LaunchService  # noqa: PLC0415 - once it is needed

            self._service = LaunchService(self._vaults())
        return self._service

    def look(self) -> None:
        """Find out whether there are launches."""
        if self.page is None:
            ask(self._bridge, self, _any_launches, self._show_home, self.failed.emit)

    def _show_home(self, found: object) -> None:
        if found and self.page is None:
            from .pages.launches_page import LaunchesPage  # noqa: PLC0415 - once there are any

            page = self.page = LaunchesPage(self._bridge, self.service)
            page.resumed.connect(self.resume)
            page.launched.connect(self.launch)
            page.chooseWanted.connect(self.choose)
            page.checkPlatform.connect(self.show_check)
            page.tryItNow.connect(self.tryItNow)
            self.homeChanged.emit()
            if self._wanted:
                page.show_launch(self._wanted)

    def show_launch(self, launch_id: str) -> None:
        """Choose this launch in the list, whatever was looked for there before."""
        self._wanted = launch_id
        if self.page is None:
            self.look()
        else:
            self.page.show_launch(launch_id)

    def choose(self) -> None:
        """A launch of which the owner says what it is."""
        self._open()

    def choose_guest(self, guest: str) -> None:
        """The same, with the guest chosen already."""
        self._open(guest=guest)

    def launch(self, guest: str) -> None:
        """A launch of a guest as its profile has it, at once."""
        self._open(guest=guest, at_once=True)

    def resume(self, summary: LaunchSummary) -> None:
        """A launch that was left earlier."""
        self._open(summary=summary)

    def show_check(self) -> None:
        """The page *Check a platform*."""
        if self.check is None:
            from .pages.check_page import CheckPage  # noqa: PLC0415 - once it is needed

            self.check = CheckPage(self._bridge, self.service)
            self.check.profileWanted.connect(self.profileWanted)
        self.checkWanted.emit()

    def _open(
        self, *, guest: str = "", summary: LaunchSummary | None = None, at_once: bool = False
    ) -> None:
        from .wizard.recorded_launch import RecordedLaunch  # noqa: PLC0415 - once it is needed

        wizard: RecordedLaunch = RecordedLaunch(
            self._bridge, self.service, guest=guest, summary=summary, at_once=at_once
        )
        wizard.ledgerWanted.connect(self.ledgerWanted)
        wizard.profileWanted.connect(self.profileWanted)
        self.wizardWanted.emit(wizard)


def _any_launches() -> bool:
    """Whether there are launches; what is needed to show them is imported if there are."""
    from watchword.core.records.database import Records, records_folder  # noqa: PLC0415

    if not Records.exists(records_folder()):
        return False
    for name in _HEAVY:
        importlib.import_module(name)
    from watchword.core.launch.store import LaunchStore  # noqa: PLC0415 - as above

    with Records.open(records_folder()) as records:
        return bool(LaunchStore(records).list(limit=1))
