# SPDX-License-Identifier: Apache-2.0
"""The watch: answers requests for launch blobs, and launches the VMs that wait with them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ..errors import WatchwordError, unexpected
from ..launch.record import LaunchState
from ..ledger.ledger import Ledger
from .asking import answer_request
from .ending import end_tasks
from .events import (
    Asked,
    Gone,
    Later,
    Noted,
    Paused,
    Reply,
    Source,
    WatchEvent,
    WatchObserver,
    unobserved,
)
from .launching import launch_paused
from .live import expire, note_gone
from .promises import Promises
from .refusing import told_reply
from .revisits import OWN, Revisits
from .rules import WatchRules
from .turns import Turns, machine_of
from .watch_errors import busy, shown
from .world import World

if TYPE_CHECKING:
    from ..launch.desk import LaunchDesk
    from ..launch.surroundings import Surroundings
    from ..records.database import Records

_NO_BEGINNING: Final = ("cannot-listen", "bad-folder")
_BEGUN: Final = (LaunchState.VERIFIED, LaunchState.SEALED, LaunchState.HANDED_OVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a watch looks after what is left to it; seconds.

    ``tick``   between two looks at what waits
    ``expiry`` between two looks for blobs that expired
    ``retry``  before a host that failed is tried again, twice as long each time
    ``look``   between two looks which VMs of a guest that has too many are gone
    ``grace``  for launches under way once the watch is to stop
    """

    tick: float = 1.0
    expiry: float = 30.0
    retry: float = 5.0
    look: float = 30.0
    grace: float = 10.0


