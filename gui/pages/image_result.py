# SPDX-License-Identifier: Apache-2.0
"""What came of a build: the image, its recovery key to be written down, and how to go on."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from watchword.core.image.order import BuiltImage
from watchword.core.secret import Secret

from ..widgets.banner import Banner
from ..widgets.fonts import NORMAL, SMALL, monospace
from ..widgets.key_value_table import KeyValueTable, Row
from ..widgets.layouts import empty_out
from ..widgets.secret_copy_button import SecretCopyButton
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .vault_entries import REVEAL_SECONDS

_HIDDEN = "····-" * 7 + "····"


class RecoveryKey(Section):
    """Hidden until it is asked for, then for 20 seconds; the page fetches it from the vault.

    ``showWanted``, ``copyWanted``  answered by :meth:`show_key` and :meth:`copy_key`
    """

    showWanted = Signal()
    copyWanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setAccessibleName(self.tr("Recovery key"))
        self.body.addWidget(TextLabel(self.tr("Write its recovery key down"), size=1.1, bold=True))
        self.body.addWidget(
            TextLabel(
                self.tr(
                    "Keep it apart from this computer: it opens the disk at any prompt when the"
                    " boot key is lost. It is in the vault too."
                ),
                quiet=True,
            )
        )
        self.words = TextLabel(size=1.15)
        self.words.setFont(monospace(self.words.font()))
        self.showing = QPushButton()
        self.showing.setAutoDefault(False)
        self.showing.clicked.connect(self._toggle)
        self.copying = SecretCopyButton(self.tr("recovery key"))
        self.copying.wanted.connect(self.copyWanted)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REVEAL_SECONDS * 1000)
        self._timer.timeout.connect(self.hide_key)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.showing)
        row.addWidget(self.copying)
        row.addStretch(1)
        self.body.addWidget(self.words)
        self.body.addLayout(row)
        self.hide_key()

    @property
    def shown(self) -> bool:
        """Whether the key is on the screen."""
        return self._timer.isActive()

    def show_key(self, key: Secret) -> None:
        """Show it for 20 seconds; it is wiped here."""
        try:
            with key.reveal() as view:
                self.words.say(str(view, "ascii"))
        finally:
            key.wipe()
        self.showing.setText(self.tr("&Hide"))
        self._timer.start()

    def copy_key(self, key: Secret) -> None:
        """Copy it for 20 seconds; it is wiped here."""
        try:
            self.copying.put(key)
        finally:
            key.wipe()

    def hide_key(self) -> None:
        """Take it off the screen."""
        self._timer.stop()
        self.words.say(_HIDDEN)
        self.words.setAccessibleName(self.tr("The recovery key is hidden"))
        self.showing.setText(self.tr("&Show for 20 seconds"))

    def hideEvent(self, event: QHideEvent) -> None:
        """A page that is left shows no secret when it comes back."""
        super().hideEvent(event)
        if self.shown:
            self.hide_key()

    def _toggle(self) -> None:
        if self.shown:
            self.hide_key()
        else:
            self.showWanted.emit()


class ImageResult(QWidget):
    """The signals ask the page; what can be done next needs a profile, which needs firmware."""

    rehearseWanted = Signal()
    launchWanted = Signal()
    anotherWanted = Signal()
    leaveWanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.banner = Banner()
        self.recovery = RecoveryKey()
        self._facts = KeyValueTable()
        self._warnings = QVBoxLayout()
        self.rehearse = self._button(self.tr("&Rehearse this guest…"), self.rehearseWanted)
        self.rehearse.setProperty("primary", True)
        self.launch = self._button(self.tr("&Launch…"), self.launchWanted)
        self.another = self._button(self.tr("Build &another"), self.anotherWanted)
        self.leaving = self._button(self.tr("&Done"), self.leaveWanted)
        self._lay_out()

    def _button(self, words: str, signal: object) -> QPushButton:
        button = QPushButton(words)
        button.setAutoDefault(True)
        button.clicked.connect(signal)
        return button

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        column.addWidget(self.banner)
        self._warnings.setSpacing(SMALL)
        column.addLayout(self._warnings)
        column.addWidget(self.recovery)
        about = Section(self.tr("The image"))
        about.body.addWidget(self._facts)
        column.addWidget(about)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        for button in (self.rehearse, self.launch, self.another, self.leaving):
            row.addWidget(button)
        row.addStretch(1)
        column.addLayout(row)

    def show_image(self, built: BuiltImage, note: str = "") -> None:
        """Show another one; ``note`` is what went less well than it should."""
        words = self.tr("No guest profile was made, for want of firmware: make one under Guests.")
        if built.profile is not None:
            words = self.tr("The guest {name} is ready to be rehearsed, and to be launched.")
            words = words.format(name=built.profile)
        self.banner.show_message(Tone.OK, self.tr("The encrypted image is built"), words)
        empty_out(self._warnings)
        for warning in (*built.warnings, *([note] if note else [])):
            banner = Banner()
            banner.show_message(Tone.WARN, warning)
            self._warnings.addWidget(banner)
        self.recovery.hide_key()
        self._facts.set_rows(self._rows(built))
        for button in (self.rehearse, self.launch):
            button.setVisible(built.profile is not None)

    def _rows(self, built: BuiltImage) -> list[Row]:
        size = self.tr("{format}, {n} MiB").format(format=built.format.value, n=built.size >> 20)
        rows = [
            Row(self.tr("File"), str(built.path), copy=True),
            Row(self.tr("Size"), size),
            Row(self.tr("Encryption"), f"LUKS{built.luks}, UUID {built.luks_uuid}"),
            Row(self.tr("Boot key"), self._entry(built.boot_entry, 0)),
            Row(self.tr("Recovery key"), self._entry(built.recovery_entry, 1)),
        ]
        for name, value in (
            (self.tr("Kernel"), built.kernel),
            (self.tr("Initrd"), built.initrd),
            (self.tr("Command line"), built.cmdline),
        ):
            if value is not None:
                rows.append(Row(name, str(value), copy=True))
        return rows

    def _entry(self, entry: str, slot: int) -> str:
        return self.tr("vault entry {entry}, slot {n}").format(entry=entry, n=slot)
