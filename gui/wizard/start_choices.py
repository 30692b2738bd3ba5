# SPDX-License-Identifier: Apache-2.0
"""What a VM has on its host, where the profile doesn't say it: fields for each form of a start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, cast

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from watchword.core.errors import UsageError
from watchword.core.guest.profile import ApprovedFile, GuestProfile
from watchword.core.handover.requirements import Form
from watchword.core.hosts.urls import UnixAddress, parse_host_url
from watchword.core.launch.handing_over import Placement

from ..handed_over import StartWanted
from ..widgets.fonts import SMALL, WIDE
from ..widgets.path_field import PathField

_OWN: Final = ("firmware", "kernel", "initrd")
_COMMON: Final = ("memory", "vcpus", "cpu")
_MACHINE: Final = (*_OWN, "cmdline", "disk", "format", *_COMMON)
ROWS: Final[Mapping[Form, tuple[str, ...]]] = MappingProxyType(
    {
        Form.QEMU: (*_MACHINE, "monitor", "cbitpos", "reduced"),
        Form.LIBVIRT: _MACHINE,
        Form.KUBEVIRT: (*_COMMON, "claim", "node"),
    }
)
"""Which fields count for which form."""
_MEMORY: Final = 2048
_MONITOR: Final = "qmp.sock"
_MOST_MEMORY: Final = 16 << 20
_MOST_VCPUS: Final = 4096
_MOST_BITS: Final = 63


class StartChoices(QWidget):
    """``changed`` comes with each change of anything."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.form = QComboBox()
        self.form.setAccessibleName(self.tr("Who starts the VM"))
        for one, words in (
            (Form.QEMU, self.tr("QEMU, by a shell script")),
            (Form.LIBVIRT, self.tr("libvirt, by a domain's XML")),
            (Form.KUBEVIRT, self.tr("KubeVirt, by a manifest")),
        ):
            self.form.addItem(words, one)
        self.merge = PathField(
            self.tr("XML of a domain that there is already; without one it is a new domain"),
            purpose="domain-xml",
            filters=(self.tr("XML (*.xml)"),),
        )
        self.fields: dict[str, QLineEdit | QSpinBox | QComboBox] = {}
        self._rows = QFormLayout()
        self._rows.setHorizontalSpacing(WIDE)
        self._rows.setVerticalSpacing(SMALL)
        self._rows.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self._add_fields()
        self._there: set[str] = set(self.fields)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        column.addWidget(self.form)
        column.addWidget(self.merge)
        column.addLayout(self._rows)
        self.form.currentIndexChanged.connect(self._show_rows)
        self.merge.pathChanged.connect(self.changed)
        self._show_rows()

    def _add_fields(self) -> None:
        for name, words in (
            ("firmware", self.tr("Firmware on the host")),
            ("kernel", self.tr("Kernel on the host")),
            ("initrd", self.tr("Initrd on the host")),
        ):
            self._add(name, words, QLineEdit())
        self._add("cmdline", self.tr("Command line"), _narrow())
        self._add("disk", self.tr("Encrypted disk on the host"), QLineEdit(), "/srv/vm1.qcow2")
        formats = QComboBox()
        formats.addItems(["qcow2", "raw"])
        self._add("format", self.tr("Format of the disk"), formats)
        memory = _number(1, _MOST_MEMORY, _MEMORY)
        memory.setSuffix(self.tr(" MiB"))
        self._add("memory", self.tr("Memory"), memory)
        self._add("vcpus", self.tr("vCPUs"), _number(1, _MOST_VCPUS, 1))
        self._add("cpu", self.tr("CPU model"), _narrow())
        self._add("monitor", self.tr("QMP socket on the host"), QLineEdit(), _MONITOR)
        self._add("cbitpos", self.tr("C-bit's position"), self._unless_told(_MOST_BITS))
        self._add("reduced", self.tr("Reduced physical bits"), self._unless_told(_MOST_BITS))
        self._add("claim", self.tr("Volume claim with the disk"), QLineEdit(), "vm1-disk")
        self._add("node", self.tr("Node that was verified"), QLineEdit(), "node1")

    def _add(
        self, name: str, words: str, field: QLineEdit | QSpinBox | QComboBox, example: str = ""
    ) -> None:
        field.setAccessibleName(words)
        label = QLabel(words)
        label.setMinimumHeight(field.sizeHint().height())  # its words stand beside the field's
        label.setBuddy(field)
        self._rows.addRow(label, field)
        self.fields[name] = field
        if isinstance(field, QLineEdit):
            field.setPlaceholderText(example)
            field.textChanged.connect(self.changed)
        elif isinstance(field, QSpinBox):
            field.valueChanged.connect(self.changed)
        else:
            field.currentIndexChanged.connect(self.changed)

    def _unless_told(self, most: int) -> QSpinBox:
        box = _number(0, most, 0)
        box.setSpecialValueText(self.tr("not told"))
        return box

    # -- what is chosen ------------------------------------------------------------------

    def show_profile(self, profile: GuestProfile, host: str = "") -> None:
        """What a profile allows, of several values the first one; ``host`` is the launch's URL."""
        for name, files in zip(
            _OWN, (profile.firmware, profile.kernel, profile.initrd), strict=True
        ):
            field = cast("QLineEdit", self.fields[name])
            field.clear()
            field.setPlaceholderText(_path(files))
        lines = [line.text for line in profile.cmdline if line.text is not None]
        self._offer("cmdline", lines if profile.kernel else [])
        self._offer("cpu", [cpu.name for cpu in profile.cpu])
        allowed = tuple(profile.vcpus)
        cast("QSpinBox", self.fields["vcpus"]).setValue(allowed[0] if allowed else 1)
        cast("QLineEdit", self.fields["monitor"]).setPlaceholderText(_socket(host))
        present = {
            "kernel": bool(profile.kernel),
            "initrd": bool(profile.initrd),
            "cmdline": bool(profile.kernel) and len(lines) > 1,
            "cpu": bool(profile.cpu),
        }
        self._there = {name for name in self.fields if present.get(name, True)}
        self._show_rows()

    def wanted(self) -> StartWanted:
        """All of it, as it stands; what the form has no use for is left out."""
        form = self._form
        said = {name: self._said(name) for name in self.fields if self._counts(name)}
        return StartWanted(
            form=form,
            placement=Placement(
                firmware=_text(said, "firmware"),
                kernel=_text(said, "kernel"),
                initrd=_text(said, "initrd"),
                cmdline=_text(said, "cmdline"),
                vcpus=_whole(said, "vcpus"),
                cpu=_text(said, "cpu"),
                memory=_whole(said, "memory") or _MEMORY,
                disk=_text(said, "disk"),
                disk_format=_text(said, "format") or "qcow2",
                monitor=_text(said, "monitor"),
                cbitpos=_whole(said, "cbitpos"),
                reduced_phys_bits=_whole(said, "reduced"),
            ),
            merge=self.merge.path if form is Form.LIBVIRT else "",
            claim=_text(said, "claim") or "",
            node=_text(said, "node") or "",
        )

    @property
    def _form(self) -> Form:
        return Form(self.form.currentData())

    def _counts(self, name: str) -> bool:
        return name in ROWS[self._form] and name in self._there

    def _said(self, name: str) -> str | int:
        field = self.fields[name]
        if isinstance(field, QSpinBox):
            return field.value()
        return (field.currentText() if isinstance(field, QComboBox) else field.text()).strip()

    def _show_rows(self) -> None:
        for name, field in self.fields.items():
            self._rows.setRowVisible(field, self._counts(name))
        self.merge.setVisible(self._form is Form.LIBVIRT)
        self.changed.emit()

    def _offer(self, name: str, texts: Sequence[str]) -> None:
        box = cast("QComboBox", self.fields[name])
        box.clear()
        box.addItems(list(texts))


def _socket(host: str) -> str:
    """Where the VM's monitor is looked for, as far as the URL says it."""
    try:
        address = parse_host_url(host)
    except UsageError:
        return _MONITOR
    return address.path if isinstance(address, UnixAddress) else _MONITOR


def _path(files: Sequence[ApprovedFile]) -> str:
    return next((file.path for file in files if file.path is not None), "")


def _text(said: Mapping[str, str | int], name: str) -> str | None:
    return str(said.get(name, "")) or None


def _whole(said: Mapping[str, str | int], name: str) -> int | None:
    value = said.get(name, 0)
    return int(value) or None


def _number(least: int, most: int, value: int) -> QSpinBox:
    box = QSpinBox()
    box.setRange(least, most)
    box.setValue(value)
    return box


def _narrow() -> QComboBox:
    box = QComboBox()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(16)
    return box
