# SPDX-License-Identifier: Apache-2.0
"""How a vault shall open, to be chosen: nothing is chosen beforehand, the rare is folded away."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QLayout, QRadioButton, QVBoxLayout, QWidget

from watchword.core.vault.header import OpenWith

from ..widgets.foldable import Foldable
from ..widgets.fonts import LARGE, SMALL
from ..widgets.secret_field import SecretField
from ..widgets.text_label import TextLabel
from .vault_given import Given
from .vault_way_fields import CredentialFields, TokenFields


class WayChooser(QWidget):
    """``changed`` with every edit; :meth:`take` hands out what was chosen and filled in.

    ``new``  a new vault: for this session only may be chosen, a credential may be made
    """

    changed = Signal()

    def __init__(self, *, new: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group = QButtonGroup(self)
        self.choices: dict[OpenWith, QRadioButton] = {}
        self.passphrase = SecretField(self.tr("&Passphrase of the vault"), repeat=True)
        self.token = TokenFields(new=True)
        self.credential = CredentialFields(new=new)
        self._fields: dict[OpenWith, QWidget] = {
            OpenWith.PASSPHRASE: self.passphrase,
            OpenWith.PKCS11: self.token,
            OpenWith.SYSTEMD_CREDENTIAL: self.credential,
        }
        self.others = Foldable(self.tr("Other ways: a token, a service"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        self._add_common(column, new=new)
        column.addWidget(self.others)
        self._add_others()
        for fields in (self.passphrase, self.token, self.credential):
            fields.setContentsMargins(LARGE, SMALL, 0, SMALL)
            fields.hide()
            fields.changed.connect(self.changed)

    def _add_common(self, column: QVBoxLayout, *, new: bool) -> None:
        self._add(
            column,
            OpenWith.KEYRING,
            self.tr("With the &keyring of this computer"),
            self.tr(
                "Best on a desktop: it opens when you are logged in, and an older copy of the"
                " file is noticed."
            ),
        )
        self._add(
            column,
            OpenWith.PASSPHRASE,
            self.tr("With a p&assphrase"),
            self.tr("Where there is no keyring: you type it once each time Watchword starts."),
        )
        if new:
            self._add(
                column,
                OpenWith.SESSION_ONLY,
                self.tr("For this &session only"),
                self.tr("To try things: nothing is kept when Watchword ends."),
            )

    def _add_others(self) -> None:
        self._add(
            self.others.body,
            OpenWith.PKCS11,
            self.tr("With a PKCS#11 &token"),
            self.tr(
                "A smart card, HSM or security key makes a key that never leaves it; you type its"
                " PIN once each time Watchword starts."
            ),
        )
        self._add(
            self.others.body,
            OpenWith.SYSTEMD_CREDENTIAL,
            self.tr("With a systemd &credential"),
            self.tr(
                "For a service on a server without anybody at it. A window that no service has"
                " started can't open such a vault again."
            ),
        )

    def _add(self, column: QLayout, way: OpenWith, title: str, sentence: str) -> None:
        choice = QRadioButton(title)
        choice.setAccessibleDescription(sentence)
        choice.toggled.connect(self._show)
        words = TextLabel(sentence, quiet=True)
        words.setContentsMargins(LARGE, 0, 0, 0)
        self._group.addButton(choice)
        self.choices[way] = choice
        holder = QWidget()
        inner = QVBoxLayout(holder)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(0)
        inner.addWidget(choice)
        inner.addWidget(words)
        if way in self._fields:
            inner.addWidget(self._fields[way])
        column.addWidget(holder)

    @property
    def chosen(self) -> OpenWith | None:
        """The way that is chosen; None before anybody chose."""
        return next((way for way, choice in self.choices.items() if choice.isChecked()), None)

    @property
    def complete(self) -> bool:
        """Whether a way is chosen, and what it needs is filled in."""
        chosen = self.chosen
        return {
            None: False,
            OpenWith.PASSPHRASE: self.passphrase.complete,
            OpenWith.PKCS11: self.token.complete,
            OpenWith.SYSTEMD_CREDENTIAL: self.credential.complete,
        }.get(chosen, True)

    def take(self) -> Given:
        """What was filled in, for the caller to wipe; secrets leave their fields."""
        chosen = self.chosen or OpenWith.KEYRING
        given = Given(open_with=chosen)
        if chosen is OpenWith.PASSPHRASE:
            given.passphrase = self.passphrase.take()
        elif chosen is OpenWith.PKCS11:
            given.module, given.token = self.token.module.path, self.token.label.text().strip()
            given.pin = self.token.take_pin()
        elif chosen is OpenWith.SYSTEMD_CREDENTIAL:
            given.credential = self.credential.name.text().strip()
            given.credential_out = self.credential.file.path
            given.with_key = self.credential.with_key.currentData()
        return given

    def clear(self) -> None:
        """Forget typed secrets."""
        self.passphrase.clear()
        self.token.pin.clear()

    def _show(self) -> None:
        chosen = self.chosen
        for way, fields in self._fields.items():
            if way is chosen and fields.isHidden():
                fields.show()
                self._focus(way)
            elif way is not chosen and not fields.isHidden():
                fields.hide()
        if chosen is not OpenWith.PASSPHRASE:
            self.passphrase.clear()
        if chosen is not OpenWith.PKCS11:
            self.token.pin.clear()
        self.changed.emit()

    def _focus(self, way: OpenWith) -> None:
        first = {
            OpenWith.PASSPHRASE: self.passphrase.edit,
            OpenWith.PKCS11: self.token.module.edit,
            OpenWith.SYSTEMD_CREDENTIAL: self.credential.name,
        }[way]
        first.setFocus(Qt.FocusReason.OtherFocusReason)
