# SPDX-License-Identifier: Apache-2.0
"""One job at its worker: verified, run as the ordinary launch, its result signed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..batch.batch_errors import launched_elsewhere
from ..batch.fleet import Fleet, FleetLaunch
from ..batch.intent import BatchOrder, Phase
from ..batch.one_launch import OneLaunch, Report, World
from ..batch.results import LaunchResult, Outcome
from ..batch.taking_up import EarlierLaunches
from ..batch.turnstile import Turnstile
from ..errors import UsageError, WatchwordError
from ..ledger.ledger import Ledger
from .giving_up import give_up, sealing_of
from .job_journal import note_head
from .lending import lend, take_back
from .signed_result import Sealed, sign_result

if TYPE_CHECKING:
    from ..launch.desk import LaunchDesk
    from ..launch.store import LaunchSummary
    from ..launch.surroundings import Surroundings
    from ..vault.vault import Vault
    from .guard import JobGuard
    from .job_queue import JobQueue
    from .verified_job import VerifiedJob
    from .worker_key import WorkerKey
    from .worker_store import WorkerStore

_FOLDER_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}", re.ASCII)
_GIVEN_UP_BEFORE: Final = "it was given up before"
_OUT_OF_REACH: Final = "guard-out-of-reach"
_MOST_ATTEMPTS: Final = 20
_PAUSE: Final = 1.0


@dataclass(slots=True, kw_only=True)
class Workshop:
    """What a worker works with.

    ``owner``        fingerprint of the owner whose jobs are taken, and of nobody else
    ``surroundings`` of which ``before_sealing`` is ``guard``
    ``files``        certificates of jobs are written below it
    ``folder``       where start commands run
    ``out``          what hosts are given goes into a folder of the launch's name there; None:
                     into one of the job's own
    ``environment``  what start commands find; no secret belongs in it
    ``allow_start``  whether start commands of jobs are run
    """

    queue: JobQueue
    key: WorkerKey
    owner: str
    desk: LaunchDesk
    surroundings: Surroundings
    vault: Vault
    store: WorkerStore
    guard: JobGuard
    ledger: Ledger
    files: Path
    folder: Path
    out: Path | None
    environment: Mapping[str, str]
    allow_start: bool
    report: Report
    turnstile: Turnstile = field(default_factory=Turnstile)
    give_up: str = ""
    """Why jobs are given up instead of run; empty where they are run."""
    under_way: set[str] = field(default_factory=set)
    """Digests of the job documents that are being worked on."""


class JobRun:
    """A verified job, from its files to its signed result."""

    def __init__(self, job: VerifiedJob, shop: Workshop) -> None:
        self._job = job
        self._shop = shop
        self._steps: list[tuple[str, str]] = []

    async def signed(self) -> bytes:
        """The signed result: that of before, where this very document was settled before."""
        shop, job = self._shop, self._job
        known = shop.store.settled(job.digest)
        if known is not None:
            return known
        over = shop.give_up or shop.store.is_given_up(job)
        result = self._given_up() if over else await self._result()
        shop.report(result.as_json())
        # From the claim to the signature nothing else may come between; nothing here waits.
        sealed, packet = self._sealing(result)
        if sealed is Sealed.NEVER:  # as for a packet: an older copy must not take it back
            note_head(shop.ledger, shop.vault)
        envelope = sign_result(
            job,
            result,
            shop.key,
            sealed=sealed,
            packet=packet,
            head=shop.ledger.exported_head(),
            now=shop.surroundings.clock(),
            steps=self._steps,
        )
        shop.store.settle(job.digest, envelope)
        return envelope

    async def _result(self) -> LaunchResult:
        shop, job = self._shop, self._job
        try:
            planned = await self._planned()
            with shop.guard.on(job):
                try:
                    lend(job, shop.key, shop.vault, shop.store)
                    return await self._launched(planned)
                finally:
                    take_back(job, shop.vault, shop.store)
        except WatchwordError as error:
            return self._failed(error)

    def _given_up(self) -> LaunchResult:
        shop = self._shop
        try:
            reason = shop.give_up or _GIVEN_UP_BEFORE
            return give_up(self._job, shop.desk, shop.store, reason, shop.surroundings.clock())
        except WatchwordError as error:
            return self._failed(error)

    def _failed(self, error: WatchwordError) -> LaunchResult:
        said = self._job.job
        if error.code == "job-under-way":
            busy = launched_elsewhere(_bare(self._job))
            return LaunchResult(said.name, said.guest, said.host, Outcome.ELSEWHERE, error=busy)
        waits = int(error.exit_status) == 9
        outcome = Outcome.WAITING if waits else Outcome.FAILED
        return LaunchResult(said.name, said.guest, said.host, outcome, error=error)

    async def _planned(self) -> FleetLaunch:
        job, shop = self._job, self._shop
        files: dict[str, bytes] = {}
        for sha256 in job.needs:
            content = await shop.queue.file(sha256)
            if content is not None:
                files[sha256] = content
        planned = job.planned(shop.files, files)
        if planned.start is not None and not shop.allow_start:
            raise _start_not_allowed(planned.name)
        if shop.out is None:
            return planned
        return replace(planned, folder=shop.out / _folder_name(planned.name))

    async def _launched(self, planned: FleetLaunch) -> LaunchResult:
        """The launch, taken up again each time that the guard could not be asked."""
        for _ in range(_MOST_ATTEMPTS):
            result = await self._once(planned)
            error = result.error
            if error is None or error.code != _OUT_OF_REACH:
                return result
            await asyncio.sleep(_PAUSE)
            await self._shop.queue.silent_for(self._job.job.worker)  # waits for the database
        return result

    async def _once(self, planned: FleetLaunch) -> LaunchResult:
        shop, job = self._shop, self._job
        newest = shop.desk.newest(planned.profile.name, planned.host)
        begun = shop.store.begin(job, newest.id if newest else None, shop.surroundings.clock())
        order = self._order(begun=begun)
        known = EarlierLaunches(_Newest(newest), Fleet((planned,)), shop.desk.others_wrote)
        if order.phase is not Phase.COMPLETE and not order.resume:
            known.refuse_under_way(Fleet((planned,)))
        world = World(
            desk=shop.desk,
            surroundings=shop.surroundings,
            order=order,
            report=self._report,
            earlier=known,
            turnstile=shop.turnstile,
        )
        one = OneLaunch(planned, world)
        try:
            return await one.settle()
        except asyncio.CancelledError:
            shop.report(one.result(Outcome.INTERRUPTED).as_json())
            raise

    def _report(self, event: Mapping[str, object]) -> None:
        """Tell it here, and keep what the owner's side is to tell as well."""
        if event["event"] == "launch":
            self._steps.append(("launch", "begun"))
        elif event["event"] == "step":
            self._steps.append((str(event["step"]), str(event["state"])))
        self._shop.report(event)

    def _order(self, *, begun: bool) -> BatchOrder:
        """As the batch was told; what this job has begun is taken up, not begun anew."""
        said = self._job.job
        return BatchOrder(
            phase=Phase(said.phase),
            folder=self._shop.folder,
            environment=self._shop.environment,
            resume=said.resume or begun,
            retry_failed=said.retry_failed or (begun and not said.resume),
        )

    def _sealing(self, result: LaunchResult) -> tuple[Sealed, str | None]:
        shop = self._shop
        try:
            return sealing_of(self._job, result.launch_id, shop.desk, shop.store)
        except WatchwordError:  # the records are not what they were: it can't be excluded
            return Sealed.MAY_BE, None


class _Newest:
    """The one launch that is of interest, as a list."""

    def __init__(self, newest: LaunchSummary | None) -> None:
        self._newest = newest

    def list(self, *, guest: str | None = None) -> Sequence[LaunchSummary]:
        """It, or nothing."""
        del guest
        return () if self._newest is None else (self._newest,)


def _bare(job: VerifiedJob) -> FleetLaunch:
    """The launch as far as people are told of it."""
    said = job.job
    return FleetLaunch(
        said.name, job.profile, said.host, (), said.inject, Path(), None, said.start_seconds, 0
    )


def _folder_name(name: str) -> str:
    """The launch's name, if it is good for a folder of its own and for nothing else."""
    if _FOLDER_NAME.fullmatch(name):
        return name
    raise UsageError(
        "bad-folder-name",
        "The launch has no name for a folder",
        "With --out each launch has a folder of its name: letters, digits, dots, dashes.",
        "Rename the launch, or run the worker without --out.",
    )


def _start_not_allowed(name: str) -> UsageError:
    return UsageError(
        "start-not-allowed",
        "The job would run a command",
        f"Launch {name} has a start command, and this worker runs none. Nothing was started.",
        "Run the worker with --allow-start if it may run what the owner signs.",
        {"name": name},
    )
