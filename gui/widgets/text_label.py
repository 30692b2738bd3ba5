# SPDX-License-Identifier: Apache-2.0
"""Text that is never taken for markup, wraps, and follows the palette."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QLabel, QWidget

from .escape import breakable, shown
from .fonts import sized
from .tones import Tone, muted, tone_colours


class TextLabel(QLabel):
    """A plain-text label; foreign text may be given as it is.

    ``size``   as a factor of the user's font
    ``quiet``  with less weight than the text around it
    ``tone``   in the colour of a tone; an icon beside it must say the same
    """

    def __init__(
        self,
        text: str = "",
        *,
        size: float = 1.0,
        bold: bool = False,
        quiet: bool = False,
        tone: Tone | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._quiet = quiet
        self._tone = tone
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        if size != 1.0 or bold:
            self.setFont(sized(self.font(), size, bold=bold))
        self.say(text)
        self._colour()

    def say(self, text: str) -> None:
        """Show another text; control characters in it are written out."""
        plain = shown(text)
        self.setAccessibleName(plain)
        self.setText(breakable(plain))

    def set_tone(self, tone: Tone | None) -> None:
        """Change the colour; None for the colour of ordinary text."""
        self._tone = tone
        self._colour()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the palette."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.ApplicationPaletteChange):
            self._colour()

    def _colour(self) -> None:
        role = QPalette.ColorRole.WindowText
        if self._tone is not None:
            wanted = tone_colours(self._tone, self.palette()).text
        elif self._quiet:
            wanted = muted(self.palette())
        else:
            if self.testAttribute(Qt.WidgetAttribute.WA_SetPalette):
                self.setPalette(QPalette())
            return
        if self.palette().color(role) != wanted:
            palette = QPalette()
            palette.setColor(role, wanted)
            self.setPalette(palette)
