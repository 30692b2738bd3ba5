# SPDX-License-Identifier: Apache-2.0
"""A message on a page: what happened, why, what to do, with the particulars folded away."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from PySide6.QtGui import QAccessible, QAccessibleEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from watchword.core.errors import ExitStatus, WatchwordError

from .copy_button import CopyButton
from .escape import button_text, shown, shown_line
from .foldable import Foldable
from .fonts import NORMAL, SMALL, TIGHT, WIDE, monospace
from .icon_mark import IconMark
from .painting import paint_card
from .text_label import TextLabel
from .tones import Tone, tone_colours

_ICONS = {
    Tone.OK: "ok",
    Tone.INFO: "info",
    Tone.WARN: "warn",
    Tone.BAD: "bad",
    Tone.NEUTRAL: "info",
}


class Banner(QFrame):
    """Hidden until there is something to say; foreign text in it is shown, never obeyed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tone = Tone.INFO
        self._report = ""
        self._icon = IconMark("info", Tone.INFO, factor=1.15)
        self._title = TextLabel(bold=True)
        self._message = TextLabel()
        self._remedy = TextLabel()
        self._details = Foldable(self.tr("Details"))
        self._details_text = TextLabel(quiet=True)
        self._details_text.setFont(monospace(self.font()))
        self._details.body.addWidget(self._details_text)
        self._copy = CopyButton(
            lambda: self._report, self.tr("details"), label=self.tr("Copy details")
        )
        self._action_row = QWidget()
        self._actions = QHBoxLayout(self._action_row)
        self._buttons: list[QPushButton] = []
        self._lay_out()
        self.hide()

    def _lay_out(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(WIDE, NORMAL, WIDE, NORMAL)
        row.setSpacing(NORMAL)
        left = QVBoxLayout()
        left.addWidget(self._icon)
        left.addStretch(1)
        row.addLayout(left)
        column = QVBoxLayout()
        column.setSpacing(TIGHT)
        for label in (self._title, self._message, self._remedy):
            column.addWidget(label)
        self._actions.setContentsMargins(0, SMALL, 0, 0)
        self._actions.setSpacing(SMALL)
        self._actions.addStretch(1)
        self._action_row.hide()
        self._details.header.insertWidget(1, self._copy)
        column.addWidget(self._action_row)
        column.addWidget(self._details)
        column.addStretch(1)
        row.addLayout(column, 1)

    # -- what it says ------------------------------------------------------------

    def show_error(self, error: WatchwordError, tone: Tone | None = None) -> None:
        """Show one of our errors; what only waits for somebody is no failure."""
        if tone is None:
            waiting = error.exit_status is ExitStatus.WAITING
            tone = Tone.INFO if waiting else Tone.BAD
        self.show_message(
            tone, error.title, error.message, error.remedy, code=error.code, details=error.details
        )

    def show_message(
        self,
        tone: Tone,
        title: str,
        message: str = "",
        remedy: str = "",
        *,
        code: str = "",
        details: Mapping[str, object] | None = None,
    ) -> None:
        """Show a message; actions of the one before are taken away."""
        self._tone = tone
        self.clear_actions()
        self._icon.show_icon(_ICONS[tone], tone)
        for label, text in (
            (self._title, title),
            (self._message, message),
            (self._remedy, remedy),
        ):
            label.say(text)
            label.setVisible(bool(text))
        self._show_details(code, details or {})
        self._report = "\n".join(filter(None, (title, message, remedy, self._details_words)))
        self.setAccessibleName(f"{self._word()}: {shown_line(title)}")
        self.setAccessibleDescription(shown(" ".join(filter(None, (message, remedy)))))
        self.show()
        self.update()
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))

    def clear(self) -> None:
        """Say nothing any more."""
        self.clear_actions()
        self._report = ""
        self.hide()

    @property
    def tone(self) -> Tone:
        """The tone of what is shown."""
        return self._tone

    @property
    def report(self) -> str:
        """What *Copy details* copies."""
        return self._report

    def _word(self) -> str:
        return {
            Tone.OK: self.tr("Success"),
            Tone.INFO: self.tr("Notice"),
            Tone.WARN: self.tr("Warning"),
            Tone.BAD: self.tr("Problem"),
            Tone.NEUTRAL: self.tr("Notice"),
        }[self._tone]

    def _show_details(self, code: str, details: Mapping[str, object]) -> None:
        lines = [self.tr("Code: {code}").format(code=code)] if code else []
        if details:
            lines.append(json.dumps(dict(details), indent=2, ensure_ascii=False, default=str))
        self._details_words = "\n".join(lines)
        self._details_text.say(self._details_words)
        self._details.set_open(False)
        self._details.setVisible(bool(lines))

    # -- what one can do about it --------------------------------------------------

    def add_action(
        self, text: str, do: Callable[[], object], *, primary: bool = False
    ) -> QPushButton:
        """Add a button; ``text`` may hold a shortcut (``&``) if it is our own."""
        button = QPushButton(text)
        button.setAutoDefault(True)
        button.setProperty("primary", primary)
        button.clicked.connect(lambda _checked=False: do())
        self._actions.insertWidget(len(self._buttons), button)
        self._buttons.append(button)
        self._action_row.show()
        return button

    def add_foreign_action(self, text: str, do: Callable[[], object]) -> QPushButton:
        """Add a button whose words come from a host or a file."""
        return self.add_action(button_text(text), do)

    def clear_actions(self) -> None:
        """Take all buttons away that were added."""
        for button in self._buttons:
            self._actions.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._buttons = []
        self._action_row.hide()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the ground in the tone's colours."""
        colours = tone_colours(self._tone, self.palette())
        painter = QPainter(self)
        paint_card(painter, self.rect(), colours.fill, colours.edge)
        painter.end()
