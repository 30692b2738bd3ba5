# SPDX-License-Identifier: Apache-2.0
"""The wizard's frame: the list of steps, the page that is shown, and the buttons below.

What is shown and what the buttons do comes from ``flow.py`` each time; here is only
the walk from page to page, slow enough for people to see what was verified.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from watchword.core.errors import WatchwordError

from ..widgets.banner import Banner
from ..widgets.simulated import SimulatedRibbon
from ..widgets.stepper import StepEntry, Stepper
from .button_row import ButtonRow, words
from .conductor import Conductor
from .flow import (
    PAGES,
    Action,
    Button,
    Need,
    Situation,
    buttons,
    failed_step,
    index_of,
    need,
    page_at_rest,
    page_at_work,
    page_of,
    was_cancelled,
)
from .page import WizardPage
from .side import Side

DWELL: Final = 1200
"""Milliseconds for which a verified page is shown before the wizard goes on by itself."""


class WizardFrame(QWidget):
    """Shows one launch after the other: give it a conductor for each.

    ``left``       the owner leaves the wizard
    ``startOver``  the owner wants a new launch in place of this one
    ``personNeeded``  with a Need, each time that the launch gets to where it needs a person
    """

    left = Signal()
    startOver = Signal()
    personNeeded = Signal(object)

    def __init__(
        self,
        title: str,
        pages: Sequence[WizardPage],
        *,
        dwell: int = DWELL,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.pages = {page.step: page for page in pages}
        self.current = PAGES[0].step
        self.slow = False
        self.conductor: Conductor | None = None
        self._target: str | None = None
        self._following = False
        self._choosing = False
        self._read = False
        self._at_once = False
        self._need: Need | None = None
        self._dwell = dwell
        self._walk = QTimer(self)
        self._walk.setSingleShot(True)
        self._walk.timeout.connect(self._step_on)
        self.stepper = Stepper()
        self.stepper.stepChosen.connect(self._choose)
        self.ribbon = SimulatedRibbon()
        self.ribbon.hide()
        self.problem = Banner()
        self.row = ButtonRow()
        self.row.pressed.connect(self._press)
        self.row.leave.connect(self.left)
        self.row.stay.connect(self.stay)
        self._stack = QStackedWidget()
        self._side = Side(title, self.stepper)
        self._lay_out()

    def _lay_out(self) -> None:
        for page in self.pages.values():
            self._stack.addWidget(page)
        main = QVBoxLayout()
        main.setContentsMargins(0, 0, 0, 0)
        main.setSpacing(0)
        main.addWidget(self.problem)
        main.addWidget(self._stack, 1)
        upper = QHBoxLayout()
        upper.setSpacing(0)
        upper.addWidget(self._side)
        upper.addLayout(main, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.ribbon)
        column.addLayout(upper, 1)
        column.addWidget(self.row)

    # -- one launch --------------------------------------------------------------------

    def attach(self, conductor: Conductor) -> None:
        """Show another launch, from its first page."""
        # Somebody who chooses on the page goes on choosing there.
        self._choosing = self.conductor is not None and self.page.isAncestorOf(self.focusWidget())
        self.detach()
        self.conductor = conductor
        conductor.changed.connect(self._render)
        conductor.opened.connect(self._open)
        conductor.rested.connect(self._rest)
        conductor.saved.connect(self._show_saved)
        conductor.broken.connect(self._show_problem)
        self._need = None
        self.ribbon.setVisible(conductor.launch.simulated)
        self._show(PAGES[0].step)
        if not self._choosing:
            self._rest_focus()

    def detach(self) -> None:
        """Leave the launch that is shown, if there is one."""
        self.stay()
        self.problem.clear()
        conductor, self.conductor = self.conductor, None
        if conductor is not None:
            conductor.changed.disconnect(self._render)
            conductor.opened.disconnect(self._open)
            conductor.rested.disconnect(self._rest)
            conductor.saved.disconnect(self._show_saved)
            conductor.broken.disconnect(self._show_problem)
            conductor.close()
            conductor.deleteLater()

    def set_slow(self, slow: bool) -> None:
        """Stop after each step, or go on by itself."""
        self.slow = slow
        self._render()

    def tell(self, story: str) -> None:
        """What a simulated host really does, for the page where it is caught."""
        for page in self.pages.values():
            page.tell(story)

    @Slot(str, str)
    def save(self, path: str, text: str) -> None:
        """Write a text into a file that the owner named; what goes wrong is shown."""
        if self.conductor is not None:
            self.problem.clear()
            self.conductor.save(path, text)

    @property
    def page(self) -> WizardPage:
        """The page that is shown."""
        return self.pages[self.current]

    # -- going from page to page -------------------------------------------------------

    def go(self, step: str) -> None:
        """Show a page because the owner wants to see it."""
        self.stay()
        self._show(step)
        self._focus()

    @Slot(str)
    def _choose(self, step: str) -> None:
        """As ``go``; the keyboard stays in the list of steps."""
        if step != self.current:
            self.stay()
            self._show(step)

    @Slot()
    def stay(self) -> None:
        """Don't go on by itself any more."""
        self._following = False
        self._arrive()

    def _arrive(self) -> None:
        self._target = None
        self._walk.stop()
        self.row.say("")

    def _walk_to(self, step: str) -> None:
        """Go there page by page; back at once, since there is nothing new to see."""
        if index_of(step) <= index_of(self.current):
            self._arrive()
            self._show(step)
            self._focus()
            return
        self._target = step
        if not self._walk.isActive():
            # From a page that the owner has read already there is nothing to wait for.
            self._walk.start(0 if self._read else self._dwell)
            self._read = False
        self.row.say(self.tr("Going on by itself…"), stoppable=True)

    @property
    def conductor_at_work(self) -> bool:
        """Whether steps are being taken."""
        return self.conductor is not None and self.conductor.at_work

    @Slot()
    def _step_on(self) -> None:
        if self._target is None:
            return
        self._show(PAGES[index_of(self.current) + 1].step)
        if self.current == self._target:
            self._arrive()
            self._focus()
        else:
            self._walk.start(self._dwell)

    def _show(self, step: str) -> None:
        self.current = step
        self._stack.setCurrentWidget(self.page)
        self.page.scroll_to_top()
        self._render()

    def _focus(self) -> None:
        """Let Enter go on, but never let it hand over the secret by mistake."""
        if self.conductor is None or self.conductor.at_work:
            return
        primary = buttons(self.conductor.situation(slow=self.slow), self.current).primary
        if primary.enabled and not primary.careful:
            self.row.primary.setFocus(Qt.FocusReason.OtherFocusReason)
            self.stepper.set_current(self.current)  # the focus has left it: Tab leads to this one
        else:
            self._rest_focus()

    def _rest_focus(self) -> None:
        """Where Enter does nothing: a second press can't do harm while the first is at work."""
        self.stepper.button(self.current).setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot()
    def _open(self) -> None:
        if not self._choosing:
            self._focus()

    # -- what is shown -----------------------------------------------------------------

    @Slot()
    def _render(self) -> None:
        if self.conductor is None:
            return
        now = self.conductor.situation(slow=self.slow)
        entries = [StepEntry.of(s, words(page_of(s.step.id).title)) for s in now.launch.statuses()]
        self.stepper.set_entries(entries)
        self.stepper.set_current(self.current)
        self._side.show_step(self.current)
        self.page.show_launch(now, self.conductor.material)
        self._show_row(now)
        self._tell_need(now)
        if now.busy and self._following and not self._at_once:
            step = page_at_work(now.launch, self.current)
            if step not in (self.current, self._target):
                self._walk_to(step)

    def _show_row(self, now: Situation) -> None:
        wanted = buttons(now, self.current)
        self.row.show_buttons(wanted)
        over = wanted.primary.action is Action.FINISH
        self.row.show_leaving(kept=now.kind.recorded, over=over)

    def _tell_need(self, now: Situation) -> None:
        needed = need(now)
        if needed is self._need:
            return
        self._need = needed
        if needed is not None:
            self.personNeeded.emit(needed)

    @Slot(str)
    def _rest(self, until: str) -> None:
        if self.conductor is None:
            return
        now = self.conductor.situation(slow=self.slow)
        step = page_at_rest(now, self.current, until)
        if step == self.current:
            self._arrive()
            self._focus()
            if was_cancelled(now.launch, until):
                self.row.say(self.tr("Cancelled. Nothing is at work any more."))
        elif self._at_once:
            self.go(step)
        elif self._following or failed_step(now.launch) is not None:
            self._walk_to(step)

    @Slot(str)
    def _show_saved(self, path: str) -> None:
        self.row.say(self.tr("Saved: {path}").format(path=path))

    @Slot(object)
    def _show_problem(self, error: WatchwordError) -> None:
        self.problem.show_error(error)

    # -- what buttons do ---------------------------------------------------------------

    @Slot(object)
    def _press(self, button: Button) -> None:
        if self.conductor is None:
            return
        target = button.target
        if button.action is Action.GO and target is not None:
            self.go(target)
        elif button.action is Action.RUN and target is not None:
            self.take(target)
        elif button.action is Action.CANCEL:
            self.conductor.cancel()
        elif button.action is Action.START_OVER:
            self.startOver.emit()
        else:
            self.left.emit()

    def take(self, until: str, *, at_once: bool = False) -> None:
        """Have steps taken because the owner wants it, and show how they go.

        With ``at_once`` the page stays until the end, and then it is the one that counts:
        for what is only verified anew.
        """
        if self.conductor is None:
            return
        self._arrive()
        self._following, self._at_once = True, at_once
        if at_once:
            self.row.say(self.tr("Everything is verified anew…"))
        self._read = self.conductor.launch.status(self.current).settled
        self.problem.clear()
        self._rest_focus()
        self.conductor.take(until)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc cancels what is going on."""
        if event.key() == Qt.Key.Key_Escape and self.conductor_at_work and self.conductor:
            self.conductor.cancel()
        else:
            super().keyPressEvent(event)
