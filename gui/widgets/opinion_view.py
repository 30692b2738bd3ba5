# SPDX-License-Identifier: Apache-2.0
"""What was computed from what in a launch, and the commands by which others' tools check it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from watchword.core.launch.second_opinion import Check, Opinion

from .copy_button import CopyButton
from .folders import remembered
from .fonts import SMALL, TIGHT, monospace
from .layouts import empty_out
from .text_label import TextLabel

_PURPOSE = "second-opinion"


class OpinionView(QWidget):
    """``saveWanted`` comes with a folder for ``files``; it never reads or writes any itself."""

    saveWanted = Signal(str)

    def __init__(self, *, titles: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._titles = titles
        self.files: Mapping[str, bytes] = {}
        self.commands: tuple[str, ...] = ()
        self._steps = QVBoxLayout()
        self._steps.setSpacing(SMALL)
        self.save = QPushButton(self.tr("Save the files…"))
        self.save.setAccessibleName(self.tr("Save the files that the commands read"))
        self.save.setAutoDefault(False)
        self.save.clicked.connect(self.choose)
        self.saved = TextLabel(quiet=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        column.addLayout(self._steps)
        column.addWidget(self.save, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.saved)
        self.show_opinions(())

    def show_opinions(self, opinions: Sequence[Opinion]) -> None:
        """Show these in place of what was there; there may be none yet."""
        empty_out(self._steps)
        self.files = {name: data for one in opinions for name, data in one.files.items()}
        self.commands = tuple(check.command for one in opinions for check in one.checks)
        for opinion in opinions:
            self._steps.addWidget(self._step(opinion))
        if not opinions:
            words = self.tr("Nothing of this is recorded that another tool could check.")
            self._steps.addWidget(TextLabel(words, quiet=True))
        self.save.setVisible(bool(self.files))
        self.saved.hide()

    def show_saved(self, folder: str) -> None:
        """The files are there."""
        names = ", ".join(sorted(self.files))
        words = self.tr("Saved in {folder}: {names}. Run the commands there; no file is secret.")
        self.saved.say(words.format(folder=folder, names=names))
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

    def _step(self, opinion: Opinion) -> QWidget:
        holder = QWidget()
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        if self._titles:
            column.addWidget(TextLabel(opinion.title, bold=True))
        for sentence in filter(None, opinion.sentences):
            column.addWidget(TextLabel(sentence))
        for check in opinion.checks:
            column.addWidget(self._check(check))
        return holder

    def _check(self, check: Check) -> QWidget:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SMALL)
        column = QVBoxLayout()
        column.setSpacing(TIGHT)
        command = TextLabel(f"$ {check.command}")
        command.setFont(monospace(command.font()))
        column.addWidget(command)
        words = self.tr("It has to say: {expected}   ({tool})")
        expected = words.format(expected=check.expected, tool=check.tool)
        column.addWidget(TextLabel(expected, quiet=True))
        row.addLayout(column, 1)
        name = self.tr("the command {command}").format(command=check.command[:80])
        row.addWidget(CopyButton(check.command, name), 0, Qt.AlignmentFlag.AlignTop)
        return holder
