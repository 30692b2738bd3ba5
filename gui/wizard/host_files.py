# SPDX-License-Identifier: Apache-2.0
"""What a host is given to start a recorded launch's VM: saved as files, or copied."""

from __future__ import annotations

from functools import partial
from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from watchword.core.hosts.exchange_start import start_files
from watchword.core.hosts.protocol import StartOrder

from ..widgets.copy_button import CopyButton
from ..widgets.folders import remembered
from ..widgets.fonts import SMALL
from ..widgets.section import Section
from ..widgets.text_label import TextLabel

LEFT_OUT: Final = ("README.txt", "ask.qmp")
"""These are about carrying answers back by hand."""
_PURPOSE: Final = "host-files"


class HostFilesPanel(Section):
    """``saveWanted`` comes with a folder; hidden until there is a launch blob."""

    saveWanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("Give this to whoever starts the VM"), "", parent)
        words = self.tr(
            "The files hold one-time keys that only this one processor can unwrap: whoever sees"
            " them can do nothing with them. The VM has to be started paused."
        )
        self.body.addWidget(TextLabel(words, quiet=True))
        self.files: dict[str, bytes] = {}
        self.save = QPushButton(self.tr("Save all &files…"))
        self.save.setAutoDefault(True)
        self.save.clicked.connect(self.choose)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.save)
        for name, label in (
            ("qemu-options.txt", self.tr("Copy the QEMU options")),
            ("launchSecurity.xml", self.tr("Copy the libvirt XML")),
        ):
            row.addWidget(CopyButton(partial(self._text, name), name, label=label))
        row.addStretch(1)
        self.body.addLayout(row)
        self.saved = TextLabel(quiet=True)
        self.saved.hide()
        self.body.addWidget(self.saved)
        self.hide()

    def show_order(self, launch_id: str, order: StartOrder | None, host: str) -> None:
        """Show what this launch's host, at this URL, is given, or nothing."""
        made = {} if order is None else start_files(launch_id, order, None, host)
        files = {name: data for name, data in made.items() if name not in LEFT_OUT}
        if files != self.files:
            self.files = files
            self.saved.hide()
        self.setVisible(bool(files))

    def show_saved(self, folder: str) -> None:
        """The files are there."""
        names = ", ".join(sorted(self.files))
        self.saved.say(self.tr("Saved in {folder}: {names}").format(folder=folder, names=names))
        self.saved.show()

    def choose(self) -> QFileDialog:
        """Ask for a folder."""
        dialog = QFileDialog(self, self.tr("Choose a folder"), remembered[_PURPOSE])
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self.saveWanted)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        return dialog

    def _text(self, name: str) -> str:
        return self.files.get(name, b"").decode("ascii", "replace")
