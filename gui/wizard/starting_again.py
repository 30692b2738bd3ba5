# SPDX-License-Identifier: Apache-2.0
"""Begins a launch in place of one that is over; another approval is shown, and agreed to, first."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from watchword.core.errors import WatchwordError
from watchword.core.launch.orders import LaunchOrder
from watchword.core.launch.record import LaunchRecord

from ..asking import ask
from ..bridge import Bridge
from ..pages.page_dialog import PageDialog
from ..widgets.key_value_table import KeyValueTable, Row
from ..widgets.section import Section
from ..widgets.tones import Tone
from .again import Difference, NewProfile, new_profile, order_again
from .page import Line
from .remedies import Remedy


class ApprovalDialog(PageDialog):
    """Each point in which the new launch's profile differs, as it was and as it will be."""

    def __init__(
        self, guest: str, found: tuple[Difference, ...], parent: QWidget, *, alarm: bool = False
    ) -> None:
        super().__init__(
            self.tr("Approve something else?"),
            self.tr(
                "The refused launch stays refused. The profile {guest} is changed, for the new"
                " launch and all later ones."
            ).format(guest=guest),
            self.tr("&Approve it, and start a new launch"),
            parent,
        )
        if alarm:
            words = self.tr(
                "Other code runs in the VM then. Approve it only if it is what you meant to run:"
                " a host that replaces firmware would show you this very page."
            )
            self.body.addWidget(Line("bad", Tone.BAD, words, bold=True))
            self.agreeing.setProperty("primary", False)
            self.refusing.setDefault(True)
        self.refusing.setFocus(Qt.FocusReason.OtherFocusReason)
        for one in found:
            section = Section(self._title(one.key))
            rows = [Row(self.tr("Until now"), one.before), Row(self.tr("From now on"), one.after)]
            section.body.addWidget(KeyValueTable(rows))
            self.body.addWidget(section)

    def _title(self, key: str) -> str:
        titles = {
            "vcpus": self.tr("vCPUs"),
            "cpu": self.tr("CPU"),
            "vmsa": self.tr("VMSA pages"),
            "sev_features": self.tr("SEV features"),
            "cmdline": self.tr("Command line"),
            "firmware": self.tr("Firmware"),
            "host": self.tr("Host"),
            "policy": self.tr("Policy"),
        }
        return titles.get(key, key)


class StartingAgain(QWidget):
    """Without a window of its own; ``ready`` comes with the LaunchOrder of the new launch.

    ``failed``  with a WatchwordError: the profile can't be had, or can't be changed so
    """

    ready = Signal(object)
    failed = Signal(object)

    def __init__(self, bridge: Bridge, window: QWidget) -> None:
        super().__init__(window)
        self.hide()
        self._bridge = bridge
        self._window = window
        self._waiver = ""
        self.dialog: ApprovalDialog | None = None

    def begin(self, record: LaunchRecord, remedy: Remedy, *, platform_waiver: str = "") -> None:
        """Begin one like the launch of this record, but for the remedy or the waiver."""
        self._waiver = platform_waiver
        if remedy.instruction:
            QGuiApplication.clipboard().setText(remedy.instruction)

        def looked(found: object) -> None:
            self._show(record, remedy, cast("NewProfile", found))

        ask(
            self._bridge,
            self,
            lambda: new_profile(record, remedy.changes),
            looked,
            self.failed.emit,
        )

    def _show(self, record: LaunchRecord, remedy: Remedy, found: NewProfile) -> None:
        if not found.differences:
            self._order(record, found)
            return
        if self.dialog is not None:
            return
        dialog = self.dialog = ApprovalDialog(
            record.guest, found.differences, self._window, alarm=remedy.alarm
        )
        dialog.agreed.connect(lambda: self._keep(record, found))
        dialog.finished.connect(self._forget)
        dialog.open()

    def _keep(self, record: LaunchRecord, found: NewProfile) -> None:
        def kept(_profile: object) -> None:
            if self.dialog is not None:
                self.dialog.accept()
            self._order(record, found)

        ask(self._bridge, self, found.keep, kept, self._not_kept)

    def _order(self, record: LaunchRecord, found: NewProfile) -> None:
        try:
            order: LaunchOrder = order_again(record, found.profile)
        except WatchwordError as error:
            self.failed.emit(error)
            return
        self.ready.emit(replace(order, platform_waiver=self._waiver or None))

    def _not_kept(self, problem: object) -> None:
        if self.dialog is not None:
            self.dialog.show_error(cast("WatchwordError", problem))
        else:
            self.failed.emit(problem)

    @Slot()
    def _forget(self) -> None:
        self.dialog = None
