# SPDX-License-Identifier: Apache-2.0
"""Fleets as the window has them: checked whole, then launched as the command line does. No Qt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from watchword.core.batch.checking import check_fleet
from watchword.core.batch.fleet import Fleet
from watchword.core.batch.intent import BatchOrder, Intent, Phase, intent_of
from watchword.core.batch.manifest import LARGEST_MANIFEST
from watchword.core.batch.results import BatchSummary
from watchword.core.batch.runner import run_batch
from watchword.core.batch.taking_up import EarlierLaunches
from watchword.core.cli.batch_process import DEFAULT_JOBS, allow_files, start_environment
from watchword.core.errors import BadInput, UsageError, WatchwordError
from watchword.core.files import read_file
from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.launch.store import LaunchStore, LaunchSummary
from watchword.core.records.database import Records, records_folder

from .launch_service import LaunchService
from .pages.vault_service import VaultService

Events = tuple[Mapping[str, object], ...]
"""What happened, in that order, as the command line tells it in JSON lines."""
_FIELD: Final = "the manifest"
_GATHERED: Final = 0.15
"""Seconds for which events are gathered: a window can't show more often what has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOrder:
    """What is to be done with a manifest.

    ``phase``, ``jobs``, ``per_host``, ``resume``, ``retry_failed``  see BatchOrder
    ``only``          the names of the launches that are wanted; none for all of them
    ``allow_start``   whether the manifest's start commands may be run
    ``allow_inline``  whether guests may be launched whose profiles stand in the manifest
    ``ask_amd``       whether AMD's key service may be asked for a signed CEK
    """

    phase: Phase = Phase.ALL
    jobs: int = DEFAULT_JOBS
    per_host: int | None = None
    resume: bool = False
    retry_failed: bool = False
    only: frozenset[str] = frozenset()
    allow_start: bool = False
    allow_inline: bool = False
    ask_amd: bool = False


@dataclass(frozen=True, slots=True)
class PlannedLaunch:
    """One launch of a checked manifest, and what would be done with it.

    ``intent``     what taking the fleet up would do
    ``launch_id``  the newest launch of this guest at this host that the records know
    """

    name: str
    guest: str
    host: str
    intent: Intent
    launch_id: str = ""


@dataclass(frozen=True, slots=True)
class CheckedFleet:
    """A manifest in which nothing is wrong; nothing was started.

    ``data``         its bytes: these are run, and no others
    ``phase``        how far it was asked to be taken
    ``planned``      its launches, in its order
    ``under_way``    why a beginning would be refused: launches that were begun earlier
    ``vault_known``  whether its vault entries were looked for
    """

    path: Path
    data: bytes
    phase: Phase
    fleet: Fleet
    planned: tuple[PlannedLaunch, ...]
    under_way: WatchwordError | None
    vault_known: bool


