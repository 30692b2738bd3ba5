# SPDX-License-Identifier: Apache-2.0
"""What a host is given to start a recorded launch's VM: saved as files, or copied."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from watchword.core.hosts.exchange_start import start_files
from watchword.core.hosts.protocol import StartOrder

from ..asking import ask
from ..bridge import Bridge
from ..evidence_files import save_bytes
from ..widgets.copy_button import CopyButton
from ..widgets.folders import remembered
from ..widgets.fonts import SMALL
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from .flow import Situation
from .recorded_run import RecordedRun

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


class HostFiles(QObject):
    """Shows on *Launch blob* and *Start* what the host is given, and saves it where it is wanted.

    ``failed``  with why it could not be saved
    """

    failed = Signal(object)

    def __init__(
        self, bridge: Bridge, panels: tuple[HostFilesPanel, HostFilesPanel], owner: QObject
    ) -> None:
        super().__init__(owner)
        self._bridge = bridge
        self._session, self._start = panels
        for panel in panels:
            panel.saveWanted.connect(partial(self._save, panel))

    def follow(self, now: Situation, run: RecordedRun) -> None:
        """The launch is another than before, or further than before."""
        order = None if run.by_hand else run.start_order
        left = None if now.launch.status("start").settled else order
        self._session.show_order(run.id, order, run.host)
        self._start.show_order(run.id, left, run.host)

    def _save(self, panel: HostFilesPanel, folder: str) -> None:
        files = dict(panel.files)

        def save() -> str:
            for name, data in files.items():
                save_bytes(str(Path(folder) / name), data)
            return folder

        saved = panel.show_saved
        ask(self._bridge, self, save, lambda where: saved(str(where)), self.failed.emit)
