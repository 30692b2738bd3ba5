# SPDX-License-Identifier: Apache-2.0
"""A page for what the window does not do yet: it names the command that does it."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QWidget

from ..widgets.copy_button import CopyButton
from ..widgets.empty_state import EmptyState
from ..widgets.fonts import SMALL, monospace
from ..widgets.page_frame import PageFrame
from ..widgets.text_label import TextLabel


class TerminalPage(PageFrame):
    """Says what is done elsewhere, and gives the line to type, to be copied."""

    def __init__(
        self, title: str, icon: str, sentence: str, command: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(title, "", parent)
        state = EmptyState(icon, self.tr("This is done in a terminal for now"), sentence)
        self.content.addWidget(state)
        words = TextLabel(command)
        words.setFont(monospace(words.font()))
        words.setWordWrap(False)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addStretch(1)
        row.addWidget(words)
        row.addWidget(CopyButton(command, self.tr("command")))
        row.addStretch(1)
        self.content.addLayout(row)

    def widget(self) -> QWidget:
        """Itself."""
        return self

    def refresh(self) -> None:
        """Nothing here changes."""
