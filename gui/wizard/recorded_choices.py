# SPDX-License-Identifier: Apache-2.0
"""What the owner chooses for a launch: guest, host, certificates, and what he waives."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from ..guest_glance import GuestGlance
from ..widgets.drop_area import DropArea
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL
from ..widgets.key_value_table import KeyValueTable, Row
from ..widgets.path_field import PathField
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from .connection_panel import ConnectionPanel
from .host_url_field import HostUrlField
from .wanted import Wanted


class RecordedChoices(QWidget):
    """``guestChosen`` comes with the name of a profile that a person chose."""

    guestChosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.guests = QComboBox()
        self.guests.setAccessibleName(self.tr("Guest"))
        self.guests.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.guests.setMinimumContentsLength(24)
        self.guests.currentTextChanged.connect(self.guestChosen)
        self.none = TextLabel(
            self.tr("There is none yet: make one on the page Guests."), quiet=True
        )
        self.none.hide()
        self.facts = KeyValueTable()
        self.url = HostUrlField(self.tr("URL of the host"))
        self.host = self.url.edit
        self.connection = ConnectionPanel(self.tr("Make a &profile of this VM…"))
        self.files = DropArea(
            self.tr("Drop certificate files here: AMD's signed CEK, or the host's whole chain"),
            purpose="certificates",
        )
        self.files_alone = QCheckBox(self.tr("These files are all: &don't ask the host for any"))
        self.ask_amd = QCheckBox(
            self.tr("Ask AMD's &key service for the CEK where it is missing; it learns the chip id")
        )
        self.root = PathField(
            self.tr("A &root that is not AMD's; only test secrets go there"), purpose="certificates"
        )
        self.policy_waiver = QLineEdit()
        self.policy_waiver.setAccessibleName(self.tr("Reason for launching with a weak policy"))
        self.firmware_waiver = QLineEdit()
        self.firmware_waiver.setAccessibleName(
            self.tr("Reason for launching with firmware that is a NO-GO")
        )
        self._lay_out()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        guest = Section(self.tr("The guest"))
        guest.body.addWidget(self.guests, 0, Qt.AlignmentFlag.AlignLeft)
        guest.body.addWidget(self.none)
        guest.body.addWidget(self.facts)
        host = Section(self.tr("The host"))
        host.body.addWidget(_label(self.tr("&URL"), self.host))
        host.body.addWidget(self.url)
        host.body.addWidget(self.files)
        host.body.addWidget(self.files_alone)
        host.body.addWidget(self.ask_amd)
        host.body.addWidget(self.connection)
        exceptions = Foldable(self.tr("Exceptions…"))
        exceptions.body.addWidget(self.root)
        words = self.tr("Your reason for launching with a &weak policy, if it is one")
        exceptions.body.addWidget(_label(words, self.policy_waiver))
        exceptions.body.addWidget(self.policy_waiver)
        words = self.tr("Your reason for launching with &firmware that is a NO-GO, if it is one")
        exceptions.body.addWidget(_label(words, self.firmware_waiver))
        exceptions.body.addWidget(self.firmware_waiver)
        for widget in (guest, host, exceptions):
            column.addWidget(widget)

    # -- what is chosen ------------------------------------------------------------

    def show_guests(self, names: Sequence[str], chosen: str = "") -> None:
        """Offer these profiles; the one that is named is chosen."""
        wanted = chosen or self.guests.currentText()
        self.guests.blockSignals(True)
        self.guests.clear()
        self.guests.addItems(list(names))
        self.guests.setCurrentIndex(max(0, self.guests.findText(wanted)))
        self.guests.blockSignals(False)
        self.guests.setEnabled(bool(names))
        self.none.setVisible(not names)
        self.guestChosen.emit(self.guests.currentText())

    def show_glance(self, glance: GuestGlance) -> None:
        """What is known of the chosen profile."""
        rows = [Row(self.tr("What runs"), glance.contents, term="profile")]
        rows += [
            Row(
                self.tr("Secret"),
                self.tr("{name}, from the vault's entry {entry}").format(name=name, entry=entry),
                term="secret",
            )
            for name, entry in glance.secrets
        ]
        if glance.secrets:
            rows.append(Row(self.tr("Room for secrets"), self._room(glance), term="secret-area"))
        self.facts.set_rows(rows)
        self.host.setPlaceholderText(glance.host or "qmp+unix:///run/vm1.sock")

    def _room(self, glance: GuestGlance) -> str:
        if glance.problem:
            return glance.problem
        if glance.size is None:
            return self.tr("not known before the vault is open")
        if glance.area is None:
            return self.tr("{n} bytes; how many the firmware holds is not known").format(
                n=glance.size
            )
        words = self.tr("{n} of the {most} bytes that the firmware holds")
        return words.format(n=glance.size, most=glance.area)

    def wanted(self) -> Wanted:
        """All of it, as it stands."""
        given = self.files.given
        return Wanted(
            guest=self.guests.currentText(),
            host=self.url.url,
            paths=tuple(one.path for one in given if one.path),
            pasted=tuple(one.text for one in given if not one.path),
            ask_host=not self.files_alone.isChecked(),
            ask_amd=self.ask_amd.isChecked(),
            trusted_root=self.root.path,
            policy_waiver=self.policy_waiver.text().strip(),
            firmware_waiver=self.firmware_waiver.text().strip(),
        )

    def forget_waivers(self) -> None:
        """A waiver is for the one launch that it was typed for."""
        self.policy_waiver.clear()
        self.firmware_waiver.clear()

    def set_choosing(self, choosing: bool) -> None:
        """Whether anything can be chosen; a launch that is recorded keeps what it began with."""
        self.setVisible(choosing)


def _label(text: str, buddy: QWidget) -> QLabel:
    label = TextLabel(text)
    label.setBuddy(buddy)
    label.setAccessibleName(text.replace("&", ""))
    return label
