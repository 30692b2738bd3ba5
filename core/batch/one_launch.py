# SPDX-License-Identifier: Apache-2.0
"""One launch of a batch, from what is wanted of it to its result."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import AnswerPending, BadInput, HostError, WatchwordError, unexpected
from ..files import read_file
from ..launch.engine import Launch, StepState
from ..launch.orders import LaunchOrder
from ..launch.record import LaunchState
from ..launch.vm_presence import nobody_there, wait_for_vm
from ..sev.chain_files import LARGEST_FILE, recognise
from .batch_errors import launched_elsewhere, machine_refused, refused_before
from .fleet import FleetLaunch
from .host_files import start_values, write_host_files
from .intent import BatchOrder, Intent, Phase, intent_of
from .jobs import RefusedMachines
from .placeholders import filled
from .results import LaunchResult, Outcome
from .start_command import StartCommand
from .taking_up import EarlierLaunches, is_done, looks_done, may_go_on, nothing_prepared
from .turnstile import Turnstile

if TYPE_CHECKING:
    from ..launch.desk import LaunchDesk
    from ..launch.launch_run import LaunchRun
    from ..launch.store import LaunchSummary
    from ..launch.surroundings import Surroundings

Report = Callable[[Mapping[str, object]], None]
"""Takes note of an event or result, a JSON value with ``event`` first."""

_TOLD: Final = (StepState.DONE, StepState.WAIVED, StepState.FAILED, StepState.WAITING)
_SOON_SECONDS: Final = 1.0
_NOT_YET: Final = ("vm-not-started", "vm-did-not-appear", "host-refused-connection")
_KNOCKS_EACH_SECOND: Final = 500
"""How often it is looked for VMs, whatever the number of launches that wait for one."""


@dataclass(slots=True, kw_only=True)
class World:
    """What every launch of a batch works with; ``waiting`` counts those that wait for a VM."""

    desk: LaunchDesk
    surroundings: Surroundings
    order: BatchOrder
    report: Report
    earlier: EarlierLaunches
    refused: RefusedMachines = field(default_factory=RefusedMachines)
    turnstile: Turnstile = field(default_factory=Turnstile)
    waiting: int = 0

    @property
    def go_on(self) -> str:
        """How a launch that waits is taken up again."""
        return "--resume" if self.order.resume else "--phase complete"

    def longest_pause(self) -> float:
        """Seconds between two looks for one VM, so that all looks together stay few."""
        return self.waiting / _KNOCKS_EACH_SECOND


class OneLaunch:
    """One launch of the batch; :meth:`settle` takes it as far as it goes."""

    def __init__(self, planned: FleetLaunch, world: World) -> None:
        self._planned = planned
        self._world = world
        self._run: LaunchRun | None = None
        self._launch_id: str | None = None
        self._state: str | None = None
        self._files: Path | None = None
        self._told: dict[str, StepState] = {}

    def result(self, outcome: Outcome, error: WatchwordError | None = None) -> LaunchResult:
        """The result as far as it is known by now."""
        if error is not None:
            # It is kept to the end of the batch, and its frames know all that a launch holds.
            error.__traceback__ = error.__context__ = error.__cause__ = None
        planned = self._planned
        return LaunchResult(
            planned.name,
            planned.profile.name,
            planned.host,
            outcome,
            self._launch_id,
            error,
            self._files,
            self._state,
        )

    async def settle(self) -> LaunchResult:
        """Take the launch as far as it goes; whatever is in its way is its result."""
        await self._world.turnstile.enter()
        why = self._world.refused.why(self._planned)
        if why is not None:
            return self.result(Outcome.NOT_TRIED, machine_refused(self._planned, *why))
        try:
            return self.result(await self._go())
        except AnswerPending as pending:
            elsewhere = pending.code == "launched-elsewhere"
            return self.result(Outcome.ELSEWHERE if elsewhere else Outcome.WAITING, pending)
        except WatchwordError as error:
            self._world.refused.refuse(self._planned, error)
            return self.result(Outcome.FAILED, error)
        except Exception as fault:  # noqa: BLE001 - one of the three edges: the others go on
            return self.result(Outcome.FAILED, unexpected(fault))

    async def _go(self) -> Outcome:
        planned, world = self._planned, self._world
        with self._claimed():
            earlier = self._newest()
            intent = intent_of(world.order, earlier)
            if intent is Intent.BEGIN:
                self._refuse_second(earlier)
                self._run = world.desk.new(await self._new_order(), self._observe)
                return await self._drive(new=True)
            if earlier is None:
                raise nothing_prepared(planned)
            self._launch_id, self._state = earlier.id, earlier.state
            if intent is Intent.LEAVE_REFUSED:
                raise refused_before(planned, earlier.id)
            if looks_done(earlier) and is_done(world.desk.checked(earlier.id)):
                return Outcome.DONE_BEFORE
            self._run = self._taken_up(earlier.id)
            return await self._drive(new=False)

    @contextlib.contextmanager
    def _claimed(self) -> Iterator[None]:
        """Nobody else's batch works on this guest at this host meanwhile."""
        planned = self._planned
        claim = self._world.desk.claim(planned.profile.name, planned.host)
        if claim is None:
            raise launched_elsewhere(planned)
        try:
            yield
        finally:
            claim.release()

    def _newest(self) -> LaunchSummary | None:
        """The newest launch of this guest at this host, also if another process began it."""
        world, planned = self._world, self._planned
        if world.earlier.is_current(world.desk.others_wrote):
            return world.earlier.of(planned)
        return world.desk.newest(planned.profile.name, planned.host) or world.earlier.of(planned)

    def _refuse_second(self, newest: LaunchSummary | None) -> None:
        """What another batch has begun, or taken further, since this one looked is not begun."""
        known = self._world.earlier.of(self._planned)
        if newest is not None and (
            known is None or (newest.id, newest.state) != (known.id, known.state)
        ):
            self._launch_id, self._state = newest.id, newest.state
            raise launched_elsewhere(self._planned, newest.id)

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

    async def _drive(self, *, new: bool) -> Outcome:
        try:
            self._launch_id = self._open.id
            if new:
                self._world.report(
                    {"event": "launch", "name": self._planned.name, "launch": self._launch_id}
                )
            else:
                may_go_on(self._open.record, self._planned)
            if not self._planned.by_hand:
                await self._open.run(until="session")
                started = await self._give(self._open, new=new)
                if self._world.order.phase is not Phase.PREPARE:
                    await self._wait_for_vm(started=started)
            return await self._take_on(self._open)
        finally:
            self._close()

    @property
    def _open(self) -> LaunchRun:
        if self._run is None:
            self._run = self._taken_up(str(self._launch_id))
        return self._run

    def _taken_up(self, launch_id: str) -> LaunchRun:
        try:
            return self._world.desk.open(launch_id, self._observe)
        except BadInput as error:
            if error.code != "launch-busy":
                raise
            # Somebody works on it by hand: that is no failure of the launch.
            raise launched_elsewhere(self._planned, launch_id, "works on it") from error

    def _close(self) -> None:
        """Let the launch go, and with it all that it holds in memory, its keys first."""
        if self._run is not None:
            self._state = str(self._run.record.state)
            self._run.close()
            self._run = None

    async def _take_on(self, run: LaunchRun) -> Outcome:
        """As far as is wanted of this launch."""
        if self._world.order.phase is Phase.PREPARE:
            if self._planned.by_hand:
                await run.run(until="start")
            return Outcome.PREPARED
        if not self._planned.inject:
            await run.run(until="measurement")
            return Outcome.VERIFIED
        await run.run()
        return Outcome.DONE

    async def _give(self, run: LaunchRun, *, new: bool) -> bool:
        """Give the host what it needs; whether a command of ours has started the VM."""
        planned, world = self._planned, self._world
        if run.start_order is not None:
            # The disk is waited for in a thread: the other launches go on.
            self._files = await asyncio.to_thread(
                write_host_files, planned, run.id, run.start_order
            )
        if world.order.phase is Phase.PREPARE or planned.start is None:
            return False
        if not new and not await self._may_start_again(run):
            return False
        await self._start(planned.start)
        return True

    async def _wait_for_vm(self, *, started: bool) -> None:
        """Return once somebody answers where the VM is to be.

        Where that takes longer nothing of the launch stays in memory: it is taken up from
        the records then.
        """
        seconds = self._planned.wait
        soon = min(seconds, _SOON_SECONDS)
        try:
            await self._wait(soon, started=started)
        except (AnswerPending, HostError) as error:
            if soon == seconds or error.code not in _NOT_YET:
                raise
        else:
            return
        self._close()
        await self._wait(seconds - soon, started=started)

    async def _wait(self, seconds: float, *, started: bool) -> None:
        world, launch_id = self._world, str(self._launch_id)
        world.waiting += 1
        try:
            await wait_for_vm(
                lambda url: world.surroundings.connect(url, launch_id),
                self._planned.host,
                seconds,
                go_on=world.go_on,
                started_here=started,
                longest_pause=world.longest_pause,
            )
        finally:
            world.waiting -= 1
        await world.turnstile.enter()

    async def _may_start_again(self, run: LaunchRun) -> bool:
        """Whether an earlier run ended before its start command did: nobody is there at all.

        Should there be two VMs from one blob all the same, one of them gets the one packet.
        """
        if not self._world.order.resume or run.record.state != LaunchState.PREPARED:
            return False
        try:
            host = await self._world.surroundings.connect(self._planned.host, run.id)
        except HostError as error:
            return nobody_there(error)
        await host.close()
        return False

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
