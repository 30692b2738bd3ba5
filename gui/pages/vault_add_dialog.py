# SPDX-License-Identifier: Apache-2.0
"""Adds a secret to the vault: generated, from a file, or typed, in this order of preference."""

from __future__ import annotations

from enum import Enum, auto

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from watchword.core.errors import UsageError, WatchwordError
from watchword.core.secret import Secret
from watchword.core.vault.entries import LONGEST_NAME, EntryKind, check_entry_name

from ..widgets.fonts import LARGE, TIGHT
from ..widgets.path_field import PathField
from ..widgets.problem_line import ProblemLine
from ..widgets.secret_field import SecretField
from ..widgets.text_label import TextLabel
from .page_dialog import PageDialog
from .vault_words import kind_name, kind_sentence

KINDS = (
    EntryKind.DISK_SECRET,
    EntryKind.GUEST_SECRET,
    EntryKind.RECOVERY,
    EntryKind.TEST_SECRET,
)


class Source(Enum):
    """Where the secret comes from."""

    GENERATE = auto()
    FILE = auto()
    TYPED = auto()


class AddDialog(PageDialog):
    """What was filled in is in ``name``, ``kind``, ``source``, ``path`` and :meth:`take`."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(self.tr("Add a secret"), "", self.tr("Add"), parent)
        self._sources: dict[Source, QRadioButton] = {}
        self._group = QButtonGroup(self)
        self.name_field = QLineEdit()
        self.name_field.setMaxLength(LONGEST_NAME)
        self.name_field.setPlaceholderText("web1/disk")
        self._problem = ProblemLine(self.name_field)
        self.kinds = QComboBox()
        self._kind_words = TextLabel(quiet=True)
        self.file = PathField(self.tr("&File"), purpose="secrets")
        self.strip = QCheckBox(self.tr("Leave out one newline at the end"))
        self.typed = SecretField(self.tr("&Secret"), repeat=True)
        self.replace = QCheckBox(self.tr("Re&place the entry that is there"))
        self.replace.hide()
        self._add_name()
        self._add_kind()
        self._add_sources()
        self.file.pathChanged.connect(self._show)
        self.typed.changed.connect(self._show)
        self.name_field.textChanged.connect(self._show)
        # What was agreed to for one entry holds for no other.
        self.name_field.textChanged.connect(lambda: self.replace.setChecked(False))
        self.name_field.editingFinished.connect(self._judge_name)
        self._show()
        self.name_field.setFocus(Qt.FocusReason.OtherFocusReason)

    # -- what was filled in --------------------------------------------------------

    @property
    def name(self) -> str:
        """The name of the entry."""
        return self.name_field.text().strip()

    @property
    def kind(self) -> EntryKind:
        """What it is for."""
        return EntryKind(self.kinds.currentData())

    @property
    def source(self) -> Source:
        """Where the secret comes from."""
        return next(s for s, choice in self._sources.items() if choice.isChecked())

    def choose(self, source: Source) -> None:
        """Choose where the secret comes from."""
        self._sources[source].setChecked(True)

    def take(self) -> Secret:
        """What was typed, for the caller to wipe; the field is empty afterwards."""
        return self.typed.take()

    def show_error(self, error: WatchwordError) -> None:
        """Say why it was not stored; an entry that is there may be replaced."""
        super().show_error(error)
        if error.code == "entry-exists":
            self.replace.show()

    # -- parts -----------------------------------------------------------------------

    def _add_name(self) -> None:
        column = self._field(self.tr("&Name"), self.name_field)
        column.addWidget(self._problem)
        column.addWidget(self.replace)
        self.body.addLayout(column)

    def _add_kind(self) -> None:
        for kind in KINDS:
            self.kinds.addItem(kind_name(kind), kind.value)
        self.kinds.currentIndexChanged.connect(self._show)
        column = self._field(self.tr("&Kind"), self.kinds)
        column.addWidget(self._kind_words)
        self.body.addLayout(column)

    def _field(self, words: str, widget: QWidget) -> QVBoxLayout:
        label = QLabel(words)
        label.setBuddy(widget)
        widget.setAccessibleName(words.replace("&", ""))
        column = QVBoxLayout()
        column.setSpacing(TIGHT)
        column.addWidget(label)
        column.addWidget(widget)
        return column

    def _add_sources(self) -> None:
        self._add_source(
            Source.GENERATE,
            self.tr("&Generate a passphrase"),
            self.tr("44 random characters. Nobody has to remember or type it: the best choice."),
        )
        self._add_source(Source.FILE, self.tr("Take it from a &file"), "", self.file, self.strip)
        self._add_source(Source.TYPED, self.tr("&Type it"), "", self.typed)
        self._sources[Source.GENERATE].setChecked(True)

    def _add_source(self, source: Source, title: str, sentence: str, *fields: QWidget) -> None:
        choice = QRadioButton(title)
        choice.setAccessibleDescription(sentence)
        choice.toggled.connect(self._show)
        self._group.addButton(choice)
        self._sources[source] = choice
        column = QVBoxLayout()
        column.setSpacing(TIGHT)
        column.addWidget(choice)
        inner = QVBoxLayout()
        inner.setContentsMargins(LARGE, 0, 0, 0)
        inner.setSpacing(TIGHT)
        if sentence:
            inner.addWidget(TextLabel(sentence, quiet=True))
        for widget in fields:
            inner.addWidget(widget)
        column.addLayout(inner)
        self.body.addLayout(column)

    # -- what follows from what ---------------------------------------------------------

    def _show(self) -> None:
        if not any(choice.isChecked() for choice in self._sources.values()):
            return
        source = self.source
        self._kind_words.say(kind_sentence(self.kind))
        self.file.setVisible(source is Source.FILE)
        self.strip.setVisible(source is Source.FILE)
        if source is not Source.TYPED and not self.typed.empty:
            self.typed.clear()
        self.typed.setVisible(source is Source.TYPED)
        ready = {
            Source.GENERATE: True,
            Source.FILE: bool(self.file.path),
            Source.TYPED: self.typed.complete,
        }[source]
        if self._problem.problem:
            self._judge_name()
        self.set_allowed(bool(self.name) and not self._problem.problem and ready)

    def _judge_name(self) -> None:
        problem = ""
        if self.name:
            try:
                check_entry_name(self.name)
            except UsageError as error:
                problem = f"{error.message} {error.remedy}"
        if problem != self._problem.problem:
            self._problem.say(problem)
            self._show()
