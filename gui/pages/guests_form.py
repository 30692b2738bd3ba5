# SPDX-License-Identifier: Apache-2.0
"""The form for a guest profile: every value with its explanation, every problem at its field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from watchword.core.guest.fields import NAME
from watchword.core.guest.profile import GuestProfile
from watchword.core.guest.rules import FILES
from watchword.core.sev.cpu_models import QEMU_MODELS
from watchword.core.sev.policy import DEFAULT_POLICY, Policy

from ..host_look import HostDraft
from ..widgets.banner import Banner
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL, SMALL
from ..widgets.policy_editor import PolicyEditor
from ..widgets.section import Section
from ..widgets.tones import Tone
from .guests_document import (
    Document,
    chips,
    cmdlines,
    lines_of,
    owner_ca,
    problems_of,
    without_empty,
)
from .guests_fields import Field, FileList, SecretRows
from .guests_host import GuestHost

_EXPERT: Final = ("minimum_api", "minimum_build", "oca", "ceks", "route", "vmsa", "sev_features")
_BOOT: Final = ("kernel", "initrd", "cmdline")
_LINES_SHOWN: Final = 3


class GuestForm(QWidget):
    """``saveWanted`` comes with a document in which nothing is wrong that can be told here.

    ``unsound`` comes with the first field that has a problem, so that it can be seen.
    """

    saveWanted = Signal(object)
    cancelWanted = Signal()
    installedWanted = Signal()
    unsound = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._before: Document = {}
        self._touched: set[str] = set()
        self._all_told = False
        self.fields: dict[str, Field] = {}
        self.files = {component: self._file_list(component) for component in FILES}
        self.host = GuestHost()
        self.policy = PolicyEditor()
        self.secrets = SecretRows()
        self.cmdline, self.ceks = self._lines(), self._lines()
        self.cpu = self._combo(sorted(QEMU_MODELS), editable=True)
        self.route = self._combo([""], names=[self.tr("As what is measured suggests")])
        self.vmsa = self._combo(["auto", "legacy", "init2"])
        self.route.addItem(self.tr("GRUB"), "grub")
        self.route.addItem(self.tr("The kernel"), "kernel")
        self.installed = QPushButton(self.tr("&Installed firmware…"))
        self.installed.setAutoDefault(False)
        self.installed.clicked.connect(self.installedWanted)
        self.files["firmware"].buttons.insertWidget(1, self.installed)
        self.boot = Foldable(self.tr("It boots a kernel directly, which is measured too"))
        self.expert = Foldable(self.tr("For experts: versions, pins, and how it is started"))
        self.banner = Banner()
        self.saving = QPushButton(self.tr("&Save"))
        self.cancelling = QPushButton(self.tr("&Cancel"))
        self._lay_out()
        self._connect()

    # -- parts -------------------------------------------------------------------------

    def _file_list(self, component: str) -> FileList:
        names = {"firmware": self.tr("firmware"), "kernel": self.tr("kernel")}
        return FileList(component, names.get(component, self.tr("initrd")))

    def _lines(self) -> QPlainTextEdit:
        edit = QPlainTextEdit()
        edit.setTabChangesFocus(True)
        edit.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        edit.setFixedHeight(edit.fontMetrics().lineSpacing() * _LINES_SHOWN + 2 * NORMAL)
        return edit

    def _combo(
        self, values: Sequence[str], *, names: Sequence[str] = (), editable: bool = False
    ) -> QComboBox:
        combo = QComboBox()
        combo.setEditable(editable)
        for name, value in zip(names or values, values, strict=True):
            combo.addItem(name, value)
        return combo

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        for section in (
            self._guest_section(),
            self._loads_section(),
            self._policy_section(),
            self._secrets_section(),
        ):
            section.body.setSpacing(NORMAL)
            column.addWidget(section)
        self._fill_expert()
        column.addWidget(self.expert)
        column.addWidget(self.banner)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        self.saving.setProperty("primary", True)
        for button in (self.saving, self.cancelling):
            button.setAutoDefault(True)
            row.addWidget(button)
        row.addStretch(1)
        column.addLayout(row)

    def _field(
        self, key: str, label: str, widget: QWidget, hint: str = "", term: str = ""
    ) -> Field:
        focus = not isinstance(widget, FileList | SecretRows | PolicyEditor)
        field = Field(label, widget, hint=hint, term=term, focus=focus)
        self.fields[key] = field
        return field

    def _line(self, key: str, label: str, hint: str = "", term: str = "") -> Field:
        edit = QLineEdit()
        edit.setMaxLength(4096)
        return self._field(key, label, edit, hint, term)

    def _guest_section(self) -> Section:
        section = Section(self.tr("Guest"))
        section.body.addWidget(self._line("name", self.tr("&Name"), self.tr("Such as web1.")))
        section.body.addWidget(self._line("description", self.tr("&Description (optional)")))
        self.fields["host"] = self.host.field
        section.body.addWidget(self.host)
        return section

    def _loads_section(self) -> Section:
        section = Section(self.tr("What it loads"))
        section.body.addWidget(
            self._field(
                "firmware",
                self.tr("Firmware"),
                self.files["firmware"],
                self.tr("Several mean: any of these. Each is approved as it is when you save."),
                "firmware",
            )
        )
        words = {"kernel": self.tr("Kernel"), "initrd": self.tr("Initrd")}
        for component, label in words.items():
            self.boot.body.addWidget(self._field(component, label, self.files[component]))
        self.boot.body.addWidget(
            self._field(
                "cmdline",
                self.tr("Command &lines"),
                self.cmdline,
                self.tr("One in a line; several mean: any of these. Every byte counts."),
                "kernel-command-line",
            )
        )
        section.body.addWidget(self.boot)
        return section

    def _policy_section(self) -> Section:
        section = Section(self.tr("Policy"))
        section.body.addWidget(
            self._field("policy", self.tr("What the platform must keep to"), self.policy)
        )
        self._processors = QWidget()
        row = QHBoxLayout(self._processors)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(NORMAL)
        vcpus = self._line("vcpus", self.tr("&vCPUs"), self.tr("Such as 4, 1-8 or 1-4,8."), "vmsa")
        words = self.tr("As QEMU calls it; several with commas.")
        cpu = Field(self.tr("C&PU"), self.cpu, hint=words, level=vcpus)
        self.fields["cpu"] = cpu
        for field in (vcpus, cpu):
            row.addWidget(field, 1, Qt.AlignmentFlag.AlignTop)
        section.body.addWidget(self._processors)
        return section

    def _secrets_section(self) -> Section:
        section = Section(self.tr("Secrets"))
        section.body.addWidget(
            self._field(
                "secrets",
                self.tr("What the guest may have, by the names of vault entries"),
                self.secrets,
                self.tr("A profile holds no secret itself: put it into the vault."),
                "secret",
            )
        )
        return section

    def _fill_expert(self) -> None:
        body = self.expert.body
        body.setSpacing(NORMAL)
        body.addWidget(
            self._line(
                "minimum_api",
                self.tr("Oldest firmware &API in the measurement"),
                self.tr("0.17 if nothing is said; Watchword checks it, besides the policy's own."),
                "api-and-build",
            )
        )
        body.addWidget(
            self._line("minimum_build", self.tr("Oldest &build of it"), self.tr("Such as 10."))
        )
        body.addWidget(
            self._line("oca", self.tr("&Owner CA"), self.tr("Fingerprint or file."), "oca")
        )
        body.addWidget(
            self._field(
                "ceks",
                self.tr("C&hips that it may run on"),
                self.ceks,
                self.tr("Fingerprints of their CEKs, one in a line; none means any."),
                "cek",
            )
        )
        body.addWidget(self._field("route", self.tr("Who &reads the passphrase"), self.route))
        body.addWidget(self._field("vmsa", self.tr("V&MSA pages"), self.vmsa, "", "vmsa"))
        body.addWidget(
            self._line(
                "sev_features", self.tr("SEV &features"), self.tr("0x0 unless the host differs.")
            )
        )

    def _connect(self) -> None:
        for key, field in self.fields.items():
            widget = field.widget
            if isinstance(widget, QLineEdit):
                widget.textEdited.connect(self._edited)
                widget.editingFinished.connect(lambda one=key: self._finished(one))
            elif isinstance(widget, QPlainTextEdit):
                widget.textChanged.connect(self._edited)
            elif isinstance(widget, QComboBox):
                widget.currentTextChanged.connect(self._edited)
            elif isinstance(widget, FileList | SecretRows):
                widget.changed.connect(self._edited)
        self.host.edited.connect(self._edited)
        self.host.judged.connect(self._judge_host)
        self.policy.policyChanged.connect(self._policy_changed)
        self.saving.clicked.connect(self._save)
        self.cancelling.clicked.connect(self.cancelWanted)

    # -- the profile ---------------------------------------------------------------------

    def show_profile(self, profile: GuestProfile | None) -> None:
        """Show a profile to be changed; None for a new one."""
        before = {} if profile is None else profile.to_document()
        self._before, self._touched, self._all_told = before, set(), False
        self.banner.clear()
        self.host.forget()
        self._name.setEnabled(profile is None)
        policy = DEFAULT_POLICY if profile is None else profile.policy
        # Read from names its value is a flag, which no preset is equal to.
        self.policy.set_policy(Policy(int(policy.value)))
        for key in ("name", "description", "host", "minimum_api", "minimum_build", "sev_features"):
            self._edit(key).setText(str(before.get(key, "")))
        self._edit("vcpus").setText(str(before.get("vcpus", "")))
        owner = before.get("oca") or {}
        self._edit("oca").setText(str(owner.get("sha256") or owner.get("path") or ""))
        for component, files in self.files.items():
            files.set_entries(before.get(component, ()))
        self.secrets.set_secrets(before.get("secrets", {}))
        lines = [line for line in before.get("cmdline", ()) if isinstance(line, str)]
        self.cmdline.setPlainText("\n".join(lines))
        self.ceks.setPlainText("\n".join(str(chip["sha256"]) for chip in before.get("ceks", ())))
        self.cpu.setEditText(", ".join(before.get("cpu", ())))
        self.vmsa.setCurrentIndex(max(0, self.vmsa.findData(before.get("vmsa", "auto"))))
        self.route.setCurrentIndex(max(0, self.route.findData(before.get("route", ""))))
        self.boot.set_open(any(key in before for key in _BOOT))
        self.expert.set_open(any(key in before for key in _EXPERT))
        for field in self.fields.values():
            field.set_problem("")
        self._follow_policy()

    def show_draft(self, found: HostDraft) -> None:
        """Fill in what a VM's host says; whatever it doesn't say stays, and files are not its."""
        draft, texts = found.draft, {"vcpus": str(found.draft.vcpus or "")}
        self.host.show_draft(found)
        if self._name.isEnabled() and not self._name.text() and NAME.fullmatch(found.name):
            texts["name"] = found.name
        for key, value in texts.items():
            self._edit(key).setText(value or self._edit(key).text())
        if draft.policy is not None:
            self.policy.set_policy(Policy(draft.policy.value))
        self.cpu.setEditText(draft.cpu or self.cpu.currentText())
        self.cmdline.setPlainText(draft.cmdline or self.cmdline.toPlainText())
        self.boot.set_open(self.boot.opened or draft.kernel is not None)
        self._policy_changed()

    def document(self) -> Document:
        """What is filled in, as the document of a profile."""
        filled = {key: self._edit(key).text().strip() for key in ("name", "description", "host")}
        filled |= {component: files.entries for component, files in self.files.items()}
        filled |= {
            "technology": "sev-es" if self.policy.policy.needs_es else "sev",
            "policy": self.policy.policy.value,
            "cmdline": cmdlines(self.cmdline.toPlainText(), self._before.get("cmdline", ())),
            "secrets": dict(self.secrets.pairs),
            "watch": self._before.get("watch"),  # it is not in the form, and stays as it is
            "oca": owner_ca(self._edit("oca").text().strip(), self._before.get("oca")),
            "ceks": chips(lines_of(self.ceks.toPlainText()), self._before.get("ceks", ())),
            "route": self.route.currentData(),
            "minimum_api": self._edit("minimum_api").text().strip(),
            "minimum_build": self._edit("minimum_build").text().strip(),
            **self._measured_processors(),
        }
        return without_empty({"format": self._before.get("format", 1), **filled})

    def _measured_processors(self) -> Document:
        if not self.policy.policy.needs_es:
            return {key: self._before.get(key) for key in ("vcpus", "cpu")}
        names = [name.strip() for name in self.cpu.currentText().split(",")]
        vmsa = self.vmsa.currentData()
        return {
            "vcpus": self._edit("vcpus").text().strip(),
            "cpu": [name for name in names if name],
            "vmsa": "" if vmsa == "auto" else vmsa,
            "sev_features": self._edit("sev_features").text().strip(),
        }

    @property
    def _name(self) -> QLineEdit:
        return cast("QLineEdit", self._edit("name"))

    def _edit(self, key: str) -> Any:
        return self.fields[key].widget

    # -- problems ------------------------------------------------------------------------

    def _policy_changed(self) -> None:
        self._follow_policy()
        self._edited()

    def _follow_policy(self) -> None:
        with_es = self.policy.policy.needs_es
        self._processors.setVisible(with_es)
        for key in ("vmsa", "sev_features"):
            self.fields[key].setVisible(with_es)

    def _finished(self, key: str) -> None:
        if self._edit(key).isModified():
            self._touched.add(key)
            self._judge()

    def _judge_host(self, problem: str) -> None:
        self._touched |= {"host"} if problem else set()
        self.fields["host"].set_problem(problem)

    def _edited(self) -> None:
        if self._touched or self._all_told:
            self._judge()

    def _judge(self) -> dict[str, str]:
        """Say what is wrong: of fields that were filled in, and of all once it is to be saved."""
        problems = problems_of(self.document(), self.secrets.pairs)
        for key, field in self.fields.items():
            told = self._all_told or key in self._touched
            field.set_problem(problems.get(key, "") if told else "")
        return problems

    def _save(self) -> None:
        self._all_told = True
        problems = self._judge()
        self.banner.clear()
        if not problems:
            self.saveWanted.emit(self.document())
            return
        shown = [field for key, field in self.fields.items() if key in problems]
        self.boot.set_open(self.boot.opened or any(key in problems for key in _BOOT))
        self.expert.set_open(self.expert.opened or any(key in problems for key in _EXPERT))
        elsewhere = [text for key, text in problems.items() if key not in self.fields]
        self.banner.show_message(
            Tone.BAD,
            self.tr("The profile can't be saved yet"),
            " ".join(elsewhere) or self.tr("What is wrong stands at the fields above."),
        )
        if shown:
            self.unsound.emit(shown[0])
