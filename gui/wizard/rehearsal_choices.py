# SPDX-License-Identifier: Apache-2.0
"""What one may choose in *Try it now*: the guest's vCPUs, and how the simulated host behaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from watchword.core.rehearsal.guest import RehearsedGuest
from watchword.core.rehearsal.stepwise import HostBehaviour, host_behaviours
from watchword.core.sev.cpu_models import parse_cpu
from watchword.core.sev.digest import VcpuSetup
from watchword.core.sev.vmsa import VmsaGeneration

from ..widgets.fonts import NORMAL, SMALL, WIDE
from ..widgets.section import Section
from ..widgets.text_label import TextLabel

_CPU = "EPYC-Milan"
_MOST_VCPUS = 64


class RehearsalChoices(QWidget):
    """``hostChosen`` and ``guestChanged`` come when a person has changed something."""

    hostChosen = Signal()
    guestChanged = Signal()
    paceChanged = Signal(bool)

    def __init__(self, attack: str | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.hosts = QComboBox()
        self.hosts.setAccessibleName(self.tr("Behaviour of the host"))
        self.hosts.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.hosts.setMinimumContentsLength(24)
        for behaviour in host_behaviours():
            self.hosts.addItem(self._name(behaviour), behaviour.attack)
        self.hosts.setCurrentIndex(max(0, self.hosts.findData(attack)))
        self._story = TextLabel(quiet=True)
        self.vcpus = QSpinBox()
        self.vcpus.setRange(1, _MOST_VCPUS)
        self.vcpus.setValue(2)
        self.vcpus.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.vcpus.setAccessibleName(self.tr("Number of vCPUs"))
        self._setup = VcpuSetup(self.vcpus.value(), parse_cpu(_CPU))
        self._processor = TextLabel(self._processor_words(_CPU))
        self.slow = QCheckBox(self.tr("Stop after each &step"))
        self._lay_out()
        self._tell()
        self.hosts.activated.connect(self._choose_host)
        self.vcpus.valueChanged.connect(self.guestChanged)
        self.slow.toggled.connect(self.paceChanged)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        column.addWidget(self._guest_section())
        host = Section(self.tr("The host"))
        host.body.addWidget(
            TextLabel(self.tr("In this rehearsal you decide whether the host is honest."))
        )
        host.body.addWidget(self.hosts, 0, Qt.AlignmentFlag.AlignLeft)
        host.body.addWidget(self._story)
        column.addWidget(host)
        column.addWidget(self.slow)

    def _guest_section(self) -> Section:
        section = Section(self.tr("The guest"))
        form = QFormLayout()
        form.setHorizontalSpacing(WIDE)
        form.setVerticalSpacing(SMALL)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        rows: tuple[tuple[str, QWidget], ...] = (
            (self.tr("Firmware"), TextLabel(self.tr("a small simulated image"))),
            (self.tr("Processor"), self._processor),
            (self.tr("vCPUs"), self.vcpus),
            (
                self.tr("Secret"),
                TextLabel(self.tr("a disk passphrase, made up for this rehearsal")),
            ),
        )
        for name, field in rows:
            form.addRow(TextLabel(name, quiet=True), field)
        section.body.addLayout(form)
        return section

    # -- what is chosen ------------------------------------------------------------------

    @property
    def attack(self) -> str | None:
        """How the host lies; None for the honest one."""
        data = self.hosts.currentData()
        return None if data is None else str(data)

    def choose_host(self, attack: str | None) -> None:
        """As if a person chose this one; nothing if it is not in the list."""
        index = self.hosts.findData(attack)
        if index >= 0:
            self.hosts.setCurrentIndex(index)
            self._choose_host()

    def guest(self) -> RehearsedGuest:
        """The guest that is approved."""
        return RehearsedGuest(vcpus=replace(self._setup, count=self.vcpus.value()))

    def approve(self, changes: Mapping[str, object]) -> bool:
        """Choose these values of a profile's fields, as if a person did; False if it can't be.

        Nothing is told: whoever calls begins another rehearsal.
        """
        if not changes.keys() <= {"vcpus", "cpu", "vmsa", "sev_features"}:
            return False
        with QSignalBlocker(self.vcpus):
            if isinstance(count := changes.get("vcpus"), int):
                self.vcpus.setValue(count)
        if "cpu" in changes:
            name = str(changes["cpu"])
            self._setup = replace(self._setup, cpu=parse_cpu(name))
            self._processor.say(self._processor_words(name))
        if "vmsa" in changes:
            generation = VmsaGeneration(str(changes["vmsa"]))
            self._setup = replace(self._setup, generation=generation)
        if isinstance(features := changes.get("sev_features"), int):
            self._setup = replace(self._setup, sev_features=features)
        return True

    def _processor_words(self, cpu: str) -> str:
        return self.tr("{cpu}, with SEV-ES").format(cpu=cpu)

    def _choose_host(self) -> None:
        self._tell()
        self.hostChosen.emit()

    @property
    def story(self) -> str:
        """What the chosen host does, in a sentence."""
        return {one.attack: one.description for one in host_behaviours()}[self.attack]

    def _tell(self) -> None:
        self._story.say(self.story)
        self.hosts.setAccessibleDescription(self.story)

    def _name(self, behaviour: HostBehaviour) -> str:
        if behaviour.attack is None:
            return self.tr("Honest")
        return self.tr("Attack: {name}").format(name=behaviour.attack.replace("-", " "))
