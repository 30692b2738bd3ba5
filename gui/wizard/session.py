# SPDX-License-Identifier: Apache-2.0
"""The page *Launch blob*: what the host is given to start the VM with, and nothing secret in it."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QGridLayout, QPushButton, QWidget

from watchword.core.launch.engine import Fact, Launch, Mark
from watchword.core.sev.policy import Policy
from watchword.core.sev.session import LaunchMaterial

from ..widgets.copy_button import CopyButton
from ..widgets.explained import Explained
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL, SMALL, monospace
from ..widgets.policy_view import PolicyView
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .page import Line, Record, Verdict, WizardPage


def qemu_options(policy: int) -> str:
    """How a host starts the VM with QEMU; what only the host knows is left open."""
    return (
        "-S -machine q35,confidential-guest-support=sev0"
        f" -object sev-guest,id=sev0,policy=0x{policy:x},cbitpos=…,reduced-phys-bits=…,"
        "dh-cert-file=godh.b64,session-file=session.b64"
    )


class SessionPage(WizardPage):
    """``saving`` comes with a path and a text that the owner wants to have written there."""

    step: ClassVar[str] = "session"
    saving = Signal(str, str)

    def __init__(self) -> None:
        super().__init__(
            self.tr("The launch blob"),
            self.tr(
                "The host starts your guest with two small files. They hold keys that only this"
                " one processor can unwrap, so the host may see them and can do nothing with them."
            ),
            self.tr("Making a one-time key and the launch blob…"),
        )

    def verdict(self, launch: Launch, record: Record) -> Verdict | None:
        """It is made; what comes next is the owner's move."""
        del record
        if launch.simulated:
            message = self.tr("The simulated host gets both files with the button below.")
        else:
            message = self.tr("Give both files to whoever runs the host, and have the VM started.")
        title = self.tr("The launch blob is made, for this platform alone")
        return Verdict(Tone.OK, title, message)

    def build(self, launch: Launch, fact: Fact | None, mark: Mark | None) -> None:
        """Files, options and policy."""
        del mark
        policy = launch.answers.get("policy")
        if fact is None:
            self._explain()
        elif self.material is not None and isinstance(policy, int):
            self.body.addWidget(self._files(self.material))
            options = Foldable(self.tr("How the host starts the VM with QEMU"))
            options.body.addWidget(self._options(policy))
            self.body.addWidget(options)
        if isinstance(policy, int):
            words = Foldable(self.tr("What the host may not do: the policy"))
            words.body.addWidget(PolicyView(Policy(policy)))
            self.body.addWidget(words)

    def _explain(self) -> None:
        section = Section(self.tr("What will happen"))
        for icon, text in (
            ("dice", self.tr("Watchword makes a one-time key, and two more for this launch.")),
            ("blob", self.tr("It wraps them for the platform that was verified, and no other.")),
        ):
            section.body.addWidget(Line(icon, Tone.NEUTRAL, text))
        self.body.addWidget(section)

    def _files(self, material: LaunchMaterial) -> Section:
        section = Section(self.tr("For the host"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(NORMAL)
        grid.setVerticalSpacing(SMALL)
        grid.setColumnStretch(1, 1)
        key = self.tr("godh.b64: your one-time public key")
        blob = self.tr("session.b64: this launch's keys, wrapped for the processor")
        for row, (name, words, term, text) in enumerate(
            (
                ("godh.b64", key, "godh", material.godh_base64),
                ("session.b64", blob, "launch-blob", material.session_base64),
            )
        ):
            grid.addWidget(Explained(term), row, 0)
            grid.addWidget(TextLabel(words), row, 1)
            self._add_file(grid, row, name, text)
        section.body.addLayout(grid)
        return section

    def _add_file(self, grid: QGridLayout, row: int, name: str, text: str) -> None:
        save = QPushButton(self.tr("Save…"))
        save.setAccessibleName(self.tr("Save {name}").format(name=name))
        save.clicked.connect(lambda: self._ask_where(name, text))
        grid.addWidget(CopyButton(text, name, label=self.tr("Copy")), row, 2)
        grid.addWidget(save, row, 3)

    def _options(self, policy: int) -> QWidget:
        holder = QWidget()
        grid = QGridLayout(holder)
        grid.setContentsMargins(0, 0, 0, 0)
        text = qemu_options(policy)
        words = TextLabel(text)
        words.setFont(monospace(words.font()))
        grid.addWidget(words, 0, 0)
        grid.addWidget(CopyButton(text, self.tr("QEMU options")), 0, 1)
        note = self.tr("The host fills in what is left open: query-sev-capabilities names it.")
        grid.addWidget(TextLabel(note, quiet=True), 1, 0)
        grid.setColumnStretch(0, 1)
        return holder

    def _ask_where(self, name: str, text: str) -> None:
        dialog = QFileDialog(self, self.tr("Save {name}").format(name=name))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.selectFile(name)
        dialog.fileSelected.connect(lambda path: self.saving.emit(path, text))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