class Watch:
    """Serves what sources tell, by the owner's rules; for the thread of desk and records.

    ``desk``      over ``records``, made with these ``surroundings``; their ``lock_seconds`` is 0
    (to wait for another process's lock would keep everybody waiting)
    ``observe``   is told all that happens; see WatchObserver
    Nothing needs this object to live on: what was promised is in records and ledger, and
    another process that opens them goes on with it.
    """

    def __init__(
        self,
        desk: LaunchDesk,
        records: Records,
        surroundings: Surroundings,
        rules: WatchRules,
        observe: WatchObserver = unobserved,
        *,
        pace: Pace | None = None,
    ) -> None:
        ledger = Ledger(records, surroundings.clock)
        promises = Promises(ledger, surroundings.clock)
        self._pace = pace or Pace()
        self._world = World(
            desk=desk,
            surroundings=surroundings,
            promises=promises,
            rules=rules,
            observe=observe,
            look_pause=self._pace.look,
        )
        self._tasks: set[asyncio.Task[Reply]] = set()
        self._paused: dict[Paused, asyncio.Task[Reply]] = {}
        self._revisits = Revisits(self._pace.retry)
        self._hosts = Turns()
        self._stopping = False
        self._set_turns()

    # -- the whole ---------------------------------------------------------------

    async def run(self, sources: Sequence[Source], stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set; launches under way are then taken to their end or, after
        a grace of some seconds, left as the records have them.

        Raises VerificationRefused ``ledger-rolled-back`` before anything else, and what keeps
        the records from being read. BadInput ``cannot-listen`` and ``bad-folder`` of a source
        that can't begin; one that breaks later is run again.
        """
        _ = self._world.desk.rollback
        self._take_up()
        self._tell("started")
        tasks = [asyncio.create_task(self._feed(source)) for source in sources]
        tasks.append(asyncio.create_task(self._look_after()))
        stopped = asyncio.create_task(stop.wait())
        try:
            # The others end by a fault alone, which is not to go unnoticed.
            done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            stopped.cancel()
            self._stopping = True
            await end_tasks(lambda: tasks)
            await self._finish()
            self._tell("stopped")

    def reload(self, rules: WatchRules) -> None:
        """Go by these rules from now on; what is under way is taken to its end."""
        self._world.rules = rules
        self._set_turns()
        self._revisits.all_due()
        self._tell("reloaded")

    def gauges(self) -> Mapping[str, Mapping[str, float]]:
        """What counts now, by guest: live instances, and the outstanding blobs among them."""
        live = {guest: self._world.live(guest) for guest in self._world.rules.guests}
        blobs = {
            guest: sum(one.state == LaunchState.PREPARED for one in found)
            for guest, found in live.items()
        }
        return {
            "live_instances": {guest: len(found) for guest, found in live.items()},
            "outstanding_blobs": blobs,
        }

    async def take(self, event: WatchEvent) -> Reply:
        """Serve one event; never raises but for cancellation. See ``Take``."""
        same = self._paused.get(_nameless(event)) if isinstance(event, Paused) else None
        if same is not None:
            return await asyncio.shield(same)
        if self._stopping or len(self._tasks) >= self._world.rules.most_waiting:
            return Later(busy())
        return await asyncio.shield(self._spawn(event))

    # -- one event ---------------------------------------------------------------

    def _spawn(self, event: WatchEvent) -> asyncio.Task[Reply]:
        task = asyncio.create_task(self._serve(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if isinstance(event, Paused):
            key = _nameless(event)
            self._paused[key] = task
            task.add_done_callback(lambda _: self._paused.pop(key, None))
        return task

    async def _serve(self, event: WatchEvent) -> Reply:
        self._tell_of(event)
        try:
            async with self._turn(event):
                return await self._reply(event)
        except WatchwordError as error:
            self._revisits.note(event, error)
            return told_reply(self._world, event, error)
        except Exception as fault:  # noqa: BLE001 - one of the edges: the others go on
            return told_reply(self._world, event, unexpected(fault))

    async def _reply(self, event: WatchEvent) -> Reply:
        match event:
            case Asked():
                return await answer_request(self._world, event)
            case Paused():
                launched = await launch_paused(self._world, event)
                self._revisits.forget(launched.launch_id)
                return launched
            case Gone():
                return Noted(await note_gone(self._world, event))

    @contextlib.asynccontextmanager
    async def _turn(self, event: WatchEvent) -> AsyncIterator[None]:
        """Wait for a turn: hosts that stall keep requests and other hosts from nothing."""
        if isinstance(event, Gone) and event.seen:
            yield
            return
        host, turns = event.host, self._launching if isinstance(event, Paused) else self._asking
        if host is None or (
            isinstance(event, Asked) and (event.certificates or event.known_certificates)
        ):
            async with turns:
                yield
            return
        async with self._hosts.hold(host), self._machines.hold(machine_of(host)), turns:
            yield

    def _set_turns(self) -> None:
        """Anew at a reload: what has its turn by the old rules keeps it."""
        jobs = max(1, self._world.rules.jobs)
        self._asking = asyncio.Semaphore(jobs)
        self._launching = asyncio.Semaphore(jobs)
        self._machines = Turns(max(1, jobs // 2))

    # -- what goes on by itself --------------------------------------------------

    async def _feed(self, source: Source) -> None:
        """Run a source; one that breaks is run again, less and less often.

        Raises what keeps it from beginning at all.
        """
        pause, begun = self._pace.retry, False
        while True:
            try:
                await source.run(self.take)
            except WatchwordError as error:
                self._source_failed(source, error)
                if not begun and error.code in _NO_BEGINNING:
                    raise
            except Exception as fault:  # noqa: BLE001 - one of the edges: the others go on
                self._source_failed(source, unexpected(fault))
            begun = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, 60 * self._pace.retry)

    async def _look_after(self) -> None:
        clock = asyncio.get_running_loop().time
        next_expiry = 0.0
        while True:
            try:
                if clock() >= next_expiry:
                    expire(self._world)
                    next_expiry = clock() + self._pace.expiry
                room = self._world.rules.most_waiting // 2 - len(self._tasks)
                for event in self._revisits.due(self._world.rules.approvals, room):
                    self._spawn(event)
            except WatchwordError as error:
                self._world.observe(
                    {"event": "upkeep-failed", "code": error.code, "message": error.message}
                )
            await asyncio.sleep(self._pace.tick)

    def _take_up(self) -> None:
        """Go on with what an earlier process left, where its VM was said to be."""
        for summary in self._world.open_launches():
            begun = summary.state in _BEGUN
            if summary.host and (begun or summary.state == LaunchState.PREPARED):
                # Of a VM that was not measured yet, only its measurement says whose it is.
                launch = summary.id if begun else None
                self._revisits.add(Paused(source=OWN, host=summary.host, launch=launch))

    async def _finish(self) -> None:
        """Let launches under way come to their end for a while; the records have the rest."""
        left = set(self._tasks)
        if left:
            _, left = await asyncio.wait(left, timeout=self._pace.grace)
        await end_tasks(lambda: left)

    # -- telling -----------------------------------------------------------------

    def _tell(self, event: str) -> None:
        guests = sorted(self._world.rules.guests)
        told = {} if event == "stopped" else {"guests": guests}
        self._world.observe({"event": event, **told})

    def _tell_of(self, event: WatchEvent) -> None:
        if isinstance(event, Asked):
            told = {"request": shown(event.request), "guest": shown(event.guest)}
            self._world.observe({"event": "asked", "source": event.source, **told})
        elif isinstance(event, Paused):
            self._world.observe(
                {"event": "paused", "source": event.source, "host": shown(event.host)}
            )

    def _source_failed(self, source: Source, error: WatchwordError) -> None:
        self._world.observe(
            {
                "event": "source-failed",
                "source": source.name,
                "code": error.code,
                "message": error.message,
            }
        )


def _nameless(event: Paused) -> Paused:
    """The same announcement, whoever makes it."""
    return replace(event, source="")
