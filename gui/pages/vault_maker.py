# SPDX-License-Identifier: Apache-2.0
"""Where a vault is made: how it shall open is chosen, and nothing is chosen beforehand."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from watchword.core.secret import Secret
from watchword.core.vault.header import OpenWith

from ..widgets.fonts import LARGE, SMALL
from ..widgets.secret_field import SecretField
from ..widgets.section import Section
from ..widgets.text_label import TextLabel


class VaultMaker(Section):
    """``wanted`` comes with the way; :meth:`take_passphrase` hands the passphrase out."""

    wanted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", "", parent)
        self.setAccessibleName(self.tr("Make a vault"))
        self.body.addWidget(TextLabel(self.tr("How shall it open?"), size=1.1, bold=True))
        self._group = QButtonGroup(self)
        self.choices: dict[OpenWith, QRadioButton] = {}
        self.passphrase = SecretField(self.tr("&Passphrase of the vault"), repeat=True)
        self.passphrase.setContentsMargins(LARGE, SMALL, 0, SMALL)
        self.passphrase.hide()
        self.passphrase.changed.connect(self._show)
        for way, title, sentence in self._ways():
            self._add_choice(way, title, sentence)
        self.button = QPushButton(self.tr("&Make the vault"))
        self.button.setAutoDefault(True)
        self.button.setProperty("primary", True)
        self.button.clicked.connect(self._want)
        row = QHBoxLayout()
        row.addWidget(self.button)
        row.addStretch(1)
        self.body.addSpacing(SMALL)
        self.body.addLayout(row)
        self._busy = False
        self._show()

    def _ways(self) -> tuple[tuple[OpenWith, str, str], ...]:
        return (
            (
                OpenWith.KEYRING,
                self.tr("With the &keyring of this computer"),
                self.tr(
                    "Best on a desktop: it opens when you are logged in, and an older copy of the"
                    " file is noticed."
                ),
            ),
            (
                OpenWith.PASSPHRASE,
                self.tr("With a p&assphrase"),
                self.tr("Where there is no keyring: you type it once each time Watchword starts."),
            ),
            (
                OpenWith.SESSION_ONLY,
                self.tr("For this &session only"),
                self.tr("To try things: nothing is kept when Watchword ends."),
            ),
        )

    def _add_choice(self, way: OpenWith, title: str, sentence: str) -> None:
        choice = QRadioButton(title)
        choice.setAccessibleDescription(sentence)
        choice.toggled.connect(self._show)
        words = TextLabel(sentence, quiet=True)
        words.setContentsMargins(LARGE, 0, 0, 0)
        self._group.addButton(choice)
        self.choices[way] = choice
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(choice)
        column.addWidget(words)
        if way is OpenWith.PASSPHRASE:
            column.addWidget(self.passphrase)
        self.body.addLayout(column)

    @property
    def chosen(self) -> OpenWith | None:
        """The way that is chosen; None before anybody chose."""
        return next((way for way, choice in self.choices.items() if choice.isChecked()), None)

    def take_passphrase(self) -> Secret | None:
        """The passphrase, for the caller to wipe; None for the other ways."""
        return self.passphrase.take() if self.chosen is OpenWith.PASSPHRASE else None

    def set_busy(self, busy: bool) -> None:
        """Whether something is under way."""
        self._busy = busy
        self._show()

    def _show(self) -> None:
        with_passphrase = self.chosen is OpenWith.PASSPHRASE
        if with_passphrase and self.passphrase.isHidden():
            self.passphrase.show()
            self.passphrase.edit.setFocus(Qt.FocusReason.OtherFocusReason)
        elif not with_passphrase and not self.passphrase.isHidden():
            self.passphrase.clear()
            self.passphrase.hide()
        ready = self.passphrase.complete if with_passphrase else self.chosen is not None
        self.button.setEnabled(ready and not self._busy)

    def _want(self) -> None:
        self.wanted.emit(self.chosen)
