# SPDX-License-Identifier: Apache-2.0
"""The parts of the form for a guest: labelled fields, lists of files, secrets by reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from watchword.core.sev.secret_table import KNOWN_SECRETS

from ..widgets.dropped import dropped_files, offers_files
from ..widgets.escape import shown_line, tool_tip
from ..widgets.explained import ExplainButton
from ..widgets.folders import remembered
from ..widgets.fonts import SMALL, TIGHT
from ..widgets.icons import icon, muted_icon
from ..widgets.layouts import empty_out
from ..widgets.problem_line import ProblemLine
from ..widgets.text_label import TextLabel

_LONGEST = 4096


class Field(QWidget):
    """A widget with its label, what it is for, and what is wrong with it.

    ``label``  may hold a shortcut
    ``term``   key in the glossary, for a “?” beside the label
    ``level``  with a field beside it, so that its widget stands as high as that one's
    """

    def __init__(
        self,
        label: str,
        widget: QWidget,
        *,
        hint: str = "",
        term: str = "",
        focus: bool = True,
        level: Field | None = None,
    ) -> None:
        super().__init__()
        self.widget = widget
        words = QLabel(label)
        words.setTextFormat(Qt.TextFormat.PlainText)
        if focus:
            words.setTextFormat(Qt.TextFormat.AutoText)
            words.setBuddy(widget)
        widget.setAccessibleName(label.replace("&", ""))
        if isinstance(widget, QComboBox) and (line := widget.lineEdit()) is not None:
            line.setAccessibleName(widget.accessibleName())
        self._problem = ProblemLine(widget)
        heading = self._heading = QHBoxLayout()
        heading.setSpacing(TIGHT)
        if level is not None:
            heading.addStrut(level._heading.sizeHint().height())
        heading.addWidget(words)
        if term:
            heading.addWidget(ExplainButton(term))
        heading.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        column.addLayout(heading)
        column.addWidget(widget)
        if hint:
            column.addWidget(TextLabel(hint, quiet=True, size=0.95))
        column.addWidget(self._problem)

    @property
    def problem(self) -> str:
        """What is said to be wrong."""
        return self._problem.problem

    def set_problem(self, problem: str) -> None:
        """Say what is wrong; nothing with an empty text."""
        if problem != self._problem.problem:
            self._problem.say(problem)


class FileList(QWidget):
    """Files of one component, as a profile's document has them: paths, or hashes alone.

    ``changed`` comes when a person added or removed one. Files may be dropped on it.
    """

    changed = Signal()

    def __init__(self, component: str, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._component = component
        self._what = what
        self._entries: list[dict[str, Any]] = []
        self.setAcceptDrops(True)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(TIGHT)
        self.adding = QPushButton(self.tr("Add a file…"))
        self.adding.setAccessibleName(self.tr("Add a file: {what}").format(what=what))
        self.adding.setIcon(icon("add"))
        self.adding.setAutoDefault(False)
        self.adding.clicked.connect(self.choose)
        self.buttons = QHBoxLayout()
        self.buttons.setSpacing(SMALL)
        self.buttons.addWidget(self.adding)
        self.buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        column.addLayout(self._rows)
        column.addLayout(self.buttons)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The files as the document has them."""
        return [dict(entry) for entry in self._entries]

    def set_entries(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Show these; emits nothing."""
        self._entries = [dict(entry) for entry in entries]
        self._show()

    def add_paths(self, paths: Sequence[str]) -> None:
        """Add files that are not there yet; they are approved when the profile is saved."""
        known = {entry.get("path") for entry in self._entries}
        fresh = [path for path in dict.fromkeys(paths) if path not in known]
        if fresh:
            self._entries += [{"path": path} for path in fresh]
            self._show()
            self.changed.emit()

    def choose(self) -> QFileDialog:
        """Open the dialog for files."""
        title = self.tr("Choose {what}").format(what=self._what)
        dialog = QFileDialog(self, title, remembered[self._component])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(self._take)
        dialog.open()
        return dialog

    def _take(self, paths: Sequence[str]) -> None:
        for path in paths:
            remembered.remember(self._component, path)
        self.add_paths(paths)

    def _remove(self, entry: dict[str, Any]) -> None:
        self._entries = [one for one in self._entries if one is not entry]
        self._show()
        self.changed.emit()
        self.adding.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show(self) -> None:
        empty_out(self._rows)
        for entry in self._entries:
            self._rows.addWidget(self._row(entry))

    def _row(self, entry: dict[str, Any]) -> QWidget:
        words = str(entry.get("path") or f"SHA-256 {entry.get('sha256')}")
        note = "" if "sha256" in entry else self.tr("approved as it is when you save")
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SMALL)
        row.addWidget(TextLabel(f"{words}\n{note}" if note else words), 1)
        row.addWidget(remove_button(self, words, lambda: self._remove(entry)))
        return line

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files."""
        if offers_files(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Add the files that were dropped."""
        event.acceptProposedAction()
        self._take(dropped_files(event.mimeData()))


class SecretRow(QWidget):
    """One secret: the name that the guest looks for, and the vault entry that goes there."""

    changed = Signal()
    removeWanted = Signal()

    def __init__(self, name: str, entry: str, known: Sequence[str]) -> None:
        super().__init__()
        self.name = self._combo([*KNOWN_SECRETS], name, self.tr("Name or GUID in the guest"))
        self.entry = self._combo(known, entry, self.tr("Entry of the vault"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SMALL)
        row.addWidget(self.name, 1)
        between = TextLabel(self.tr("from"), quiet=True)
        between.setWordWrap(False)
        row.addWidget(between)
        row.addWidget(self.entry, 1)
        row.addWidget(remove_button(self, self.tr("secret"), self.removeWanted.emit))

    def _combo(self, choices: Sequence[str], text: str, name: str) -> QComboBox:
        combo = QComboBox()
        combo.setEditable(True)
        combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        combo.addItems([*choices])
        combo.setEditText(text)
        combo.setMinimumContentsLength(10)
        combo.setAccessibleName(name)
        edit = combo.lineEdit()
        if edit is not None:
            edit.setAccessibleName(name)
            edit.setMaxLength(_LONGEST)
            edit.setPlaceholderText(name)
        combo.editTextChanged.connect(self.changed)
        return combo

    def offer(self, known: Sequence[str]) -> None:
        """Offer other entries; what is typed stays."""
        text = self.entry.currentText()
        self.entry.blockSignals(True)
        self.entry.clear()
        self.entry.addItems([*known])
        self.entry.setEditText(text)
        self.entry.blockSignals(False)


class SecretRows(QWidget):
    """The secrets of a guest; never their values."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._known: tuple[str, ...] = ()
        self.rows: list[SecretRow] = []
        self._column = QVBoxLayout()
        self._column.setSpacing(TIGHT)
        self.adding = QPushButton(self.tr("Add a secret"))
        self.adding.setIcon(icon("add"))
        self.adding.setAutoDefault(False)
        self.adding.clicked.connect(self._add_first)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        column.addLayout(self._column)
        column.addWidget(self.adding, 0, Qt.AlignmentFlag.AlignLeft)

    def set_known(self, names: Sequence[str]) -> None:
        """The entries that the vault has."""
        self._known = tuple(names)
        for row in self.rows:
            row.offer(names)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Name and vault entry of each; rows without a word in them are left out."""
        texts = [
            (row.name.currentText().strip(), row.entry.currentText().strip()) for row in self.rows
        ]
        return [pair for pair in texts if any(pair)]

    def set_secrets(self, secrets: Mapping[str, str]) -> None:
        """Show these; emits nothing."""
        empty_out(self._column)
        self.rows = []
        for name, entry in secrets.items():
            self._add(name, entry)

    def _add_first(self) -> None:
        taken = {name for name, _ in self.pairs}
        name = "" if "disk-passphrase" in taken else "disk-passphrase"
        row = self._add(name, "")
        row.entry.setFocus(Qt.FocusReason.OtherFocusReason)
        self.changed.emit()

    def _add(self, name: str, entry: str) -> SecretRow:
        row = SecretRow(name, entry, self._known)
        row.changed.connect(self.changed)
        row.removeWanted.connect(lambda: self._remove(row))
        self.rows.append(row)
        self._column.addWidget(row)
        return row

    def _remove(self, row: SecretRow) -> None:
        self.rows.remove(row)
        self._column.removeWidget(row)
        row.hide()
        row.deleteLater()
        self.changed.emit()
        self.adding.setFocus(Qt.FocusReason.OtherFocusReason)


def remove_button(owner: QWidget, what: str, do: object) -> QToolButton:
    """A button that takes one thing out of a list."""
    button = QToolButton()
    button.setIcon(muted_icon("remove"))
    button.setAutoRaise(True)
    name = owner.tr("Remove {what}").format(what=shown_line(what))
    button.setAccessibleName(name)
    button.setToolTip(tool_tip(name))
    button.clicked.connect(do)
    return button
