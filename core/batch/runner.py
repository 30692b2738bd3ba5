# SPDX-License-Identifier: Apache-2.0
"""Takes the launches of a fleet one after the other; what happens to one never stops the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import AnswerPending, WatchwordError, unexpected
from ..files import read_file
from ..launch.engine import Launch, StepState
from ..launch.orders import LaunchOrder
from ..launch.vm_presence import wait_for_vm
from ..sev.chain_files import LARGEST_FILE, recognise
from .fleet import Fleet, FleetLaunch
from .host_files import start_values, write_host_files
from .placeholders import filled
from .results import BatchSummary, LaunchResult, Outcome
from .start_command import StartCommand
from .taking_up import EarlierLaunches, is_done, looks_done, may_go_on, nothing_prepared

if TYPE_CHECKING:
    from ..launch.desk import LaunchDesk
    from ..launch.launch_run import LaunchRun
    from ..launch.surroundings import Surroundings

Report = Callable[[Mapping[str, object]], None]
"""Takes note of an event or result, a JSON value with ``event`` first."""

_GO_ON: Final = "--phase complete"
_TOLD: Final = (StepState.DONE, StepState.WAIVED, StepState.FAILED, StepState.WAITING)


class Phase(StrEnum):
    """How far the launches of a batch are taken."""

    PREPARE = "prepare"
    """Up to the files that the host needs."""
    COMPLETE = "complete"
    """Those that were prepared, to their end."""
    ALL = "all"
    """From the beginning to the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """What is to be done with a fleet.

    ``folder``       the manifest's, in which start commands run
    ``environment``  what start commands find; no secret belongs in it
    """

    phase: Phase
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """What every launch of a batch works with."""

    desk: LaunchDesk
    surroundings: Surroundings
    order: BatchOrder
    report: Report
    earlier: EarlierLaunches


async def run_batch(
    fleet: Fleet,
    desk: LaunchDesk,
    surroundings: Surroundings,
    *,
    order: BatchOrder,
    report: Report,
) -> BatchSummary:
    """Take every launch of a fleet as far as it goes, one after the other.

    Cancelling ends the batch in order: what is under way stops where the records know it,
    the rest is not begun, and the summary says so. Raises BadInput ``launches-under-way``
    before anything is begun.
    """
    earlier = EarlierLaunches(desk, fleet)
    if order.phase is not Phase.COMPLETE:
        earlier.refuse_under_way(fleet)
    world = _World(
        desk=desk, surroundings=surroundings, order=order, report=report, earlier=earlier
    )
    results: list[LaunchResult] = []
    going_on = True
    for planned in fleet.launches:
        one = _OneLaunch(planned, world)
        result = one.result(Outcome.NOT_BEGUN)
        if going_on:
            try:
                result = await one.settle()
            except asyncio.CancelledError:
                going_on = False
                result = one.result(Outcome.INTERRUPTED)
        report(result.as_json())
        results.append(result)
    return BatchSummary(tuple(results))


class _OneLaunch:
    """One launch of the batch, from its order to its result."""

    def __init__(self, planned: FleetLaunch, world: _World) -> None:
        self._planned = planned
        self._world = world
        self._launch_id: str | None = None
        self._files: Path | None = None
        self._told: dict[str, StepState] = {}

    def result(self, outcome: Outcome, error: WatchwordError | None = None) -> LaunchResult:
        """The result as far as it is known by now."""
        planned = self._planned
        return LaunchResult(
            planned.name,
            planned.profile.name,
            planned.host,
            outcome,
            self._launch_id,
            error,
            self._files,
        )

    async def settle(self) -> LaunchResult:
        """Take the launch as far as it goes; whatever is in its way is its result."""
        try:
            return self.result(await self._go())
        except AnswerPending as pending:
            return self.result(Outcome.WAITING, pending)
        except WatchwordError as error:
            return self.result(Outcome.FAILED, error)
        except Exception as fault:  # noqa: BLE001 - one of the three edges: the others go on
            return self.result(Outcome.FAILED, unexpected(fault))

    async def _go(self) -> Outcome:
        if self._world.order.phase is not Phase.COMPLETE:
            order = await self._new_order()
            return await self._drive(self._world.desk.new(order, self._observe), new=True)
        earlier = self._world.earlier.of(self._planned)
        if earlier is None:
            raise nothing_prepared(self._planned)
        self._launch_id = earlier.id
        if looks_done(earlier) and is_done(self._world.desk.checked(earlier.id)):
            return Outcome.DONE_BEFORE
        return await self._drive(self._world.desk.open(earlier.id, self._observe), new=False)

    async def _new_order(self) -> LaunchOrder:
        planned = self._planned
        files = [
            (str(path), read_file(path, str(path), LARGEST_FILE)) for path in planned.certificates
        ]
        known = recognise(files).certificates
        # Without a PDH it is AMD's copy of a CEK, or the like, for what the host will say.
        ask_host = known.pdh is None
        if not ask_host:
            files += await self._world.surroundings.more_certificates(known.chip_id, known)
        return LaunchOrder(
            profile=planned.profile,
            host=planned.host,
            ask_host=ask_host,
            certificate_files=tuple(files),
            require_pinned=True,
        )

    async def _drive(self, run: LaunchRun, *, new: bool) -> Outcome:
        try:
            self._launch_id = run.id
            if new:
                self._world.report(
                    {"event": "launch", "name": self._planned.name, "launch": run.id}
                )
            else:
                may_go_on(run.record, self._planned)
            if not self._planned.by_hand:
                await run.run(until="session")
                await self._give(run, new=new)
            if self._world.order.phase is Phase.PREPARE:
                if self._planned.by_hand:
                    await run.run(until="start")
                return Outcome.PREPARED
            if not self._planned.inject:
                await run.run(until="measurement")
                return Outcome.VERIFIED
            await run.run()
            return Outcome.DONE
        finally:
            run.close()

    async def _give(self, run: LaunchRun, *, new: bool) -> None:
        """Give the host what it needs, and see to it that there is a VM to go on with."""
        planned = self._planned
        if run.start_order is not None:
            self._files = write_host_files(planned, run.id, run.start_order)
        if self._world.order.phase is Phase.PREPARE:
            return
        start = planned.start if new else None
        if start is not None:
            await self._start(start)
        await wait_for_vm(
            lambda url: self._world.surroundings.connect(url, run.id),
            planned.host,
            planned.wait,
            go_on=_GO_ON,
            started_here=start is not None,
        )

    async def _start(self, words: tuple[str, ...]) -> None:
        values = start_values(self._planned)
        await StartCommand(
            (words[0], *(filled(word, values) for word in words[1:])),
            self._world.order.folder,
            self._planned.start_seconds,
            self._world.order.environment,
        ).run()

    def _observe(self, launch: Launch) -> None:
        """Tell of each step once it is over."""
        for status in launch.statuses():
            state = status.state
            if state in _TOLD and self._told.get(status.step.id) is not state:
                self._told[status.step.id] = state
                self._world.report(
                    {
                        "event": "step",
                        "name": self._planned.name,
                        "launch": launch.id,
                        "step": status.step.id,
                        "state": state.value,
                    }
                )
