# SPDX-License-Identifier: Apache-2.0
"""Asks for what the vault's key needs: the token's PIN, a new key, a copy to be restored."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QButtonGroup, QCheckBox, QRadioButton, QVBoxLayout, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.secret import Secret
from watchword.core.vault.header import OpenWith

from ..widgets.fonts import LARGE, SMALL
from ..widgets.path_field import PathField
from ..widgets.secret_field import SecretField
from ..widgets.text_label import TextLabel
from .page_dialog import PageDialog
from .vault_given import Given
from .vault_way_chooser import WayChooser
from .vault_way_fields import TokenFields


class TokenDialog(PageDialog):
    """Asks for the token's library and PIN; it stays open until the vault is."""

    def __init__(self, token: str, parent: QWidget) -> None:
        super().__init__(
            self.tr("Open the vault"),
            self.tr(
                "Its key is in the token “{token}”. Tokens count wrong PINs, and lock themselves"
                " after a few."
            ).format(token=token),
            self.tr("Open"),
            parent,
        )
        self.fields = TokenFields(new=False)
        self.fields.changed.connect(lambda: self.set_allowed(self.fields.complete))
        self.body.addWidget(self.fields)
        self.set_allowed(False)
        first = self.fields.pin.edit if self.fields.module.path else self.fields.module.edit
        first.setFocus(Qt.FocusReason.OtherFocusReason)

    def take(self) -> Given:
        """What was filled in, for the caller to wipe."""
        module = self.fields.module.path
        return Given(open_with=OpenWith.PKCS11, module=module, pin=self.fields.take_pin())

    def show_error(self, error: WatchwordError) -> None:
        """Say why the token did not open it; the PIN is to be typed again."""
        self.set_allowed(False)
        super().show_error(error)


class RotateDialog(PageDialog):
    """What a new key means, and what it needs."""

    def __init__(self, open_with: OpenWith, parent: QWidget, *, has_code: bool) -> None:
        super().__init__(
            self.tr("Give the vault a new key?"), "", self.tr("&Make a new key"), parent
        )
        words = self.tr(
            "Everything in it is sealed anew. Copies of the file that were made before still open"
            " with the old key, passphrase or recovery code."
        )
        if has_code:
            words += "\n\n" + self.tr(
                "The recovery code becomes void, and you are shown a new one to write down."
            )
        self.body.addWidget(TextLabel(words))
        self._open_with = open_with
        self.field = SecretField(self._label(), repeat=open_with is OpenWith.PASSPHRASE)
        self.field.setVisible(open_with in (OpenWith.PASSPHRASE, OpenWith.PKCS11))
        self.field.changed.connect(self._changed)
        self.body.addWidget(self.field)
        self._changed()
        if not self.field.isHidden():
            self.field.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def _label(self) -> str:
        if self._open_with is OpenWith.PKCS11:
            return self.tr("P&IN of the token")
        return self.tr("New &passphrase of the vault")

    def take(self) -> Given:
        """What was typed, for the caller to wipe."""
        given = Given(open_with=self._open_with)
        if self._open_with is OpenWith.PASSPHRASE:
            given.new_passphrase = self.field.take()
        elif self._open_with is OpenWith.PKCS11:
            given.pin = self.field.take()
        return given

    def show_error(self, error: WatchwordError) -> None:
        """Say why there is no new key; what was typed is to be typed again."""
        super().show_error(error)
        self._changed()

    def _changed(self) -> None:
        self.set_allowed(self.field.isHidden() or self.field.complete)


class RestoreDialog(PageDialog):
    """Which copy, whether it opens by the recovery code, and how it opens from now on.

    ``path``  of the vault that is in place already, if it is to be opened by its code
    """

    def __init__(self, parent: QWidget, *, path: str = "") -> None:
        in_place = bool(path)
        super().__init__(
            self.tr("Use the recovery code") if in_place else self.tr("Restore a vault"),
            "" if in_place else self.tr("Put a copy of a vault file in its place here."),
            self.tr("Open it") if in_place else self.tr("Restore"),
            parent,
        )
        self.file = PathField(self.tr("The copy of the vault &file"), purpose="vault")
        self.file.set_path(path)
        self.file.setVisible(not in_place)
        self.as_before = QRadioButton(self.tr("It opens as it did when it was c&opied"))
        self.by_code = QRadioButton(self.tr("Open it with its &recovery code"))
        self.old = SecretField(self.tr("Passphrase or &PIN, if it needs one"))
        self.code = SecretField(self.tr("&Recovery code"))
        self.chooser = WayChooser(new=False)
        self.accept_older = QCheckBox(
            self.tr("&Accept it although the keyring has seen a newer state")
        )
        self.accept_older.hide()
        self._group = QButtonGroup(self)
        self._arrange(in_place=in_place)
        (self.by_code if in_place else self.as_before).setChecked(True)
        self._connect()
        self._show()

    def _arrange(self, *, in_place: bool) -> None:
        self.body.addWidget(self.file)
        for choice in (self.as_before, self.by_code):
            self._group.addButton(choice)
            choice.setVisible(not in_place)
        self.body.addWidget(self.as_before)
        self.old.setContentsMargins(LARGE, 0, 0, SMALL)
        self.body.addWidget(self.old)
        self.body.addWidget(self.by_code)
        self._with_code = QWidget()
        column = QVBoxLayout(self._with_code)
        column.setContentsMargins(0 if in_place else LARGE, 0, 0, 0)
        column.setSpacing(SMALL)
        column.addWidget(self.code)
        column.addWidget(TextLabel(self.tr("From now on it shall open"), bold=True))
        column.addWidget(self.chooser)
        self.body.addWidget(self._with_code)
        self.body.addWidget(self.accept_older)

    def _connect(self) -> None:
        self.file.pathChanged.connect(self._show)
        self.by_code.toggled.connect(self._show)
        for field in (self.code, self.old):
            field.changed.connect(self._show)
        self.chooser.changed.connect(self._show)

    def _show(self) -> None:
        with_code = self.by_code.isChecked()
        self._with_code.setVisible(with_code)
        self.old.setVisible(not with_code)
        ready = (not self.code.empty and self.chooser.complete) if with_code else True
        self.set_allowed(bool(self.file.path) and ready)

    def take(self) -> tuple[Given, Secret | None]:
        """What was filled in, and the recovery code if it is to be used; both to be wiped."""
        if self.by_code.isChecked():
            return self.chooser.take(), self.code.take()
        given = Given(open_with=OpenWith.PASSPHRASE)
        if not self.old.empty:
            # Whichever the file needs: how it opens, nobody knows before it is read.
            with (typed := self.old.take()).reveal() as view:
                given.pin = Secret(view)
            given.passphrase = typed
        return given, None

    def show_error(self, error: WatchwordError) -> None:
        """Say why it was not restored; an older copy may be accepted all the same."""
        super().show_error(error)
        if error.code == "vault-rolled-back":
            self.accept_older.show()
        self._show()
