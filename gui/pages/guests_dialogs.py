# SPDX-License-Identifier: Apache-2.0
"""The questions of the page Guests: a copy's name, a file to import or export, an approval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from watchword.core.guest.approvals import ExaminedFile, FileState
from watchword.core.guest.fields import NAME

from ..widgets.path_field import PathField, PathKind
from .confirm_dialog import ConfirmDialog
from .guests_fields import Field
from .guests_view import PendingFile
from .page_dialog import PageDialog

_TOML = "TOML (*.toml)"


class DuplicateDialog(PageDialog):
    """Asks for the name of a copy."""

    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(
            self.tr("Duplicate {name}").format(name=name),
            self.tr("What is approved in it is approved in the copy too."),
            self.tr("Duplicate"),
            parent,
        )
        self.edit = QLineEdit(f"{name}-copy"[:64])
        self.edit.selectAll()
        self.edit.textChanged.connect(self._judge)
        self._field = Field(self.tr("&Name of the copy"), self.edit)
        self.body.addWidget(self._field)
        self.edit.setFocus(Qt.FocusReason.OtherFocusReason)
        self._judge()

    @property
    def name(self) -> str:
        """The name of the copy."""
        return self.edit.text().strip()

    def _judge(self) -> None:
        sound = NAME.fullmatch(self.name) is not None
        problem = self.tr("Letters, digits, dots, hyphens and underscores, such as web2.")
        self._field.set_problem("" if sound or not self.name else problem)
        self.set_allowed(sound)


class ExportDialog(PageDialog):
    """Asks for a file to write, and whether the host goes along."""

    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(
            self.tr("Export {name}").format(name=name),
            self.tr("There are no secrets in it, only the names of vault entries."),
            self.tr("Export"),
            parent,
        )
        self.file = PathField(
            self.tr("&New file"), PathKind.SAVE, purpose="profiles", filters=(_TOML,)
        )
        self.file.pathChanged.connect(lambda path: self.set_allowed(bool(path.strip())))
        self.with_host = QCheckBox(self.tr("With the &host's URL"))
        self.with_host.setChecked(True)
        self.body.addWidget(self.file)
        self.body.addWidget(self.with_host)
        self.set_allowed(False)


class ImportDialog(PageDialog):
    """Asks for a file to read; what is in it is not approved by that."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(
            self.tr("Import a guest"),
            self.tr("Nothing in it counts yet: you look at it and approve it afterwards."),
            self.tr("Import"),
            parent,
        )
        self.file = PathField(self.tr("&File"), purpose="profiles", filters=(_TOML,))
        self.file.pathChanged.connect(lambda path: self.set_allowed(bool(path.strip())))
        self.edit = QLineEdit()
        self.with_host = QCheckBox(self.tr("Take its &host's URL too"))
        self.body.addWidget(self.file)
        self.body.addWidget(
            Field(self.tr("&Name (optional)"), self.edit, hint=self.tr("Else its own name."))
        )
        self.body.addWidget(self.with_host)
        self.set_allowed(False)

    @property
    def name(self) -> str:
        """The name under which it is kept; empty for its own."""
        return self.edit.text().strip()


class ApproveDialog(ConfirmDialog):
    """Shows what would be approved, old and new; a changed file takes the guest's name, typed."""

    def __init__(self, name: str, files: Sequence[ExaminedFile], parent: QWidget) -> None:
        changed = any(file.state is FileState.CHANGED for file in files)
        words = self.tr("If you know why, and what is there now shall run, approve it.")
        if changed:
            words = self.tr(
                "If you changed it yourself, for example by an update, approve it anew. If you did"
                " not: find out who did, and launch nothing with it."
            )
        super().__init__(
            self.tr("Approve for {name}").format(name=name),
            words,
            self.tr("A&pprove"),
            parent,
            typed=name if changed else "",
        )
        self._files = tuple(files)
        for place, file in enumerate(files, start=1):
            self.body.insertWidget(place, PendingFile(file))
        self.keep_old = QCheckBox(self.tr("What was approved before stays allowed &too"))
        self.keep_old.setVisible(changed)
        self.body.insertWidget(len(files) + 1, self.keep_old)

    @property
    def shown(self) -> Mapping[str, str]:
        """SHA-256 in hex of what was shown, by path."""
        pairs = ((file.entry.label, file.found.sha256 or file.entry.sha256) for file in self._files)
        return {label: sha256 for label, sha256 in pairs if sha256 is not None}
