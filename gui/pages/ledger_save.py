# SPDX-License-Identifier: Apache-2.0
"""Asks for what the ledger's page needs: a new file, or a reason that is recorded."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QLineEdit, QWidget

from ..widgets.path_field import PathField, PathKind
from ..widgets.text_label import TextLabel
from .page_dialog import PageDialog


class SaveDialog(PageDialog):
    """Asks for a new file."""

    def __init__(self, title: str, sentence: str, parent: QWidget) -> None:
        super().__init__(title, sentence, self.tr("Save"), parent)
        self.file = PathField(self.tr("&New file"), PathKind.SAVE, purpose="ledger")
        self.file.pathChanged.connect(lambda path: self.set_allowed(bool(path.strip())))
        self.body.addWidget(self.file)
        self.set_allowed(False)


class AcceptDialog(PageDialog):
    """What it means to go on with older records, and the reason, which has to be typed."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(
            self.tr("Go on with these older records?"), "", self.tr("&Accept them"), parent
        )
        self.agreeing.setProperty("primary", False)
        self.agreeing.setDefault(False)
        self.body.addWidget(
            TextLabel(
                self.tr(
                    "Do this only if you have put the records back yourself, or they are gone."
                    " What was done after this copy was made is unknown here.\n\nA launch whose"
                    " secret was sealed after it must not be completed again: a second packet could"
                    " be put into a clone of its VM. Secrets that were handed over since are in no"
                    " list."
                )
            )
        )
        label = QLabel(self.tr("&Reason, for the ledger"))
        self.reason = QLineEdit()
        self.reason.setAccessibleName(self.tr("Reason, for the ledger"))
        self.reason.setPlaceholderText(self.tr("The disk died; this is the backup of Monday"))
        self.reason.setMaxLength(500)
        label.setBuddy(self.reason)
        self.reason.textChanged.connect(lambda text: self.set_allowed(len(text.strip()) > 2))
        self.body.addWidget(label)
        self.body.addWidget(self.reason)
        self.set_allowed(False)
