# SPDX-License-Identifier: Apache-2.0
"""Drives a ``Launch`` through its steps, one after the other; knows no technology."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from ..errors import AnswerPending, WatchwordError
from .engine import Launch, Step

Record = Mapping[str, object]
Observer = Callable[[Launch], None]


def unobserved(launch: Launch) -> None:
    """Nobody looks on."""
    del launch


class StepDriver:
    """Takes steps in order; what a step does is in ``_work``, under its id.

    Only what was established by this object counts: a launch begins here without facts.
    """

    def __init__(self, launch: Launch, observe: Observer = unobserved) -> None:
        self.launch = launch
        self._observe = observe
        self._waiver: str | None = None
        self._work: dict[str, Callable[[], Awaitable[Record]]] = {}

    async def run(self, until: str | None = None) -> Launch:
        """Take all steps that are still to be taken, or those up to and including ``until``.

        A step that fails is marked so in ``launch``, and its error raised; what can't be
        taken further is closed then.
        """
        try:
            while (step := self.launch.next_step()) is not None and not self._reached(until):
                await self._take(step)
        except WatchwordError as error:
            if not isinstance(error, AnswerPending):
                self.close()
            raise
        except asyncio.CancelledError:
            self.close()
            raise
        return self.launch

    def close(self) -> None:
        """Wipe what is secret; a launch that stopped half-way can't be taken further."""

    def _reached(self, until: str | None) -> bool:
        return any(s.settled and s.step.id == until for s in self.launch.statuses())

    async def _take(self, step: Step) -> None:
        self._change(self.launch.begin(step.id))
        self._waiver = None
        try:
            record = await self._work[step.id]()
        except AnswerPending as pending:
            self._end(step, self.launch.wait(step.id, pending.as_json()), pending)
            raise
        except WatchwordError as error:
            reason = {**error.as_json(), "exit_status": int(error.exit_status)}
            self._end(step, self.launch.fail(step.id, reason), error)
            raise
        except BaseException:
            self._change(self.launch.unmark(step.id))
            raise
        self._change(self.launch.establish(step.id, record, self._waiver))

    def _end(self, step: Step, launch: Launch, error: WatchwordError) -> None:
        """Note how a step ended; if that fails too, the first error is still the one to tell."""
        try:
            self._ended(step, error)
            self._change(launch)
        except WatchwordError as second:
            self.launch = launch
            error.add_details(not_recorded=second.as_json())

    def _ended(self, step: Step, error: WatchwordError) -> None:
        """A step did not succeed: what is to be kept of that is kept here."""

    def _change(self, launch: Launch) -> None:
        self.launch = launch
        self._observe(launch)
