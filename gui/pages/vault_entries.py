# SPDX-License-Identifier: Apache-2.0
"""The entries of the open vault: names, kinds and times, and a secret for 20 seconds at most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryInfo

from ..widgets.escape import tool_tip
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL, SMALL, TIGHT, monospace
from ..widgets.icons import muted_icon
from ..widgets.layouts import empty_out
from ..widgets.secret_copy_button import SecretCopyButton
from ..widgets.text_label import TextLabel
from .vault_service import OWN_KINDS
from .vault_words import kind_name

REVEAL_SECONDS: Final = 20
MOST_SHOWN: Final = 100
"""Entries that are shown at once; the others are found by name."""
_FILTER_FROM: Final = 8


class EntryRow(QWidget):
    """One entry; what is asked of it goes to the page, which has the vault."""

    revealWanted = Signal()
    copyWanted = Signal()
    removeWanted = Signal()

    def __init__(self, info: EntryInfo, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.info = info
        self._left = 0
        self._timer = QTimer(self)
        self._timer.setInterval(1000)
        self._timer.timeout.connect(self._tick)
        self.reveal = self._tool("show", self.tr("Show {name} for 20 seconds"))
        self.reveal.clicked.connect(self._reveal_clicked)
        self.copy = SecretCopyButton(info.name)
        self.copy.wanted.connect(self.copyWanted)
        self.remove = self._tool("delete", self.tr("Remove {name}"))
        self.remove.clicked.connect(self.removeWanted)
        self._value = TextLabel()
        self._value.setFont(monospace(self.font()))
        self._note = TextLabel(quiet=True)
        self._lay_out()

    def _tool(self, icon: str, name: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(muted_icon(icon))
        button.setAutoRaise(True)
        words = name.format(name=self.info.name)
        button.setAccessibleName(words)
        button.setToolTip(tool_tip(words))
        return button

    def _lay_out(self) -> None:
        about = QVBoxLayout()
        about.setSpacing(0)
        about.addWidget(TextLabel(self.info.name, bold=True))
        words = f"{kind_name(self.info.kind)} · {shown_time(self.info.created)}"
        about.addWidget(TextLabel(words, quiet=True))
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addLayout(about, 1)
        for button in (self.reveal, self.copy, self.remove):
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, TIGHT, 0, TIGHT)
        column.setSpacing(TIGHT)
        column.addLayout(row)
        for label in (self._value, self._note):
            label.hide()
            column.addWidget(label)

    # -- the secret ----------------------------------------------------------------

    @property
    def revealed(self) -> bool:
        """Whether the secret is on the screen."""
        return self._left > 0

    def show_secret(self, secret: Secret) -> None:
        """Show it for 20 seconds; it is wiped here."""
        try:
            text, note = self._readable(secret)
        finally:
            secret.wipe()
        self._value.say(text)
        self._note.say(note)
        self._note.setVisible(bool(note))
        self._value.show()
        self._left = REVEAL_SECONDS
        self._timer.start()
        self._show_button()

    def copy_secret(self, secret: Secret) -> None:
        """Copy it for 20 seconds; it is wiped here."""
        try:
            self.copy.put(secret)
        finally:
            secret.wipe()

    def _readable(self, secret: Secret) -> tuple[str, str]:
        """The secret as text, or in hex where it is none; and what to know about that."""
        with secret.reveal() as view:
            try:
                text = str(view, "utf-8")
            except UnicodeDecodeError:
                text = "\0"
            if text.isprintable():
                return text, ""
            if text[-1:] == "\n" and text[:-1].isprintable():
                return text[:-1], self.tr("A newline follows, which is part of the secret.")
            return view.hex(), self.tr("In hex, because it is no plain text.")

    def hide_secret(self) -> None:
        """Take it off the screen."""
        self._timer.stop()
        self._left = 0
        for label in (self._value, self._note):
            label.say("")
            label.hide()
        self._show_button()

    def hideEvent(self, event: QHideEvent) -> None:
        """A page that is left shows no secret when it comes back."""
        super().hideEvent(event)
        if self.revealed:
            self.hide_secret()

    def _reveal_clicked(self) -> None:
        if self.revealed:
            self.hide_secret()
        else:
            self.revealWanted.emit()

    def _tick(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.hide_secret()
        else:
            self._show_button()

    def _show_button(self) -> None:
        words = self.tr("Show {name} for 20 seconds")
        if self.revealed:
            words = self.tr("Hide {name}; it hides by itself in {seconds} seconds")
        name = words.format(name=self.info.name, seconds=self._left)
        self.reveal.setIcon(muted_icon("hide" if self.revealed else "show"))
        self.reveal.setAccessibleName(name)
        self.reveal.setToolTip(tool_tip(name))


class EntryList(QWidget):
    """All entries: the owner's with what can be done to them, Watchword's own keys by name.

    The signals come with the name of an entry.
    """

    revealWanted = Signal(str)
    copyWanted = Signal(str)
    removeWanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: tuple[EntryInfo, ...] = ()
        self.rows: list[EntryRow] = []
        self.sought = QLineEdit()
        self.sought.setPlaceholderText(self.tr("Find by name"))
        self.sought.setAccessibleName(self.tr("Find an entry by name"))
        self.sought.setClearButtonEnabled(True)
        self.sought.textChanged.connect(self._fill)
        self._column = QVBoxLayout()
        self._column.setSpacing(TIGHT)
        self._more = TextLabel(quiet=True)
        self.own = Foldable(self.tr("Keys that Watchword keeps for itself"))
        self._own_names = TextLabel(quiet=True)
        self.own.body.addWidget(self._own_names)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        column.addWidget(self.sought)
        column.addLayout(self._column)
        column.addWidget(self._more)
        column.addWidget(self.own)

    def show_entries(self, entries: Sequence[EntryInfo]) -> None:
        """Show these; what is on the screen stays if nothing has changed."""
        if tuple(entries) == self._entries:
            return
        self._entries = tuple(entries)
        self._fill()

    def row_of(self, name: str) -> EntryRow | None:
        """The row of an entry, if it is shown at this moment."""
        return next((row for row in self.rows if row.info.name == name), None)

    def _fill(self) -> None:
        mine = [entry for entry in self._entries if entry.kind not in OWN_KINDS]
        self.sought.setVisible(len(mine) > _FILTER_FROM or bool(self.sought.text()))
        words = self.sought.text().strip().lower()
        found = [entry for entry in mine if words in entry.name.lower()]
        self.rows = []
        empty_out(self._column)
        for entry in found[:MOST_SHOWN]:
            self._add(EntryRow(entry))
        left = len(found) - MOST_SHOWN
        text = self.tr("{n} more: find them by name.").format(n=left) if left > 0 else ""
        if mine and not found:
            text = self.tr("No entry has this in its name.")
        self._more.say(text)
        self._more.setVisible(bool(text))
        self._fill_own([entry for entry in self._entries if entry.kind in OWN_KINDS])

    def _add(self, row: EntryRow) -> None:
        name = row.info.name
        row.revealWanted.connect(lambda: self.revealWanted.emit(name))
        row.copyWanted.connect(lambda: self.copyWanted.emit(name))
        row.removeWanted.connect(lambda: self.removeWanted.emit(name))
        self.rows.append(row)
        self._column.addWidget(row)

    def _fill_own(self, own: Sequence[EntryInfo]) -> None:
        self.own.setVisible(bool(own))
        lines = [f"{entry.name} ({kind_name(entry.kind)})" for entry in own]
        self._own_names.say("\n".join(lines[:MOST_SHOWN]))


def shown_time(text: str) -> str:
    """``2026-11-23T14:00:00Z`` as people write it."""
    return text.replace("T", " ").replace("Z", " UTC")
