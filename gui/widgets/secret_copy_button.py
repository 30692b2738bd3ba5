# SPDX-License-Identifier: Apache-2.0
"""A button that copies a secret and counts down until the clipboard is cleared again."""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QPushButton, QWidget

from watchword.core.secret import Secret

from .icons import icon, tone_icon
from .secret_clipboard import SecretClipboard
from .tones import Tone


class SecretCopyButton(QPushButton):
    """A click only asks for the secret (``wanted``): the page fetches it and calls :meth:`put`.

    ``what`` names the secret, as in “Copy disk passphrase”.
    """

    wanted = Signal()

    def __init__(
        self, what: str, clipboard: SecretClipboard | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._name = self.tr("Copy {what}").format(what=what)
        self._copy = 0
        self._clipboard = clipboard or SecretClipboard.of_application()
        self._clipboard.counted.connect(self._count)
        self._clipboard.cleared.connect(self._show_cleared)
        self._clipboard.stuck.connect(self._show_stuck)
        self.setAutoDefault(False)
        self.clicked.connect(self.wanted)
        self._show("copy", self.tr("Copy"), None)

    def put(self, secret: Secret) -> bool:
        """Copy the secret; False if it is no text, which the button then says. Wipe it yourself."""
        try:
            with secret.reveal() as view:
                text = str(view, "utf-8")
        except UnicodeDecodeError:
            self._show("warn", self.tr("Not text, can't be copied"), Tone.WARN)
            return False
        self._copy = self._clipboard.copies + 1
        self._clipboard.put(text)
        self.updateGeometry()
        return True

    @property
    def _mine(self) -> bool:
        """Whether what the clipboard holds, or held last, came from this button."""
        return self._copy == self._clipboard.copies > 0

    def _count(self, seconds: int) -> None:
        if self._mine:
            words = self.tr("Clears in {seconds} s").format(seconds=seconds)
            self._show("clock", words, Tone.INFO)
        elif self._copy:
            self._copy = 0
            self._show("copy", self.tr("Copy"), None)

    def _show_cleared(self) -> None:
        if self._mine:
            self._show("check", self.tr("Clipboard cleared"), Tone.OK)

    def _show_stuck(self) -> None:
        if self._mine:
            self._show("warn", self.tr("Couldn't clear the clipboard"), Tone.WARN)

    def _show(self, name: str, words: str, tone: Tone | None) -> None:
        self.setIcon(icon(name) if tone is None else tone_icon(name, tone))
        self.setText(words)
        self.setAccessibleName(self._name if tone is None else f"{self._name}: {words}")

    def sizeHint(self) -> QSize:
        """Room for the longest of its words, so that nothing moves while it counts."""
        hint = super().sizeHint()
        if not self._mine:
            return hint
        longest = max(
            self.tr("Clears in {seconds} s").format(seconds=88),
            self.tr("Clipboard cleared"),
            key=self.fontMetrics().horizontalAdvance,
        )
        metrics = self.fontMetrics()
        more = metrics.horizontalAdvance(longest) - metrics.horizontalAdvance(self.text())
        return QSize(hint.width() + max(0, more), hint.height())
