# SPDX-License-Identifier: Apache-2.0
"""The owner's side: gives each launch of a fleet to a worker, and believes signed results alone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from ..batch.batch_errors import machine_refused
from ..batch.fleet import Fleet, FleetLaunch
from ..batch.intent import BatchOrder, Phase
from ..batch.jobs import FleetJobs, RefusedMachines
from ..batch.one_launch import Report
from ..batch.results import BatchSummary, LaunchResult, Outcome
from ..errors import AnswerPending, BadInput, WatchwordError, unexpected
from .answers import AnswerBox
from .ending_tasks import end_all
from .signed_job import SignedJob, guest_key, sign_job
from .signed_result import VerifiedResult, not_known, open_result
from .turns import done_before, gave_up, under_way

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ..secret import Secret
    from ..vault.entries import EntryKind
    from ..vault.vault import Vault
    from .assignments import Assignments
    from .enrolment import Enrolment, Workers
    from .job_queue import JobQueue
    from .signed_job import Assignment

JOB_LASTS: Final = timedelta(days=1)
PATIENCE_SECONDS: Final = 120.0
_CANCEL_AGAIN_SECONDS: Final = 5.0


@dataclass(slots=True, kw_only=True)
class Dispatcher:
    """What the owner's side works with.

    ``owner_key``    Ed25519 seed; ``owner`` its fingerprint
    ``vault``        of which the secrets are sealed to workers; None: they have them
    ``note``         has the keyring know what the ledger was told, before a job leaves
    ``patience``     seconds for which a worker may be silent before its launches are left to it
    """

    queue: JobQueue
    assignments: Assignments
    workers: Workers
    owner_key: Secret
    owner: str
    vault: Vault | None
    order: BatchOrder
    report: Report
    clock: Callable[[], datetime]
    note: Callable[[], None] = lambda: None
    patience: float = PATIENCE_SECONDS
    batch: str = field(default_factory=lambda: os.urandom(16).hex())

    async def run(self, fleet: Fleet) -> BatchSummary:
        """Have every launch of a fleet run, ``order.jobs`` of them given out at once.

        The summary is that of ``run_batch``. Cancelling withdraws what no worker has begun;
        the rest goes on there. Raises BadInput ``launches-under-way`` before anything is given
        out, and what the queue raises.
        """
        self._refuse_under_way(fleet)
        known = {
            planned.name: self.assignments.newest(self.owner, planned.profile.name, planned.host)
            for planned in fleet.launches
        }
        box = AnswerBox(self.queue, self.owner)
        run = _Run(self, fleet, known, box)
        results = await run.all()
        for planned in fleet.launches:
            if planned.name not in results:
                results[planned.name] = _plain(planned, Outcome.NOT_BEGUN)
                self.report(results[planned.name].as_json())
        return BatchSummary(tuple(results[planned.name] for planned in fleet.launches))

    def _refuse_under_way(self, fleet: Fleet) -> None:
        if self.order.resume or self.order.phase is Phase.COMPLETE:
            return
        names = [
            planned.name
            for planned in fleet.launches
            if under_way(self.assignments, self.owner, planned)
        ]
        if names:
            raise _under_way(names)


class _Run:
    """One run of a dispatcher over a fleet."""

    def __init__(
        self, desk: Dispatcher, fleet: Fleet, known: Mapping[str, int], box: AnswerBox
    ) -> None:
        self._desk = desk
        self._fleet = fleet
        self._known = known
        self._box = box
        self._jobs = FleetJobs(fleet.launches, fleet.limits, desk.order.per_host)
        self._refused = RefusedMachines()
        self._results: dict[str, LaunchResult] = {}
        self._files: set[str] = set()

    async def all(self) -> dict[str, LaunchResult]:
        """The results by name, each reported as soon as it is there."""
        slots = min(self._desk.order.jobs, len(self._fleet.launches))
        tasks = [asyncio.create_task(self._work()) for _ in range(slots)]
        reading = asyncio.create_task(self._box.read())
        try:
            # Cancelled, it says what is known so far. A database that is gone is not waited for.
            with contextlib.suppress(asyncio.CancelledError):
                await self._all_over(tasks, reading)
        finally:
            await end_all((*tasks, reading), _CANCEL_AGAIN_SECONDS)
        return self._results

    async def _all_over(
        self, tasks: Collection[asyncio.Task[None]], reading: asyncio.Task[None]
    ) -> None:
        """Return once all tasks have ended; the reader never ends but by an error of the queue."""
        waiting = set(tasks)
        while waiting and not reading.done():
            _, left = await asyncio.wait({*waiting, reading}, return_when=asyncio.FIRST_COMPLETED)
            waiting &= left
        if reading.done():
            reading.result()

    async def _work(self) -> None:
        while (planned := await self._jobs.take()) is not None:
            try:
                self._note(await self._settled(planned))
            except asyncio.CancelledError:
                self._note(_plain(planned, Outcome.INTERRUPTED))
                raise
            self._jobs.over(planned)

    def _note(self, result: LaunchResult) -> None:
        self._results[result.name] = result
        self._desk.report(result.as_json())

    async def _settled(self, planned: FleetLaunch) -> LaunchResult:
        why = self._refused.why(planned)
        if why is not None:
            return _plain(planned, Outcome.NOT_TRIED, machine_refused(planned, *why))
        try:
            result = await self._launched(planned)
        except AnswerPending as pending:
            elsewhere = pending.code == "launched-elsewhere"
            outcome = Outcome.ELSEWHERE if elsewhere else Outcome.WAITING
            return _plain(planned, outcome, pending)
        except WatchwordError as error:
            return _plain(planned, Outcome.FAILED, error)
        except Exception as fault:  # noqa: BLE001 - one of the three edges: the others go on
            return _plain(planned, Outcome.FAILED, unexpected(fault))
        if result.error is not None and result.outcome is Outcome.FAILED:
            self._refused.refuse(planned, result.error)
        return result

    async def _launched(self, planned: FleetLaunch) -> LaunchResult:
        desk = self._desk
        if desk.order.resume:
            done = done_before(desk.assignments, desk.owner, planned)
            if done is not None:
                return done
        worker = self._worker(planned)
        worker.check(desk.clock())
        assignment = desk.assignments.assign(
            desk.owner,
            planned.profile.name,
            planned.host,
            worker=worker.fingerprint,
            batch=desk.batch,
            name=planned.name,
            known=self._known[planned.name],
        )
        desk.note()
        # A turn is its guest's at its host: the manifest may call the launch otherwise by now.
        assignment = replace(assignment, name=planned.name)
        job = self._signed(planned, assignment, worker)
        desk.assignments.signed(job)
        for sha256, content in job.files.items():
            if sha256 not in self._files:
                await desk.queue.put_file(sha256, content)
                self._files.add(sha256)
        desk.report(
            {"event": "assigned", "name": planned.name, "worker": worker.worker, "job": job.job.job}
        )
        return await self._heard(planned, job)

    def _worker(self, planned: FleetLaunch) -> Enrolment:
        """Whoever has the guest's turn; else the machine's own, unless it has given the guest up.

        All launches of one machine go to one worker as long as the enrolments stay the same.
        """
        desk = self._desk
        guest, host = planned.profile.name, planned.host
        latest = desk.assignments.latest(desk.owner, guest, host)
        candidates = list(desk.workers)
        if latest is not None:
            turn, is_open = latest
            if is_open:
                return desk.workers.by_fingerprint(turn.worker)
            if gave_up(desk.assignments, turn):
                others = [one for one in candidates if one.fingerprint != turn.worker]
                candidates = others or candidates
        place = planned.machine or guest_key(desk.owner, guest, host)
        return max(candidates, key=lambda one: _weight(place, one.fingerprint))

    def _signed(self, planned: FleetLaunch, assignment: Assignment, worker: Enrolment) -> SignedJob:
        desk, now = self._desk, self._desk.clock()
        end = min(now + JOB_LASTS + timedelta(seconds=planned.wait), worker.not_after)
        sealed: dict[str, tuple[EntryKind, Secret]] = {}
        try:
            if desk.vault is not None and planned.inject:
                for entry in dict.fromkeys(planned.entries):
                    sealed[entry] = desk.vault.info(entry).kind, desk.vault.get(entry)
            return sign_job(
                planned,
                assignment,
                desk.owner_key,
                owner_fingerprint=desk.owner,
                worker=worker,
                order=desk.order,
                now=now,
                not_after=end,
                sealed=sealed,
            )
        finally:
            for _, secret in sealed.values():
                secret.wipe()

    async def _heard(self, planned: FleetLaunch, job: SignedJob) -> LaunchResult:
        """The worker's signed word of a job, as soon as it is there."""
        desk, wrong = self._desk, None
        self._box.expect(job.digest, partial(_holds, job, desk.workers))
        try:
            await desk.queue.put(job.job.worker, job.digest, job.package)
            while True:
                envelope = await self._box.next(job.digest, desk.patience)
                if envelope is None:
                    if await self._is_silent(job):
                        await desk.queue.withdraw(job.job.worker, [job.digest])
                        return _silent(planned, job, wrong)
                    continue
                try:
                    said = open_result(envelope, job.job, job.digest, desk.workers)
                except WatchwordError as error:
                    wrong = error
                    desk.report({"event": "forged", "name": planned.name, "error": error.as_json()})
                    continue
                return self._believed(planned, job, said, envelope)
        except asyncio.CancelledError:
            await desk.queue.withdraw(job.job.worker, [job.digest])
            raise
        finally:
            self._box.forget(job.digest)

    def _believed(
        self, planned: FleetLaunch, job: SignedJob, said: VerifiedResult, envelope: bytes
    ) -> LaunchResult:
        self._desk.assignments.heard(job.job.job, said, envelope)
        for step, state in said.steps:
            event = {"name": planned.name, "launch": said.result.launch_id}
            if step == "launch":
                self._desk.report({"event": "launch", **event})
            else:
                self._desk.report({"event": "step", **event, "step": step, "state": state})
        return said.result

    async def _is_silent(self, job: SignedJob) -> bool:
        """Whether the worker is not heard of any more; one that is busy with others is."""
        seconds = await self._desk.queue.silent_for(job.job.worker)
        late = self._desk.clock() >= _end(job)
        return late or seconds is None or seconds > self._desk.patience


