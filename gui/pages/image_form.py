# SPDX-License-Identifier: Apache-2.0
"""The form for an encrypted image: where its root comes from, what it is to be, for which guest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from watchword.core.sev.cpu_models import QEMU_MODELS

from ..image_service import ImageForm
from ..widgets.fonts import NORMAL, SMALL
from ..widgets.path_field import PathField, PathKind
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from .guests_fields import Field

_LONGEST: Final = 200


class ImageFormView(QWidget):
    """``buildWanted`` comes with a form in which nothing is wrong that can be told here.

    ``unsound``  comes with the first field that has a problem, so that it can be seen
    """

    buildWanted = Signal(object)
    leaveWanted = Signal()
    unsound = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._told = False
        self.kind = self._combo(
            (self.tr("a tar archive, or a disk image"), ""), (self.tr("a folder"), "folder")
        )
        self.file = PathField(self.tr("The &archive or image"), purpose="image-root")
        self.folder = PathField(
            self.tr("The &folder"), PathKind.FOLDER, purpose="image-root-folder"
        )
        self.output = PathField(self.tr("The &new image"), PathKind.SAVE, purpose="disk-image")
        self.format = self._combo(("raw", "raw"), ("qcow2", "qcow2"))
        self.room = self._line()
        self.route = self._combo(
            (self.tr("GRUB, inside the firmware"), "grub"),
            (self.tr("The kernel, which is measured too"), "kernel"),
        )
        self.luks = TextLabel(quiet=True, size=0.95)
        self.name = self._line()
        self.firmware = PathField(
            self.tr("F&irmware (optional): with it a guest profile is made"),
            purpose="firmware",
            filters=(self.tr("Firmware (*.fd *.bin)"),),
        )
        self.vcpus = self._line()
        self.cpu = QComboBox()
        self.cpu.setEditable(True)
        self.cpu.addItems(sorted(QEMU_MODELS))
        self.cpu.setEditText("")
        self.fields: dict[str, Field] = {}
        self.building = QPushButton(self.tr("&Build it"))
        self.building.setProperty("primary", True)
        self.leaving = QPushButton(self.tr("Bac&k"))
        self._lay_out()
        self._connect()
        self._follow()

    def _line(self) -> QLineEdit:
        edit = QLineEdit()
        edit.setMaxLength(_LONGEST)
        return edit

    def _combo(self, *choices: tuple[str, str]) -> QComboBox:
        combo = QComboBox()
        for words, value in choices:
            combo.addItem(words, value)
        return combo

    # -- layout ------------------------------------------------------------------------

    def _field(
        self, key: str, label: str, widget: QWidget, hint: str = "", term: str = ""
    ) -> Field:
        self.fields[key] = Field(label, widget, hint=hint, term=term)
        return self.fields[key]

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        for section in (self._root_section(), self._disk_section(), self._guest_section()):
            section.body.setSpacing(NORMAL)
            column.addWidget(section)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        for button in (self.building, self.leaving):
            button.setAutoDefault(True)
            row.addWidget(button)
        row.addStretch(1)
        column.addLayout(row)

    def _root_section(self) -> Section:
        section = Section(
            self.tr("What is in it"),
            self.tr(
                "The root file system of a Linux with an initial RAM disk that has cryptsetup in"
                " it. Nothing of it is run, and it is only read."
            ),
        )
        section.body.addWidget(self._field("kind", self.tr("It comes &from"), self.kind))
        section.body.addWidget(self.file)
        section.body.addWidget(self.folder)
        return section

    def _disk_section(self) -> Section:
        section = Section(self.tr("The encrypted disk"))
        section.body.addWidget(self.output)
        section.body.addLayout(
            self._beside(
                self._field("format", self.tr("&Format"), self.format),
                self._field(
                    "size",
                    self.tr("&Size (optional)"),
                    self.room,
                    self.tr("Such as 4G; without one it is as large as it has to be."),
                ),
            )
        )
        section.body.addWidget(self._field("route", self.tr("Who &opens it"), self.route))
        section.body.addWidget(self.luks)
        return section

    def _guest_section(self) -> Section:
        section = Section(self.tr("The guest"))
        section.body.addWidget(
            self._field(
                "name",
                self.tr("&Name of the guest"),
                self.name,
                self.tr("Such as web1; the keys go into the vault as web1/disk and web1/recovery."),
                "profile",
            )
        )
        section.body.addWidget(self.firmware)
        self.processors = QWidget()
        beside = self._beside(
            self._field("vcpus", self.tr("&vCPUs"), self.vcpus, self.tr("Such as 4 or 1-8.")),
            self._field("cpu", self.tr("C&PU"), self.cpu, self.tr("As QEMU calls it.")),
        )
        beside.setContentsMargins(0, 0, 0, 0)
        self.processors.setLayout(beside)
        section.body.addWidget(self.processors)
        return section

    def _beside(self, *fields: Field) -> QBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(NORMAL)
        for field in fields:
            row.addWidget(field, 1, Qt.AlignmentFlag.AlignTop)
        return row

    def _connect(self) -> None:
        for edit in (self.room, self.name, self.vcpus):
            edit.textChanged.connect(self._edited)
        for field in (self.file, self.folder, self.output, self.firmware):
            field.pathChanged.connect(self._edited)
        for combo in (self.kind, self.format, self.route):
            combo.currentIndexChanged.connect(self._edited)
        self.cpu.editTextChanged.connect(self._edited)
        self.building.clicked.connect(self._build)
        self.leaving.clicked.connect(self.leaveWanted)

    # -- what is filled in -------------------------------------------------------------

    def form(self) -> ImageForm:
        """All of it, as it stands."""
        root = self.folder if self.kind.currentData() else self.file
        firmware = self.firmware.path
        return ImageForm(
            root=root.path,
            output=self.output.path,
            format=str(self.format.currentData()),
            size=self.room.text().strip(),
            route=str(self.route.currentData()),
            name=self.name.text().strip(),
            firmware=firmware,
            vcpus=self.vcpus.text().strip() if firmware else "",
            cpu=self.cpu.currentText().strip() if firmware else "",
        )

    def _edited(self) -> None:
        self._follow()
        if self._told:
            self._tell(self.form().problems())

    def _follow(self) -> None:
        """What is chosen shows what belongs to it."""
        from_folder = bool(self.kind.currentData())
        self.file.setVisible(not from_folder)
        self.folder.setVisible(from_folder)
        self.processors.setVisible(bool(self.firmware.path))
        if self.route.currentData() == "grub":
            words = self.tr("LUKS1, since GRUB opens nothing newer everywhere. It never asks.")
        else:
            words = self.tr(
                "LUKS2. Kernel and initial RAM disk come to lie beside the image. The kernel must"
                " have efi_secret, which Debian 12's has not."
            )
        self.luks.say(words)

    def _tell(self, problems: Mapping[str, str]) -> None:
        for field in (self.file, self.folder):
            field.set_problem(problems.get("root", ""))
        self.output.set_problem(problems.get("output", ""))
        for key, one in self.fields.items():
            one.set_problem(problems.get(key, ""))

    def _build(self) -> None:
        self._told = True
        form = self.form()
        problems = form.problems()
        self._tell(problems)
        if not problems:
            self.buildWanted.emit(form)
            return
        root = self.folder if self.kind.currentData() else self.file
        places: dict[str, QWidget] = {"root": root, "output": self.output, **self.fields}
        self.unsound.emit(next(places[key] for key in places if key in problems))
