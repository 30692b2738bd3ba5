# SPDX-License-Identifier: Apache-2.0
"""The main window: a sidebar with the pages, and the wizard over both while one is open."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QCloseEvent, QKeySequence, QPaintEvent, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QWidget

from .bridge import Bridge
from .launching import Launching
from .pages.page import Page, PageEntry
from .pages.start_page import StartPage
from .settings import WindowSettings
from .sidebar import Sidebar
from .theme import Scheme, Theme

if TYPE_CHECKING:
    from .closing import Closing, ClosingQuestion
    from .host_look import HostDraft
    from .notifier import Notifier
    from .pages.fleet_page import FleetPage
    from .pages.guests_page import GuestsPage
    from .pages.image_page import ImagePage
    from .pages.ledger_page import LedgerPage
    from .pages.vault_service import VaultService
    from .wizard.flow import Need
    from .wizard.qemu_rehearsal import QemuRehearsal
    from .wizard.recorded_launch import RecordedLaunch
    from .wizard.try_it_now import TryItNow

_FIRST_SIZE: Final = (1120, 760)
_GUESTS: Final = 1
_LEDGER: Final = 3
"""Where these pages are in the sidebar."""


class MainWindow(QMainWindow):
    """``painted`` comes once, when it is seen; ``closed`` when the owner closed it for good."""

    painted = Signal()
    closed = Signal()

    def __init__(self, bridge: Bridge, theme: Theme, settings: WindowSettings) -> None:
        super().__init__()
        self._bridge = bridge
        self._theme = theme
        self._settings = settings
        self.wizard: TryItNow | RecordedLaunch | QemuRehearsal | None = None
        self._fleet: FleetPage | None = None
        self._seen = False
        self._only_trying = False
        self._comes_back = False
        self._anyway = False
        self.setWindowTitle("Watchword")
        self.start = self._start_page()
        self.launching = self._launching()
        self.entries = self._entries()
        self._pages: dict[str, Page] = {}
        self.sidebar = Sidebar([(entry.icon, entry.title) for entry in self.entries])
        self.sidebar.chosen.connect(self.show_page)
        self.sidebar.schemeChosen.connect(self._choose_scheme)
        self.sidebar.show_scheme(theme.scheme)
        self._stack = QStackedWidget()
        self._whole = QStackedWidget()
        self._lay_out()
        self._add_shortcuts()
        self.show_page(0)
        self.resize(*_FIRST_SIZE)
        self.restoreGeometry(settings.geometry)

    def _lay_out(self) -> None:
        shell = QWidget()
        row = QHBoxLayout(shell)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.sidebar)
        row.addWidget(self._stack, 1)
        self._whole.addWidget(shell)
        self.setCentralWidget(self._whole)

    def _start_page(self) -> StartPage:
        page = StartPage()
        page.tryItNow.connect(self.try_it_now)
        page.buildImage.connect(self.build_image)
        return page

    def _launching(self) -> Launching:
        launching = Launching(self._bridge, self.start, lambda: self.vaults, self)
        launching.homeChanged.connect(self._change_home)
        launching.wizardWanted.connect(self.open_wizard)
        launching.checkWanted.connect(self._show_checking)
        launching.ledgerWanted.connect(self._show_ledger_entry)
        launching.profileWanted.connect(self._make_profile)
        launching.tryItNow.connect(self.try_it_now)
        self.start.launchGuest.connect(launching.choose)
        self.start.checkPlatform.connect(launching.show_check)
        return launching

    @cached_property
    def vaults(self) -> VaultService:
        """The one vault of the window, which launches and the page *Vault* share."""
        from .pages.vault_service import VaultService  # noqa: PLC0415 - once it is needed

        return VaultService()

    def _entries(self) -> tuple[PageEntry, ...]:
        """The sidebar from top to bottom; a page is made when it is first seen."""
        return (
            PageEntry(self.tr("Launches"), "launches", lambda: self.launching.home),
            PageEntry(self.tr("Guests"), "guests", self._guests_page),
            PageEntry(self.tr("Vault"), "vault", self._vault_page),
            PageEntry(self.tr("Ledger"), "ledger", self._ledger_page),
            PageEntry(self.tr("Fleet"), "fleet", self._fleet_page),
        )

    def _guests_page(self) -> Page:
        from .pages.guests_page import GuestsPage  # noqa: PLC0415 - once it is to be seen
        from .pages.guests_service import GuestService  # noqa: PLC0415 - once it is to be seen

        service = GuestService(vault_names=self.vaults.names)
        page = GuestsPage(self._bridge, service, lambda: self.launching.service)
        page.rehearseWanted.connect(self.rehearse_guest)
        page.buildWanted.connect(self.build_image)
        return page

    def _vault_page(self) -> Page:
        from .pages.vault_page import VaultPage  # noqa: PLC0415 - once it is to be seen

        return VaultPage(self._bridge, self.vaults)

    def _ledger_page(self) -> Page:
        from .pages.ledger_page import LedgerPage  # noqa: PLC0415 - once it is to be seen
        from .pages.ledger_service import LedgerService  # noqa: PLC0415 - once it is to be seen

        return LedgerPage(self._bridge, LedgerService(vaults=self.vaults))

    def _fleet_page(self) -> Page:
        from .fleet_service import FleetService  # noqa: PLC0415 - once it is to be seen
        from .pages.fleet_page import FleetPage  # noqa: PLC0415 - once it is to be seen

        page = self._fleet = FleetPage(self._bridge, FleetService(self.launching.service))
        page.launchWanted.connect(self._show_launch)
        return page

    def _add_shortcuts(self) -> None:
        for number in range(len(self.entries)):
            keys = QKeySequence(f"Ctrl+{number + 1}")
            QShortcut(keys, self).activated.connect(lambda place=number: self.show_page(place))
        QShortcut(QKeySequence(QKeySequence.StandardKey.Quit), self).activated.connect(self.close)

    # -- pages ---------------------------------------------------------------------------

    @Slot(int)
    def show_page(self, number: int) -> None:
        """Show a page of the sidebar."""
        if self.wizard is not None:
            return
        self._show(self.entries[number])
        self.sidebar.show_page(number)
        if number == 0 and self._seen and not self._only_trying:
            QTimer.singleShot(0, self, self.launching.look)

    def _show(self, entry: PageEntry) -> None:
        page = self._pages.get(entry.title)
        if page is None:
            page = self._pages[entry.title] = entry.make()
            self._stack.addWidget(page.widget())
        page.refresh()
        self._stack.setCurrentWidget(page.widget())

    @Slot()
    def _show_checking(self) -> None:
        page = self.launching.check
        if page is not None:
            if self._stack.indexOf(page) < 0:
                self._stack.addWidget(page)
                page.left.connect(lambda: self.show_page(0))
            self._stack.setCurrentWidget(page)

    @Slot()
    def build_image(self) -> None:
        """The page on which an encrypted image is built."""
        page = self.images
        if self._stack.indexOf(page) < 0:
            self._stack.addWidget(page)
        self._stack.setCurrentWidget(page)

    @cached_property
    def images(self) -> ImagePage:
        """Made when it is first seen."""
        from .image_service import ImageService  # noqa: PLC0415 - once it is needed
        from .pages.image_page import ImagePage  # noqa: PLC0415 - once it is to be seen

        page = ImagePage(self._bridge, ImageService(self.vaults))
        page.left.connect(lambda: self.show_page(self.sidebar.page))
        page.rehearseWanted.connect(self.rehearse_guest)
        page.launchWanted.connect(self.launching.choose_guest)
        return page

    @Slot(str)
    def _show_launch(self, launch_id: str) -> None:
        """The launch of this id, among all the others."""
        self.launching.show_launch(launch_id)
        self.show_page(0)

    @Slot(int)
    def _show_ledger_entry(self, sequence: int) -> None:
        """Leave the wizard for an entry of the ledger."""
        self.close_wizard()
        self.show_page(_LEDGER)
        page = cast("LedgerPage", self._pages[self.entries[_LEDGER].title])
        page.show_entry(sequence)

    @Slot(object)
    def _make_profile(self, draft: HostDraft) -> None:
        """Leave the wizard for the form of a new guest."""
        self.close_wizard()
        self.show_page(_GUESTS)
        cast("GuestsPage", self._pages[self.entries[_GUESTS].title]).new_from(draft)

    @Slot()
    def _change_home(self) -> None:
        """There are launches by now: they take the first page's place."""
        seen = self._stack.currentWidget() is self.start
        self._pages.pop(self.entries[0].title, None)
        if seen:
            self.show_page(0)

    @Slot(object)
    def _choose_scheme(self, scheme: Scheme) -> None:
        self._theme.scheme = scheme
        self._settings.scheme = scheme
        self.sidebar.show_scheme(scheme)

    # -- the wizard ----------------------------------------------------------------------

    @Slot()
    def try_it_now(self) -> None:
        """Open a rehearsal over the whole window."""
        self._rehearse(None)

    def only_try(self, attack: str | None) -> TryItNow:
        """A rehearsal and nothing else: no record of the owner's is looked at, now or after it."""
        self._only_trying = True
        wizard = self._rehearse(attack)
        wizard.left.connect(self.close)
        return wizard

    def _rehearse(self, attack: str | None) -> TryItNow:
        from .wizard.try_it_now import TryItNow  # noqa: PLC0415 - the first window needs none of it

        wizard = TryItNow(self._bridge, attack=attack)
        self.open_wizard(wizard)
        return wizard

    @Slot(str)
    @Slot(str, str)
    def rehearse_guest(self, guest: str, disk: str = "") -> None:
        """Boot the owner's own guest in a real QEMU, under a simulated processor."""
        from .qemu_rehearsals import QemuRehearsals  # noqa: PLC0415 - once it is needed
        from .wizard.qemu_rehearsal import QemuRehearsal  # noqa: PLC0415 - as above

        service = QemuRehearsals(self.vaults)
        self.open_wizard(QemuRehearsal(self._bridge, service, guest, disk=disk))
        self._comes_back = True

    @Slot(object)
    def open_wizard(self, wizard: TryItNow | RecordedLaunch | QemuRehearsal) -> None:
        """Show a wizard until it is left."""
        self.close_wizard()
        self.wizard = wizard
        wizard.left.connect(self.close_wizard)
        wizard.frame.personNeeded.connect(self._tell_person)
        self._whole.addWidget(wizard)
        self._whole.setCurrentWidget(wizard)
        wizard.begin()

    @cached_property
    def notifier(self) -> Notifier:
        """Tells a person who looks elsewhere that he is needed."""
        from .notifier import Notifier  # noqa: PLC0415 - once a launch is on its way

        return Notifier(self)

    @Slot(object)
    def _tell_person(self, needed: Need) -> None:
        if self.wizard is not None and self.wizard.frame.conductor is not None:
            launch = self.wizard.frame.conductor.launch
            self.notifier.tell(needed, launch.id, simulated=launch.simulated)

    @Slot()
    def close_wizard(self) -> None:
        """Back to the pages; what the wizard had open is closed in the loop's thread."""
        wizard, self.wizard = self.wizard, None
        if wizard is None:
            return
        wizard.close_launch()
        self._whole.removeWidget(wizard)
        wizard.hide()
        wizard.deleteLater()
        comes_back, self._comes_back = self._comes_back, False
        if comes_back:  # to the page from which it was opened
            return
        self.show_page(0)
        if self._stack.currentWidget() is self.start:
            self.start.trying.setFocus(Qt.FocusReason.OtherFocusReason)

    # -- from the first look to the end --------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Whatever takes time begins only after the first one."""
        super().paintEvent(event)
        if not self._seen:
            self._seen = True
            QTimer.singleShot(0, self, self._begin)

    @Slot()
    def _begin(self) -> None:
        from .widgets.icons import application_icon  # noqa: PLC0415 - in all sizes it takes a while

        self.setWindowIcon(application_icon())
        self.painted.emit()
        if not self._only_trying:
            self.launching.look()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask only while a secret is on its way or a fleet is; else the window just closes."""
        question = None if self._anyway else self._closing_question()
        if question is not None:
            event.ignore()
            self.closing.ask(question)
            return
        self._settings.geometry = self.saveGeometry()
        self._settings.save()
        event.accept()
        self.closed.emit()

    def close_vault(self) -> None:
        """At the end of the program, once nothing is at work: the vault's keys are wiped."""
        if "vaults" in vars(self):
            self.vaults.close()

    @cached_property
    def closing(self) -> Closing:
        """Asks before the window closes."""
        from .closing import Closing  # noqa: PLC0415 - for this rare moment

        return Closing(self)

    def _closing_question(self) -> ClosingQuestion | None:
        from .closing import ClosingQuestion  # noqa: PLC0415 - as above

        if self.wizard is not None and self.wizard.handing_over:
            return ClosingQuestion(
                self.tr("The secret is being handed over"),
                self.tr(
                    "If you close Watchword now, it stays open whether the secret has arrived."
                ),
                self.tr("&Close anyway"),
                self._close_anyway,
            )
        if "images" in vars(self) and self.images.rekeying:
            return ClosingQuestion(
                self.tr("An image is being given another boot key"),
                self.tr(
                    "If you close Watchword now, it is left half done: the image opens with what"
                    " the vault has, and the same order goes on where it was."
                ),
                self.tr("&Close anyway"),
                self._close_anyway,
            )
        fleet = self._fleet
        if fleet is not None and fleet.run.running:
            return ClosingQuestion(
                self.tr("A fleet is being launched"),
                self.tr(
                    "If you close Watchword now, what is under way stops in order, and the rest is"
                    " not begun. Resume goes on with both another time."
                ),
                self.tr("&Stop and close"),
                lambda: fleet.stop_then(self.close),
            )
        return None

    @Slot()
    def _close_anyway(self) -> None:
        self._anyway = True
        self.close_wizard()
        self.close()
