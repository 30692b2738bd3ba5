# SPDX-License-Identifier: Apache-2.0
"""The list of a launch's steps: where each stands, and which of them is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from watchword.core.launch.engine import StepState, StepStatus

from .fonts import SMALL
from .roving import RovingFocus
from .simulated import SimulatedBadge
from .state_badge import step_look
from .step_button import StepButton


@dataclass(frozen=True, slots=True)
class StepEntry:
    """One step as the list shows it; ``reason`` says in words why it stands where it stands."""

    id: str
    title: str
    state: StepState
    reason: str = ""
    enabled: bool = True

    @classmethod
    def of(cls, status: StepStatus, title: str = "") -> StepEntry:
        """The entry for a step of a launch, under a title of the window's own if given."""
        return cls(status.step.id, title or status.step.title, status.state, status.reason)


class Stepper(QWidget):
    """A vertical list of steps; arrow keys move in it, Enter, Space and a click choose.

    Choosing only emits ``stepChosen`` with the step's id: whoever owns the pages
    decides, and tells with :meth:`set_current`.
    """

    stepChosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Steps"))
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Expanding)
        self._buttons: dict[str, StepButton] = {}
        self._current = ""
        self._roving = RovingFocus(self)
        self._badge = SimulatedBadge()
        self._badge.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(SMALL, SMALL, SMALL, SMALL)
        column.setSpacing(SMALL)
        column.addWidget(self._badge)
        self._list = QVBoxLayout()
        self._list.setSpacing(0)
        column.addLayout(self._list)
        column.addStretch(1)

    def set_entries(self, entries: Sequence[StepEntry]) -> None:
        """Show these steps; buttons of steps that were there before are kept, with their focus."""
        if [entry.id for entry in entries] != list(self._buttons):
            self._rebuild(entries)
        for number, entry in enumerate(entries, start=1):
            button = self._buttons[entry.id]
            button.setEnabled(entry.enabled)
            place = self.tr("Step {number} of {count}").format(number=number, count=len(entries))
            button.show_step(entry.title, step_look(entry.state), entry.reason, place)
        self._mark_current()

    def set_current(self, step_id: str) -> None:
        """Mark the step that is looked at."""
        self._current = step_id
        self._mark_current()

    @property
    def current(self) -> str:
        """The id of the step that is looked at, or an empty string."""
        return self._current

    def set_simulated(self, simulated: bool) -> None:
        """Mark the launch as a rehearsal."""
        self._badge.setVisible(simulated)

    def button(self, step_id: str) -> StepButton:
        """The button of a step; KeyError if there is no such step."""
        return self._buttons[step_id]

    def _rebuild(self, entries: Sequence[StepEntry]) -> None:
        for button in self._buttons.values():
            self._list.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._buttons = {}
        for place, entry in enumerate(entries):
            button = StepButton(first=place == 0, last=place == len(entries) - 1)
            button.clicked.connect(lambda _=False, chosen=entry.id: self.stepChosen.emit(chosen))
            self._list.addWidget(button)
            self._buttons[entry.id] = button
        self._roving.set_items(list(self._buttons.values()))

    def _mark_current(self) -> None:
        for step_id, button in self._buttons.items():
            button.set_current(step_id == self._current)
        if self._current in self._buttons and not self._has_focus():
            self._roving.make_tab_stop(self._buttons[self._current])

    def _has_focus(self) -> bool:
        return any(button.hasFocus() for button in self._buttons.values())
