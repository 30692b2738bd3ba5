# SPDX-License-Identifier: Apache-2.0
"""The vault's questions: its passphrase, asked for once, and the recovery code, shown once."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QWidget

from watchword.core.errors import WatchwordError
from watchword.core.secret import Secret

from ..widgets.fonts import SMALL, monospace
from ..widgets.secret_copy_button import SecretCopyButton
from ..widgets.secret_field import SecretField
from ..widgets.text_label import TextLabel
from .page_dialog import PageDialog
from .vault_entries import REVEAL_SECONDS


class PassphraseDialog(PageDialog):
    """Asks for the vault's passphrase; it stays open until the right one was given."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(
            self.tr("Open the vault"),
            self.tr("You are asked once: the vault stays open until you close it."),
            self.tr("Open"),
            parent,
        )
        self.field = SecretField(self.tr("&Passphrase"))
        self.field.changed.connect(self._changed)
        self.body.addWidget(self.field)
        self.set_allowed(False)
        self.field.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def take(self) -> Secret:
        """What was typed, for the caller to wipe; the field is empty afterwards."""
        return self.field.take()

    def show_error(self, error: WatchwordError) -> None:
        """Say what is wrong: a wrong passphrase at its field."""
        self.set_busy(False)
        self.set_allowed(False)
        if error.code == "wrong-passphrase":
            self.field.set_problem(self.tr("This is not the passphrase of this vault. Try again."))
            self.field.edit.setFocus(Qt.FocusReason.OtherFocusReason)
        else:
            self.banner.show_error(error)

    def _changed(self) -> None:
        self.set_allowed(not self.field.empty)


class RecoveryDialog(PageDialog):
    """Shows a new recovery code, 20 seconds at a time while the dialog is open, and never again."""

    def __init__(self, code: Secret, parent: QWidget) -> None:
        super().__init__(
            self.tr("Your recovery code"),
            self.tr(
                "Write it down and keep it apart from this computer. With it and a copy of the"
                " vault file, anybody can read everything in the vault. It is not shown again"
                " once this window is closed, and an earlier code is void now."
            ),
            self.tr("Done"),
            parent,
        )
        self._code = code
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REVEAL_SECONDS * 1000)
        self._timer.timeout.connect(self._hide_code)
        self.words = TextLabel(size=1.15)
        self.words.setFont(monospace(self.words.font()))
        self.showing = QPushButton()
        self.showing.setAutoDefault(False)
        self.showing.clicked.connect(self._toggle)
        self.copying = SecretCopyButton(self.tr("recovery code"))
        self.copying.wanted.connect(self._copy)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        for button in (self.showing, self.copying):
            row.addWidget(button)
        row.addStretch(1)
        self.body.addWidget(self.words)
        self.body.addLayout(row)
        self.written = QCheckBox(self.tr("I have &written it down"))
        self.written.toggled.connect(self.set_allowed)
        self.body.addWidget(self.written)
        self.refusing.hide()
        self.set_allowed(False)
        self.agreed.connect(self.accept)
        self.finished.connect(self._forget)
        self._show_code()

    def _show_code(self) -> None:
        with self._code.reveal() as view:
            self.words.say(str(view, "ascii"))
        self.showing.setText(self.tr("&Hide"))
        self._timer.start()

    def _hide_code(self) -> None:
        self._timer.stop()
        self.words.say("····-" * 8 + "····")
        self.words.setAccessibleName(self.tr("The recovery code is hidden"))
        self.showing.setText(self.tr("&Show again for 20 seconds"))

    def _toggle(self) -> None:
        if self._timer.isActive():
            self._hide_code()
        else:
            self._show_code()

    def _forget(self) -> None:
        self._hide_code()
        self._code.wipe()

    def _copy(self) -> None:
        self.copying.put(self._code)

    def reject(self) -> None:
        """Escape closes it only once the code was written down."""
        if self.written.isChecked():
            super().reject()

    def hideEvent(self, event: QHideEvent) -> None:
        """The code leaves the screen with the dialog."""
        super().hideEvent(event)
        self._hide_code()