def _holds(job: SignedJob, workers: Workers, envelope: bytes) -> bool:
    try:
        open_result(envelope, job.job, job.digest, workers)
    except WatchwordError:
        return False
    return True


def _end(job: SignedJob) -> datetime:
    from .models import parse_time  # noqa: PLC0415 - for the few that wait long

    end = parse_time(job.job.not_after)
    if end is None:
        raise BadInput("job-unreadable", "the job", "Its end makes no sense.", "Report this.")
    return end


def _weight(place: str, worker: str) -> bytes:
    return hashlib.sha256(f"{place}\0{worker}".encode()).digest()


def _plain(
    planned: FleetLaunch, outcome: Outcome, error: WatchwordError | None = None
) -> LaunchResult:
    return LaunchResult(planned.name, planned.profile.name, planned.host, outcome, None, error)


def _silent(planned: FleetLaunch, job: SignedJob, wrong: WatchwordError | None) -> LaunchResult:
    if wrong is not None:
        return not_known(job.job, wrong)
    name = job.job.worker_name
    pending = AnswerPending(
        "worker-silent",
        "Its worker is not heard of",
        f"Launch {planned.name} is worker {name}'s, of which nothing is heard; what became of the"
        " launch is not known.",
        f"Start the worker again (`watchword worker run`), and go on with --resume. If {name} never"
        " comes back, look whether the guest runs; if it doesn't, go on with"
        f" --resume --lost-worker {name}.",
        {"worker": name, "job": job.job.job},
    )
    return _plain(planned, Outcome.WAITING, pending)


def _under_way(names: list[str]) -> BadInput:
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return BadInput(
        "launches-under-way",
        "the manifest",
        f"An earlier run has given out: {shown}. Nothing was started now.",
        "Go on with --resume, or with --phase complete; or have their workers give them up"
        " (`watchword worker run --give-up REASON`).",
        {"launches": names},
    )
