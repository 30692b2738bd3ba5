# SPDX-License-Identifier: Apache-2.0
"""How a fleet is run, and what of its manifest has to be agreed to before it may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from watchword.core.batch.fleet import Fleet, FleetLaunch
from watchword.core.batch.intent import Phase
from watchword.core.batch.manifest_values import HIGHEST_LIMIT

from ..fleet_service import FleetOrder
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL, SMALL, TIGHT, monospace
from ..widgets.text_label import TextLabel
from .guests_fields import Field

_MOST_LISTED: Final = 20


class Agreement(QWidget):
    """A box to agree in, and below it, folded away, what is agreed to; hidden without any."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = QCheckBox()
        self.listed = Foldable(self.tr("What it is"))
        self._words = TextLabel(quiet=True)
        self._words.setFont(monospace(self.font()))
        self.listed.body.addWidget(self._words)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        column.addWidget(self.box)
        column.addWidget(self.listed)
        self.hide()

    def ask(self, question: str, lines: Sequence[str]) -> None:
        """Ask about these; what was agreed to for another list counts no more."""
        more = len(lines) - _MOST_LISTED
        listed = [*lines[:_MOST_LISTED]]
        if more > 0:
            listed.append(self.tr("… and {n} more").format(n=more))
        text = "\n".join(listed)
        if text != self._words.accessibleName():
            self.box.setChecked(False)
        self._words.say(text)
        self.box.setText(question)
        self.listed.button.setAccessibleName(self.tr("What it is: {what}").format(what=question))
        self.setVisible(bool(lines))

    @property
    def agreed(self) -> bool:
        """Whether it was agreed to what is listed now."""
        return not self.isHidden() and self.box.isChecked()


class FleetOptions(QWidget):
    """``phaseChanged`` comes when another part of the launches is wanted."""

    phaseChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.starting, self.inline = Agreement(), Agreement()
        self.more = Foldable(self.tr("Options"))
        self.phase = QComboBox()
        for words, phase in (
            (self.tr("From the beginning to the end"), Phase.ALL),
            (self.tr("Prepare what the hosts need"), Phase.PREPARE),
            (self.tr("Complete what was prepared"), Phase.COMPLETE),
        ):
            self.phase.addItem(words, phase)
        self.jobs = self._number(1, FleetOrder().jobs)
        self.per_host = self._number(0, 0)
        self.per_host.setSpecialValueText(self.tr("As the manifest says"))
        self.ask_amd = QCheckBox(
            self.tr("Ask AMD where a CEK came unsigned; it learns the chip id")
        )
        self.phase.currentIndexChanged.connect(lambda _=0: self.phaseChanged.emit())
        self._lay_out()

    def _number(self, least: int, value: int) -> QSpinBox:
        box = QSpinBox()
        box.setRange(least, HIGHEST_LIMIT)
        box.setValue(value)
        return box

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(NORMAL)
        grid.setVerticalSpacing(SMALL)
        top = Qt.AlignmentFlag.AlignTop
        grid.addWidget(Field(self.tr("How &far"), self.phase), 0, 0, 1, 2, top)
        grid.addWidget(Field(self.tr("Launches at &once"), self.jobs), 1, 0, top)
        grid.addWidget(Field(self.tr("Of these on one &host"), self.per_host), 1, 1, top)
        grid.addWidget(self.ask_amd, 2, 0, 1, 2)
        for place in range(2):
            grid.setColumnStretch(place, 1)
        self.more.body.addLayout(grid)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        for widget in (self.starting, self.inline, self.more):
            column.addWidget(widget)

    def show_fleet(self, fleet: Fleet) -> None:
        """Ask for what this manifest needs."""
        starting = [one for one in fleet.launches if one.start is not None]
        words = self.tr("Run the manifest's start &commands ({n} launches)")
        self.starting.ask(words.format(n=len(starting)), _commands(starting))
        words = self.tr("Launch the &guests whose profiles stand in the manifest ({n})")
        self.inline.ask(words.format(n=len(fleet.inline)), [_sent(one) for one in fleet.inline])

    @property
    def wanted_phase(self) -> Phase:
        """How far the launches are to be taken."""
        return Phase(self.phase.currentData())

    def order(self, *, resume: bool, retry_failed: bool, only: frozenset[str]) -> FleetOrder:
        """The order, as it stands here."""
        return FleetOrder(
            phase=self.wanted_phase,
            jobs=self.jobs.value(),
            per_host=self.per_host.value() or None,
            resume=resume,
            retry_failed=retry_failed,
            only=only,
            allow_start=self.starting.agreed,
            allow_inline=self.inline.agreed,
            ask_amd=self.ask_amd.isChecked(),
        )


def _commands(launches: Sequence[FleetLaunch]) -> list[str]:
    """Each command once, with its place holders."""
    return list(dict.fromkeys(" ".join(launch.start or ()) for launch in launches))


def _sent(launch: FleetLaunch) -> str:
    """What a profile in the manifest would send, and where."""
    entries = ", ".join(launch.entries) or "no vault entry"
    chips = ", ".join(cek.sha256 for cek in launch.profile.ceks)
    return f"{launch.name}: {entries} -> {launch.host}, to chips with the CEK {chips}"
