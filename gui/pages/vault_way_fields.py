# SPDX-License-Identifier: Apache-2.0
"""What the rarer ways to open a vault ask for: a PKCS#11 token, a systemd credential."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QVBoxLayout, QWidget

from watchword.core.errors import UsageError
from watchword.core.secret import Secret
from watchword.core.vault.credential_way import (
    DEFAULT_NAME,
    check_credential_name,
    credentials_directory,
)

from ..widgets.fonts import SMALL, TIGHT
from ..widgets.path_field import PathField, PathKind
from ..widgets.problem_line import ProblemLine
from ..widgets.secret_field import SecretField
from .vault_given import known_module


def labelled(words: str, field: QWidget) -> QVBoxLayout:
    """A field below its label; ``words`` may hold a shortcut."""
    label = QLabel(words)
    label.setBuddy(field)
    field.setAccessibleName(words.replace("&", ""))
    column = QVBoxLayout()
    column.setSpacing(TIGHT)
    column.addWidget(label)
    column.addWidget(field)
    return column


class TokenFields(QWidget):
    """Its library, its label where the vault is new, and its PIN."""

    changed = Signal()

    def __init__(self, *, new: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._new = new
        self.module = PathField(self.tr("The token's PKCS#11 &library"), purpose="pkcs11")
        self.module.set_path(known_module())
        self.module.edit.setPlaceholderText("/usr/lib/softhsm/libsofthsm2.so")
        self.label = QLineEdit(self)
        self.label.setVisible(new)
        self.label.setMaxLength(32)
        self.pin = SecretField(self.tr("P&IN of the token"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        column.addWidget(self.module)
        if new:
            column.addLayout(labelled(self.tr("Label of the to&ken"), self.label))
        column.addWidget(self.pin)
        self.module.pathChanged.connect(self.changed)
        self.label.textChanged.connect(self.changed)
        self.pin.changed.connect(self.changed)

    @property
    def complete(self) -> bool:
        """Whether all is filled in."""
        named = bool(self.label.text().strip()) or not self._new
        return bool(self.module.path) and named and not self.pin.empty

    def take_pin(self) -> Secret:
        """The PIN, for the caller to wipe; the field is empty afterwards."""
        return self.pin.take()


class CredentialFields(QWidget):
    """Its name, and where the encrypted one goes; ``new``: it can be made here."""

    changed = Signal()

    def __init__(self, *, new: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._new = new
        self.name = QLineEdit(DEFAULT_NAME)
        self._problem = ProblemLine(self.name)
        self.file = PathField(
            self.tr("New &file for the encrypted credential"),
            PathKind.SAVE,
            purpose="credentials",
            parent=self,
        )
        self.with_key = QComboBox(self)
        for field in (self.file, self.with_key):
            field.setVisible(new)
        for key, words in (
            ("auto", self.tr("TPM 2.0 if there is one, and this host's key")),
            ("host", self.tr("This host's key")),
            ("tpm2", self.tr("TPM 2.0")),
            ("host+tpm2", self.tr("Both of them, or not at all")),
        ):
            self.with_key.addItem(words, key)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        named = labelled(self.tr("&Name of the credential"), self.name)
        named.addWidget(self._problem)
        column.addLayout(named)
        if new:
            column.addWidget(self.file)
            column.addLayout(labelled(self.tr("Encrypted &with"), self.with_key))
        self.name.textChanged.connect(self._judge)
        self.file.pathChanged.connect(self.changed)

    @property
    def complete(self) -> bool:
        """Whether all is filled in; a service of systemd has its credential already."""
        at_hand = credentials_directory() is not None
        made = bool(self.file.path) if self._new else False
        return bool(self.name.text().strip()) and not self._problem.problem and (made or at_hand)

    def _judge(self) -> None:
        try:
            check_credential_name(self.name.text().strip())
        except UsageError as error:
            self._problem.say(f"{error.message} {error.remedy}")
        else:
            self._problem.say("")
        self.changed.emit()
