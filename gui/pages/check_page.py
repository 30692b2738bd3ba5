# SPDX-License-Identifier: Apache-2.0
"""The page *Check a platform*: its chain with a verdict for every link, and no launch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import cast

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QCheckBox, QPushButton, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.hosts.locality import LOCAL_WARNING

from ..asking import Then, ask_async
from ..bridge import Bridge, Job
from ..launch_service import LaunchService
from ..platform_check import Checked, ToCheck, check_platform
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.chain_tree import ChainTree
from ..widgets.drop_area import DropArea
from ..widgets.page_frame import PageFrame
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from ..wizard.connection_panel import ConnectionPanel
from ..wizard.connection_tester import ConnectionTester
from ..wizard.host_url_field import HostUrlField
from ..wizard.wanted import Wanted


class CheckPage(PageFrame):
    """``left`` comes when the owner has seen enough.

    ``profileWanted``  with the HostDraft of a VM that a profile is to be made of
    """

    left = Signal()
    profileWanted = Signal(object)

    def __init__(
        self, bridge: Bridge, service: LaunchService, parent: QWidget | None = None
    ) -> None:
        title = self.tr("Check a platform")
        super().__init__(
            title,
            self.tr("Is this server's processor genuine? Its certificates tell. Nothing is sent."),
            parent,
        )
        self.title, self.icon = title, "platform"
        self._bridge = bridge
        self._service = service
        self._job: Job | None = None
        self.url = HostUrlField(self.tr("URL of the host"))
        self.host = self.url.edit
        self.host.setPlaceholderText("qmp+unix:///run/vm1.sock")
        self.host.returnPressed.connect(self.check)
        self.connection = ConnectionPanel(self.tr("Make a &profile of this VM…"))
        self.tester = ConnectionTester(
            bridge,
            lambda: self._service,
            self.url,
            self.connection,
            wanted=self._wanted,
            owner=self,
        )
        self.files = DropArea(
            self.tr("Drop the platform's certificate files here"), purpose="certificates"
        )
        self.ask_amd = QCheckBox(
            self.tr("Ask AMD's &key service for the CEK where it is missing; it learns the chip id")
        )
        self.checking = QPushButton(self.tr("&Check"))
        self.checking.setProperty("primary", True)
        self.checking.setAutoDefault(True)
        self.checking.clicked.connect(self.check)
        self.leaving = QPushButton(self.tr("&Back"))
        self.leaving.clicked.connect(self.left)
        self.line = BusyLine()
        self.line.cancelled.connect(self._cancel)
        self.banner = Banner()
        self.tree = ChainTree()
        self.tester.drafted.connect(self.profileWanted)
        for changed in (self.host.textChanged, self.files.changed):
            changed.connect(self._forget)
        self._lay_out()

    def _lay_out(self) -> None:
        given = Section()
        label = TextLabel(self.tr("The host's &URL"))
        label.setBuddy(self.host)
        given.body.addWidget(label)
        given.body.addWidget(self.url)
        given.body.addWidget(self.connection)
        given.body.addWidget(
            TextLabel(self.tr("And any certificate files that you have:"), quiet=True)
        )
        given.body.addWidget(self.files)
        given.body.addWidget(self.ask_amd)
        given.body.addWidget(self.checking, 0, Qt.AlignmentFlag.AlignLeft)
        self.result = Section(self.tr("The certificates, from the root down"))
        self.result.body.addWidget(self.tree)
        self.result.hide()
        for widget in (given, self.line, self.banner, self.result):
            self.content.addWidget(widget)
        self.content.addWidget(self.leaving, 0, Qt.AlignmentFlag.AlignLeft)

    def widget(self) -> QWidget:
        """Itself."""
        return self

    def refresh(self) -> None:
        """Nothing here changes by itself."""

    def _wanted(self) -> Wanted:
        given = self.files.given
        return Wanted(
            guest="",
            host=self.url.url,
            paths=tuple(one.path for one in given if one.path),
            pasted=tuple(one.text for one in given if not one.path),
            ask_amd=self.ask_amd.isChecked(),
        )

    @Slot()
    def _forget(self) -> None:
        """A verdict is about what was given then."""
        self._cancel()
        self.banner.clear()
        self.result.hide()

    @Slot()
    def check(self) -> None:
        """Gather the certificates, and judge them."""
        if self._job is not None or not self.url.judge():
            return
        self.tester.cancel()
        wanted = self._wanted()
        what = ToCheck(
            host=wanted.host,
            paths=wanted.paths,
            pasted=wanted.pasted,
            ask_amd=wanted.ask_amd,
        )
        self.banner.clear()
        self.result.hide()
        self.line.begin(self.tr("Gathering the certificates, and checking every signature…"))
        self.checking.setEnabled(False)
        work = partial(check_platform, self._service, what)
        show, fail = (
            partial(self._hear, wanted, self._show),
            partial(self._hear, wanted, self._fail),
        )
        self._job = ask_async(self._bridge, self, work, show, fail)
        self._job.finished.connect(self._end)

    @Slot()
    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()

    @Slot()
    def _end(self) -> None:
        self._job = None
        self.line.end()
        self.checking.setEnabled(True)

    def _hear(self, asked: Wanted, then: Then, answer: object) -> None:
        """An answer counts while what was asked about is still what stands here."""
        if replace(self._wanted(), ask_amd=asked.ask_amd) == asked:
            then(answer)

    def _fail(self, error: object) -> None:
        self.banner.show_error(cast("WatchwordError", error))

    def _show(self, found: object) -> None:
        checked = cast("Checked", found)
        self.tree.show_report(checked.report)
        self.result.show()
        if checked.refusal is not None:
            self.banner.show_error(checked.refusal)
            return
        words = self.tr(
            "Every certificate is signed by the one above it, up to AMD's own root. Whose"
            " machine it is in, the chain does not say: compare the fingerprint."
        )
        title = self.tr("This is a genuine AMD processor")
        if checked.local:
            self.banner.show_message(Tone.WARN, title, f"{words}\n{LOCAL_WARNING}")
        else:
            self.banner.show_message(Tone.OK, title, words)
