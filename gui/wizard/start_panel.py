# SPDX-License-Identifier: Apache-2.0
"""The whole start command of a prepared launch, or its whole VM, to be given to the host."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, cast

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.handover.requirements import Form
from watchword.core.launch.profile_plan import recorded_profile

from ..asking import ask
from ..bridge import Bridge
from ..handed_over import StartMade, made_for_host
from ..second_opinion_files import save_new_files
from ..widgets.banner import Banner
from ..widgets.copy_button import CopyButton
from ..widgets.foldable import Foldable
from ..widgets.folders import remembered
from ..widgets.fonts import SMALL
from ..widgets.layouts import empty_out
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .page import Line
from .recorded_run import RecordedRun
from .start_choices import StartChoices

_PURPOSE: Final = "host-files"


class StartPanel(Foldable):
    """``wanted`` comes for what the choices say, ``saveWanted`` with a folder for its files."""

    wanted = Signal()
    saveWanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("The whole start command, for QEMU, libvirt or KubeVirt…"), parent)
        self.made: StartMade | None = None
        self.choices = StartChoices()
        self.choices.changed.connect(self.forget)
        self.making = QPushButton(self.tr("&Make it"))
        self.making.setAutoDefault(False)
        self.making.clicked.connect(self.wanted)
        self.banner = Banner()
        self.result = QWidget()
        self._sentences = QVBoxLayout()
        self._sentences.setSpacing(SMALL)
        self.save = QPushButton(self.tr("Save these files…"))
        self.save.setAutoDefault(False)
        self.save.clicked.connect(self.choose)
        self.copying = CopyButton(self._text, self.tr("what starts the VM"), label=self.tr("Copy"))
        self.saved = TextLabel(quiet=True)
        self._lay_out()
        self.forget()
        self.hide()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.save)
        row.addWidget(self.copying)
        row.addStretch(1)
        column = QVBoxLayout(self.result)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        column.addLayout(self._sentences)
        column.addLayout(row)
        column.addWidget(self.saved)
        self.body.setSpacing(SMALL)
        self.body.addWidget(self.choices)
        self.body.addWidget(self.making, 0, Qt.AlignmentFlag.AlignLeft)
        self.body.addWidget(self.banner)
        self.body.addWidget(self.result)

    @Slot()
    def forget(self) -> None:
        """What was made is not what is chosen now."""
        self.made = None
        self.banner.clear()
        self.result.hide()

    def show_made(self, made: StartMade, form: Form) -> None:
        """What the host has to be like for it; the files can be saved."""
        self.made = made
        self.banner.clear()
        empty_out(self._sentences)
        if made.changes:
            self._sentences.addWidget(TextLabel(self.tr("Changed in the domain:"), bold=True))
        for change in made.changes:
            self._sentences.addWidget(Line("edit", Tone.NEUTRAL, change))
        self._sentences.addWidget(TextLabel(self.tr("What must be true of the host:"), bold=True))
        for sentence in made.must:
            self._sentences.addWidget(Line("host", Tone.NEUTRAL, sentence))
        command = {Form.QEMU: "sh {name}", Form.LIBVIRT: "virsh create --paused {name}"}.get(form)
        if command is not None:
            words = self.tr("It is started with: {command}")
            text = words.format(command=command.format(name=made.main))
            self._sentences.addWidget(Line("play", Tone.NEUTRAL, text))
        self.saved.hide()
        self.result.show()

    def show_error(self, error: WatchwordError) -> None:
        """Why it can't be made so."""
        remedy = error.remedy
        if error.code == "no-path-for-host":  # it names an option of the command line
            remedy = self.tr("Write above where it is on the host.")
        self.banner.show_message(
            Tone.BAD, error.title, error.message, remedy, code=error.code, details=error.details
        )

    def show_saved(self, folder: str) -> None:
        """The files are there."""
        names = ", ".join(sorted(self.made.files)) if self.made is not None else ""
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

    def _text(self) -> str:
        return "" if self.made is None else self.made.text


class StartMaker(QObject):
    """Makes what the panel's choices say, and saves it, for the launch that is open."""

    def __init__(
        self,
        bridge: Bridge,
        panel: StartPanel,
        run: Callable[[], RecordedRun | None],
        owner: QObject,
    ) -> None:
        super().__init__(owner)
        self._bridge = bridge
        self._panel = panel
        self._run = run
        self._shown = ""
        panel.wanted.connect(self._make)
        panel.saveWanted.connect(self._save)

    @Slot()
    def follow(self) -> None:
        """The launch is another than before, or further than before."""
        run = self._run()
        record = None if run is None else run.record
        ready = run is not None and record is not None and run.start_order is not None
        if ready and record is not None and self._shown != record.id:
            self._shown = record.id
            self._panel.choices.show_profile(recorded_profile(record), record.host)
        if run is None or run.id != self._shown:
            self._panel.set_open(False)
            self._panel.forget()
        self._panel.setVisible(ready or (run is not None and run.id == self._shown))

    @Slot()
    def _make(self) -> None:
        run = self._run()
        record, start = (None, None) if run is None else (run.record, run.start_order)
        if record is None or start is None:
            return
        self._panel.forget()
        wanted = self._panel.choices.wanted()

        def show(made: object) -> None:
            if self._shown == record.id and self._panel.choices.wanted() == wanted:
                self._panel.show_made(cast("StartMade", made), wanted.form)

        ask(self._bridge, self, partial(made_for_host, record, start, wanted), show, self._fail)

    @Slot(str)
    def _save(self, folder: str) -> None:
        made = self._panel.made
        if made is None:
            return
        self._panel.banner.clear()
        remembered.remember(_PURPOSE, str(Path(folder) / made.main))
        save = partial(save_new_files, folder, made.files)
        saved = self._panel.show_saved
        ask(self._bridge, self, save, lambda where: saved(str(where)), self._fail)

    def _fail(self, error: object) -> None:
        self._panel.show_error(cast("WatchwordError", error))
