# SPDX-License-Identifier: Apache-2.0
"""What one chooses for a rehearsal with a real QEMU: disk, memory, patience, the host's ways."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from watchword.core.rehearsal.qemu_run import (
    DEFAULT_LIMIT,
    DEFAULT_MEMORY,
    LEAST_MEMORY,
    MOST_MEMORY,
    guest_behaviours,
)

from ..qemu_rehearsals import Rehearsed
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL, SMALL, WIDE
from ..widgets.path_field import PathField
from ..widgets.section import Section
from ..widgets.text_label import TextLabel

_LONGEST_SIGN = 200
_MOST_SECONDS = 24 * 3600


class QemuChoices(QWidget):
    """``againWanted``  comes when a person wants to choose anew, in place of what is shown."""

    againWanted = Signal()

    def __init__(self, guest: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._guest = guest
        self.disk = PathField(
            self.tr("The guest's &disk image; it is never written to"),
            purpose="disk-image",
            filters=(self.tr("Disk images (*.qcow2 *.img *.raw)"),),
        )
        self.format = QComboBox()
        for words, value in (
            (self.tr("as its first bytes say"), ""),
            (self.tr("raw"), "raw"),
            (self.tr("qcow2"), "qcow2"),
        ):
            self.format.addItem(words, value)
        self.memory = self._number(LEAST_MEMORY >> 20, MOST_MEMORY >> 20, DEFAULT_MEMORY >> 20)
        self.memory.setSingleStep(128)
        self.memory.setSuffix(self.tr(" MiB"))
        self.limit = self._number(1, _MOST_SECONDS, int(DEFAULT_LIMIT))
        self.limit.setSuffix(self.tr(" seconds"))
        self.sign = QLineEdit()
        self.sign.setMaxLength(_LONGEST_SIGN)
        self.hosts = QComboBox()
        self.hosts.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.hosts.setMinimumContentsLength(24)
        self._behaviours = guest_behaviours()
        for behaviour in self._behaviours:
            self.hosts.addItem(self._name(behaviour.attack), behaviour.attack)
        self._story = TextLabel(quiet=True)
        self.again = QPushButton(self.tr("C&hange something, and rehearse again"))
        self.again.setAutoDefault(True)
        self.again.clicked.connect(self.againWanted)
        self._fields = QWidget()
        self._lay_out()
        self._tell()
        self.hosts.currentIndexChanged.connect(self._tell)
        self.set_choosing(True)

    def _number(self, least: int, most: int, value: int) -> QSpinBox:
        box = QSpinBox()
        box.setRange(least, most)
        box.setValue(value)
        box.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        return box

    def _lay_out(self) -> None:
        guest = Section(self.tr("The guest {name}").format(name=self._guest))
        guest.body.addWidget(self.disk)
        guest.body.addLayout(self._machine())
        signs = Foldable(self.tr("Another sign on its console…"))
        words = TextLabel(
            self.tr(
                "What its &console says once the disk is open, in place of the usual signs; choose"
                " a text that stands on the encrypted disk and nowhere else"
            )
        )
        words.setBuddy(self.sign)
        self.sign.setAccessibleName(self.tr("Text on the console that shows an opened disk"))
        signs.body.addWidget(words)
        signs.body.addWidget(self.sign)
        guest.body.addWidget(signs)
        host = Section(self.tr("The host"))
        self.hosts.setAccessibleName(self.tr("Behaviour of the host"))
        host.body.addWidget(
            TextLabel(self.tr("In this rehearsal you decide whether the host is honest."))
        )
        host.body.addWidget(self.hosts, 0, Qt.AlignmentFlag.AlignLeft)
        host.body.addWidget(self._story)
        inner = QVBoxLayout(self._fields)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(NORMAL)
        inner.addWidget(guest)
        inner.addWidget(host)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        column.addWidget(self._fields)
        column.addWidget(self.again, 0, Qt.AlignmentFlag.AlignLeft)

    def _machine(self) -> QFormLayout:
        form = QFormLayout()
        form.setHorizontalSpacing(WIDE)
        form.setVerticalSpacing(SMALL)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for words, field in (
            (self.tr("&Format"), self.format),
            (self.tr("&Memory"), self.memory),
            (self.tr("&Time until a verdict"), self.limit),
        ):
            label = TextLabel(words)
            label.setBuddy(field)
            label.setWordWrap(False)
            field.setAccessibleName(words.replace("&", ""))
            form.addRow(label, field)
        return form

    # -- what is chosen --------------------------------------------------------------

    @property
    def attack(self) -> str | None:
        """How the host lies; None for the honest one."""
        data = self.hosts.currentData()
        return None if data is None else str(data)

    @property
    def story(self) -> str:
        """What the chosen host does, in a sentence."""
        return {one.attack: one.description for one in self._behaviours}[self.attack]

    def choose_host(self, attack: str | None) -> None:
        """As if a person chose this one."""
        self.hosts.setCurrentIndex(max(0, self.hosts.findData(attack)))

    def wanted(self) -> Rehearsed:
        """All of it, as it stands."""
        return Rehearsed(
            guest=self._guest,
            disk=self.disk.path,
            disk_format=str(self.format.currentData()),
            memory=self.memory.value(),
            limit=self.limit.value(),
            attack=self.attack,
            unlocked_when=self.sign.text(),
        )

    def set_choosing(self, choosing: bool) -> None:
        """Whether anything can be chosen; a rehearsal keeps what it began with."""
        self._fields.setEnabled(choosing)
        self.again.setVisible(not choosing)

    def set_idle(self, idle: bool) -> None:
        """Whether nothing is at work, so that one may choose anew."""
        self.again.setEnabled(idle)

    def _tell(self) -> None:
        self._story.say(self.story)
        self.hosts.setAccessibleDescription(self.story)

    def _name(self, attack: str | None) -> str:
        if attack is None:
            return self.tr("Honest")
        return self.tr("Attack: {name}").format(name=attack.replace("-", " "))