class FleetService:
    """Works over the window's vault, profiles and records; tests give another folder."""

    def __init__(self, launches: LaunchService, profiles: Path | None = None) -> None:
        self._launches = launches
        self._profiles = profiles

    @property
    def vaults(self) -> VaultService:
        """The vault that a fleet's launches need."""
        return self._launches.vaults

    @property
    def note(self) -> str:
        """What went less well than it should at the end of the last fleet."""
        return self._launches.note

    # -- what blocks -----------------------------------------------------------------

    def check(self, path: str, phase: Phase = Phase.ALL) -> CheckedFleet:
        """Check a whole manifest, and say what would be done with each launch of it.

        Raises ManifestInvalid, ManifestRefused and BadInput; nothing is ever started.
        """
        place = Path(path).absolute()
        data = read_file(place, _FIELD, LARGEST_MANIFEST)
        entries = self.vaults.names()
        fleet = self._fleet(place, data, entries)
        folder = records_folder()
        if not Records.exists(folder):
            earlier = EarlierLaunches(_NothingKnown(), fleet)
            return _checked(place, data, fleet, earlier, phase, vault_known=entries is not None)
        with Records.open(folder) as records:
            earlier = EarlierLaunches(LaunchStore(records), fleet)
        return _checked(place, data, fleet, earlier, phase, vault_known=entries is not None)

    def _fleet(self, place: Path, data: bytes, entries: Collection[str] | None) -> Fleet:
        store = ProfileStore(self._profiles or profiles_folder())
        return check_fleet(data, place.name, place.parent, store, entries)

    def _ready(self, checked: CheckedFleet, order: FleetOrder) -> Fleet:
        """The launches that are wanted, after one more look at all that they rest on."""
        if read_file(checked.path, _FIELD, LARGEST_MANIFEST) != checked.data:
            raise _changed(checked.path)
        with self.vaults.opened() as vault:
            entries = [entry.name for entry in vault.list()]
        fleet = self._fleet(checked.path, checked.data, entries)
        if order.only:
            kept = tuple(one for one in fleet.launches if one.name in order.only)
            fleet = replace(fleet, launches=kept)
        if order.phase is Phase.ALL and fleet.starting and not order.allow_start:
            raise _not_allowed("start-not-allowed", "run commands", len(fleet.starting))
        if fleet.inline and not order.allow_inline:
            raise _not_allowed("inline-not-allowed", "say what is sent where", len(fleet.inline))
        allow_files(min(order.jobs, len(fleet.launches)))
        return fleet

    # -- in the loop -------------------------------------------------------------------

    async def run(
        self, checked: CheckedFleet, order: FleetOrder, report: Callable[[Events], object]
    ) -> BatchSummary:
        """Take the launches as far as they go; ``report`` gets events, many at a time.

        Cancelled once, it ends in order and returns what was done by then. Raises as
        :meth:`check` does, VaultError, and BadInput ``launches-under-way``.
        """
        fleet = await asyncio.to_thread(self._ready, checked, order)
        surroundings = await asyncio.to_thread(self._launches.surroundings, ask_amd=order.ask_amd)
        # A launch that somebody else works on is told of, and the others don't wait for it.
        surroundings = replace(surroundings, lock_seconds=0.0)
        gathered = _Gathered(report)
        async with self._launches.desk(surroundings) as desk:
            # An older copy of the records is noticed before anything begins.
            gathered.take({"event": "records", "rollback": desk.rollback.value})
            try:
                return await run_batch(
                    fleet,
                    desk,
                    surroundings,
                    order=_batch_order(order, checked.path.parent),
                    report=gathered.take,
                )
            finally:
                gathered.pass_on()


def _batch_order(order: FleetOrder, folder: Path) -> BatchOrder:
    return BatchOrder(
        phase=order.phase,
        folder=folder,
        environment=start_environment(),
        jobs=order.jobs,
        per_host=order.per_host,
        resume=order.resume or order.retry_failed,
        retry_failed=order.retry_failed,
    )


class _Gathered:
    """Passes events on after a moment, all that came by then at once; lives in the loop."""

    def __init__(self, report: Callable[[Events], object]) -> None:
        self._report = report
        self._events: list[Mapping[str, object]] = []
        self._timer: asyncio.TimerHandle | None = None

    def take(self, event: Mapping[str, object]) -> None:
        self._events.append(event)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHERED, self.pass_on)

    def pass_on(self) -> None:
        """Pass on what there is, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        events, self._events = tuple(self._events), []
        if events:
            self._report(events)


class _NothingKnown:
    """Records that are still to be made."""

    def list(self, *, guest: str | None = None) -> Sequence[LaunchSummary]:
        """No launch."""
        del guest
        return ()


def _checked(
    path: Path,
    data: bytes,
    fleet: Fleet,
    earlier: EarlierLaunches,
    phase: Phase,
    *,
    vault_known: bool,
) -> CheckedFleet:
    order = _batch_order(FleetOrder(phase=phase, resume=True), path.parent)
    planned = []
    for launch in fleet.launches:
        known = earlier.of(launch)
        planned.append(
            PlannedLaunch(
                launch.name,
                launch.profile.name,
                launch.host,
                intent_of(order, known),
                "" if known is None else known.id,
            )
        )
    under_way: WatchwordError | None = None
    if phase is not Phase.COMPLETE:
        try:
            earlier.refuse_under_way(fleet)
        except BadInput as error:
            under_way = error
    return CheckedFleet(path, data, phase, fleet, tuple(planned), under_way, vault_known)


def _changed(path: Path) -> BadInput:
    return BadInput(
        "manifest-changed",
        _FIELD,
        f"{path.name} is not the file any more that was checked. Nothing was started.",
        "Look at it again with “Dry run”, then start it.",
    )


def _not_allowed(code: str, what: str, launches: int) -> UsageError:
    return UsageError(
        code,
        "Not agreed to yet",
        f"The manifest would {what}, for {launches} launches. Nothing was started.",
        "Look at what is listed below the manifest, and agree to it there if it is in order.",
    )
