# SPDX-License-Identifier: Apache-2.0
"""A place to drop several files or paste a text, with a list of what was given so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .dropped import MOST, dropped_files, offers_files
from .escape import shown_line
from .folders import RememberedFolders, remembered
from .fonts import NORMAL, RADIUS, SMALL, TIGHT, WIDE
from .icon_mark import IconMark
from .icons import muted_icon
from .layouts import empty_out
from .problem_line import ProblemLine
from .text_label import TextLabel
from .tones import Tone, accent, line, raised, selected

LONGEST_TEXT: Final = 256 * 1024
"""Characters of a pasted text."""


@dataclass(frozen=True, slots=True)
class Given:
    """Something that was given: the path of a file, or a pasted text."""

    name: str
    path: str = ""
    text: str = ""


class DropArea(QFrame):
    """Emits ``changed`` when something was added or removed; never reads a file itself.

    ``prompt``   what belongs here, such as “Drop the host's certificate files here”
    ``purpose``  under which the folder is remembered
    """

    changed = Signal()

    def __init__(
        self,
        prompt: str,
        *,
        purpose: str = "",
        filters: Sequence[str] = (),
        paste: bool = True,
        folders: RememberedFolders | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._given: list[Given] = []
        self._purpose = purpose
        self._filters = tuple(filters)
        self._paste = paste
        self._folders = folders if folders is not None else remembered
        self._dragging = False
        self.setAcceptDrops(True)
        self.setAccessibleName(prompt)
        self.browse = QPushButton(self.tr("Browse…"))
        self.browse.setAccessibleName(self.tr("Browse for files: {what}").format(what=prompt))
        self.browse.clicked.connect(self.choose)
        self.paste_button = QPushButton(self.tr("Paste text"))
        self.paste_button.setAccessibleDescription(prompt)
        self.paste_button.setVisible(paste)
        self.paste_button.clicked.connect(self.paste)
        self._problem = ProblemLine(self)
        self._list = QVBoxLayout()
        self._list.setSpacing(TIGHT)
        self._lay_out(prompt)

    def _lay_out(self, prompt: str) -> None:
        row = QHBoxLayout()
        row.setSpacing(NORMAL)
        row.addWidget(IconMark("drop", Tone.NEUTRAL, factor=1.5))
        row.addWidget(TextLabel(prompt), 1)
        for button in (self.browse, self.paste_button):
            button.setAutoDefault(False)
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(WIDE, WIDE, WIDE, WIDE)
        column.setSpacing(SMALL)
        column.addLayout(row)
        column.addLayout(self._list)
        column.addWidget(self._problem)

    # -- what was given ------------------------------------------------------------

    @property
    def given(self) -> tuple[Given, ...]:
        """Everything that was given, in that order."""
        return tuple(self._given)

    def add_files(self, paths: Sequence[str]) -> None:
        """Add files by path; those that are there already are not added twice."""
        known = {given.path for given in self._given}
        fresh = [Given(PurePath(path).name, path=path) for path in paths if path not in known]
        self._add(fresh)

    def add_text(self, text: str) -> None:
        """Add a text, as from the clipboard."""
        if not text.strip():
            self._problem.say(self.tr("There is no text on the clipboard."))
        elif len(text) > LONGEST_TEXT:
            self._problem.say(self.tr("That text is too long to be one of these."))
        else:
            size = self.tr("Pasted text, {n} characters").format(n=len(text))
            self._add([Given(size, text=text)])

    def remove(self, given: Given) -> None:
        """Take one away again."""
        if given in self._given:
            self._given.remove(given)
            self._changed()

    def clear(self) -> None:
        """Take all away."""
        self._given = []
        self._changed()

    def set_problem(self, problem: str) -> None:
        """Say what is wrong with what was given."""
        self._problem.say(problem)

    @property
    def problem(self) -> str:
        """What is said to be wrong."""
        return self._problem.problem

    def _add(self, fresh: Sequence[Given]) -> None:
        if not fresh:
            return
        room = MOST - len(self._given)
        self._given.extend(fresh[:room])
        self._changed()
        if len(fresh) > room:
            self._problem.say(self.tr("More than {n} are not taken.").format(n=MOST))

    def _changed(self) -> None:
        self._problem.say("")
        empty_out(self._list)
        for given in self._given:
            self._list.addWidget(self._row(given))
        self.changed.emit()

    def _row(self, given: Given) -> QWidget:
        name = TextLabel(shown_line(given.name, 120))
        if given.path:
            name.setAccessibleDescription(shown_line(given.path))
        remove = QToolButton()
        remove.setAutoRaise(True)
        remove.setIcon(muted_icon("remove"))
        remove.setAccessibleName(self.tr("Remove {what}").format(what=shown_line(given.name, 120)))
        remove.setToolTip(self.tr("Remove"))
        remove.clicked.connect(lambda _checked=False: self.remove(given))
        widget = QWidget()
        row = QHBoxLayout(widget)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SMALL)
        row.addWidget(IconMark("file" if given.path else "paste", Tone.NEUTRAL))
        row.addWidget(name, 1)
        row.addWidget(remove)
        return widget

    # -- how it is given -------------------------------------------------------------

    def choose(self) -> QFileDialog:
        """Open a dialog for several files."""
        dialog = QFileDialog(self, self.tr("Choose files"), self._folders[self._purpose])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        if self._filters:
            dialog.setNameFilters([*self._filters, self.tr("All files (*)")])
        dialog.filesSelected.connect(self._take)
        dialog.open()
        return dialog

    def paste(self) -> None:
        """Take what is on the clipboard: files, or text."""
        data = QGuiApplication.clipboard().mimeData()
        files = dropped_files(data)
        if files:
            self._take(files)
        else:
            self.add_text(data.text())

    def _take(self, paths: Sequence[str]) -> None:
        if paths:
            self._folders.remember(self._purpose, paths[0])
        self.add_files(paths)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Paste with the keyboard, wherever the focus is in here."""
        if self._paste and event.matches(QKeySequence.StandardKey.Paste):
            self.paste()
            event.accept()
        else:
            super().keyPressEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and text, and show that they may be dropped."""
        if offers_files(event.mimeData()) or (self._paste and event.mimeData().hasText()):
            event.acceptProposedAction()
            self._mark(dragging=True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """They went elsewhere."""
        super().dragLeaveEvent(event)
        self._mark(dragging=False)

    def dropEvent(self, event: QDropEvent) -> None:
        """Take what was dropped."""
        self._mark(dragging=False)
        event.acceptProposedAction()
        files = dropped_files(event.mimeData())
        if files:
            self._take(files)
        elif self._paste:
            self.add_text(event.mimeData().text())

    def _mark(self, *, dragging: bool) -> None:
        self._dragging = dragging
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the dashed line around it."""
        palette = self.palette()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(accent(palette) if self._dragging else line(palette), 1.5)
        pen.setDashPattern([4, 3])
        painter.setPen(pen)
        painter.setBrush(selected(palette) if self._dragging else raised(palette))
        ground = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.drawRoundedRect(ground, RADIUS, RADIUS)
        painter.end()
