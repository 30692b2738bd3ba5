# SPDX-License-Identifier: Apache-2.0
"""What stands in the way of a fleet's launches, grouped by cause, with what to do about each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from watchword.core.batch.results import Outcome

from ..widgets.fonts import NORMAL, SMALL
from ..widgets.icon_mark import IconMark
from ..widgets.section import Section
from ..widgets.text_label import TextLabel
from .fleet_rows import FleetRow, Trouble
from .fleet_words import outcome_look

_MOST_CARDS: Final = 12
_MOST_NAMED: Final = 12


@dataclass(frozen=True, slots=True)
class RowCause:
    """What several launches have in their way; ``example`` is what the first says of it."""

    outcome: Outcome
    example: Trouble
    names: tuple[str, ...]


def causes_of(rows: Sequence[FleetRow]) -> tuple[RowCause, ...]:
    """By outcome and code, what is so most often first."""
    found: dict[tuple[Outcome, str], tuple[Trouble, list[str]]] = {}
    for row in rows:
        if row.trouble is not None and row.outcome is not None:
            key = row.outcome, row.trouble.code
            found.setdefault(key, (row.trouble, []))[1].append(row.name)
    causes = [
        RowCause(outcome, example, tuple(names)) for (outcome, _), (example, names) in found.items()
    ]
    return tuple(sorted(causes, key=lambda cause: -len(cause.names)))


class CauseCard(Section):
    """One cause: how many, what it is, what to do, and who."""

    showWanted = Signal(str)

    def __init__(self, cause: RowCause, parent: QWidget | None = None) -> None:
        super().__init__("", "", parent)
        self._code = cause.example.code
        look = outcome_look(cause.outcome)
        self._title, self._message = TextLabel(bold=True), TextLabel()
        self._remedy, self._names = TextLabel(), TextLabel(quiet=True)
        self.showing = QPushButton()
        self.showing.setAutoDefault(True)
        self.showing.clicked.connect(lambda _checked=False: self.showWanted.emit(self._code))
        top = QHBoxLayout()
        top.setSpacing(SMALL)
        top.addWidget(IconMark(look.icon, look.tone))
        top.addWidget(self._title, 1)
        top.addWidget(self.showing)
        self.body.addLayout(top)
        for label in (self._message, self._remedy, self._names):
            self.body.addWidget(label)
        self.show_cause(cause)

    def show_cause(self, cause: RowCause) -> None:
        """Show it with the launches that have it by now."""
        example, names = cause.example, cause.names
        what = outcome_look(cause.outcome).word
        self._title.say(f"{what} ({len(names)}): {example.title.removeprefix(f'{what}: ')}")
        self._message.say(f"{names[0]}: {example.message}")
        self._remedy.say(example.remedy)
        more = len(names) - _MOST_NAMED
        listed = ", ".join(names[:_MOST_NAMED])
        if more > 0:
            listed = self.tr("{names} and {n} more").format(names=listed, n=more)
        self._names.say(f"{example.code}: {listed}")
        self.showing.setText(self.tr("Show {n}").format(n=len(names)))
        self.showing.setAccessibleName(
            self.tr("Show these launches in the table: {title}").format(title=example.title)
        )
        self.setAccessibleName(self._title.accessibleName())


class FleetCauses(QWidget):
    """The cards; ``showWanted`` comes with the code of a cause whose launches are to be shown."""

    showWanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.causes: tuple[RowCause, ...] = ()
        self.cards: dict[tuple[Outcome, str], CauseCard] = {}
        self._heading = TextLabel(self.tr("What is in their way"), size=1.15, bold=True)
        self._more = TextLabel(quiet=True)
        self._list = QVBoxLayout()
        self._list.setSpacing(NORMAL)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        column.addWidget(self._heading)
        column.addLayout(self._list)
        column.addWidget(self._more)
        self._more.hide()
        self.hide()

    def show_causes(self, causes: tuple[RowCause, ...]) -> None:
        """Show these; cards that stay are the same widgets as before."""
        if causes == self.causes:
            return
        self.causes = causes
        told = {(one.outcome, one.example.code): one for one in causes[:_MOST_CARDS]}
        for key in self.cards.keys() - told.keys():
            card = self.cards.pop(key)
            self._list.removeWidget(card)
            card.hide()
            card.deleteLater()
        for place, (key, cause) in enumerate(told.items()):
            if key in self.cards:
                self.cards[key].show_cause(cause)
            else:
                self.cards[key] = CauseCard(cause)
                self.cards[key].showWanted.connect(self.showWanted)
            if self._list.indexOf(self.cards[key]) != place:
                self._list.insertWidget(place, self.cards[key])
        self._order_keys(told)
        more = len(causes) - len(told)
        self._more.say(self.tr("And {n} other causes, each rarer.").format(n=more))
        self._more.setVisible(more > 0)
        self.setVisible(bool(causes))

    def _order_keys(self, told: Iterable[tuple[Outcome, str]]) -> None:
        """The Tab key goes from one to the next as they are seen."""
        buttons = [self.cards[key].showing for key in told]
        for first, second in pairwise(buttons):
            QWidget.setTabOrder(first, second)
