# SPDX-License-Identifier: Apache-2.0
"""A field for a file or folder: typed, chosen in a dialog, or dropped anywhere on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .dropped import dropped_files, offers_files
from .folders import RememberedFolders, remembered
from .fonts import SMALL, TIGHT
from .painting import paint_focus
from .problem_line import ProblemLine


class PathKind(Enum):
    """What the path is for."""

    OPEN = auto()
    SAVE = auto()
    FOLDER = auto()


class PathField(QWidget):
    """Emits ``pathChanged`` with each change; never looks at the file itself.

    ``label``    may hold a shortcut (``&Firmware``)
    ``purpose``  under which the folder is remembered
    ``filters``  of the dialog, such as ``Firmware (*.fd *.bin)``
    ``check``    gives the problem of a path in words, or nothing; it is shown after the
    first edit, and must not read the file in this thread
    """

    pathChanged = Signal(str)

    def __init__(
        self,
        label: str,
        kind: PathKind = PathKind.OPEN,
        *,
        purpose: str = "",
        filters: Sequence[str] = (),
        check: Callable[[str], str] | None = None,
        folders: RememberedFolders | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._kind = kind
        self._purpose = purpose
        self._filters = tuple(filters)
        self._check = check
        self._folders = folders if folders is not None else remembered
        self._edited = False
        self._dragging = False
        self.setAcceptDrops(True)
        self.label = QLabel(label)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.edit = QLineEdit()
        self.edit.setAcceptDrops(False)
        self.edit.setClearButtonEnabled(True)
        self.browse = QPushButton(self.tr("Browse…"))
        self.browse.setAutoDefault(False)
        self._problem = ProblemLine(self.edit)
        self._lay_out()
        self._name_them(label.replace("&", ""))
        self.edit.textChanged.connect(self.pathChanged)
        self.edit.textEdited.connect(self._typed)
        self.edit.editingFinished.connect(self._finished)
        self.browse.clicked.connect(self.choose)

    def _lay_out(self) -> None:
        self.label.setBuddy(self.edit)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.edit, 1)
        row.addWidget(self.browse)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        column.addWidget(self.label)
        column.addLayout(row)
        column.addWidget(self._problem)

    def _name_them(self, name: str) -> None:
        self._name = name
        self.edit.setAccessibleName(name)
        self.browse.setAccessibleName(self.tr("Browse for {what}").format(what=name))
        for clear in self.edit.findChildren(QToolButton):  # Qt's own, there once there is a path
            clear.setAccessibleName(self.tr("Clear {what}").format(what=name))

    # -- the path --------------------------------------------------------------

    @property
    def path(self) -> str:
        """The path as it stands, without blanks around it."""
        return self.edit.text().strip()

    def set_path(self, path: str) -> None:
        """Fill the field in; nothing is said about it before a person edits it."""
        self.edit.setText(path)

    @property
    def problem(self) -> str:
        """What is said to be wrong."""
        return self._problem.problem

    def set_problem(self, problem: str) -> None:
        """Say what somebody else found wrong with the path."""
        self._problem.say(problem)

    def _typed(self) -> None:
        if self._edited:
            self._judge()

    def _finished(self) -> None:
        if self.edit.isModified() or self._edited:
            self._edited = True
            self._judge()

    def _judge(self) -> None:
        self._problem.say(self._check(self.path) if self._check is not None else "")

    def _take(self, path: str) -> None:
        self._edited = True
        self._folders.remember(self._purpose, path)
        self.edit.setText(path)
        self._judge()

    # -- the dialog --------------------------------------------------------------

    def choose(self) -> QFileDialog:
        """Open the dialog where such a file was chosen last; the field follows what is chosen."""
        title = self.tr("Choose {what}").format(what=self._name)
        dialog = QFileDialog(self, title, self._folders[self._purpose])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if self._kind is PathKind.SAVE:
            dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
            dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        elif self._kind is PathKind.FOLDER:
            dialog.setFileMode(QFileDialog.FileMode.Directory)
            dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        else:
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        if self._filters:
            dialog.setNameFilters([*self._filters, self.tr("All files (*)")])
        dialog.fileSelected.connect(self._take)
        dialog.open()
        return dialog

    # -- drag and drop -------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files, and show that they may be dropped."""
        if offers_files(event.mimeData()):
            event.acceptProposedAction()
            self._mark(dragging=True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """They went elsewhere."""
        super().dragLeaveEvent(event)
        self._mark(dragging=False)

    def dropEvent(self, event: QDropEvent) -> None:
        """Take the one file that was dropped."""
        self._mark(dragging=False)
        files = dropped_files(event.mimeData())
        if len(files) == 1:
            event.acceptProposedAction()
            self._take(files[0])
        else:
            self._edited = True
            self._problem.say(self.tr("Drop one file of this computer only."))

    def _mark(self, *, dragging: bool) -> None:
        self._dragging = dragging
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw a ring around the whole field while something is held above it."""
        if self._dragging:
            painter = QPainter(self)
            paint_focus(painter, self.rect(), self.palette())
            painter.end()
