# SPDX-License-Identifier: Apache-2.0
"""What a worker can state of a job's packet, and how it gives a job up for good.

A job that is given up can go to another worker: its turn is closed by the first one's signed
statement that it never seals for it. So the statement comes after the deed: the store
refuses from then on, and the keys of a launch that was begun are erased.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..batch.results import LaunchResult, Outcome
from ..errors import AnswerPending, UsageError
from .signed_result import Sealed

if TYPE_CHECKING:
    from datetime import datetime

    from ..launch.desk import LaunchDesk
    from .verified_job import VerifiedJob
    from .worker_store import WorkerStore


def sealing_of(
    job: VerifiedJob, launch_id: str | None, desk: LaunchDesk, store: WorkerStore
) -> tuple[Sealed, str | None]:
    """What is recorded of the packet of a job's turn, and its SHA-256 (hex).

    ``launch_id``  the launch that the job has come to, if any. Raises as LaunchDesk.checked.
    """
    claimed = store.claimed_by(job)
    reached = () if launch_id is None else (launch_id,)
    # Given up or not: a person may have completed it by hand.
    for known in dict.fromkeys((*_launches_of(job, desk, store), *reached)):
        packet = desk.checked(known).packet
        if packet is not None:
            return Sealed.SEALED, packet.sha256
    if store.is_given_up(job):
        return Sealed.NEVER, None
    return Sealed.NOT_YET if claimed is None else Sealed.MAY_BE, None


def give_up(
    job: VerifiedJob, desk: LaunchDesk, store: WorkerStore, reason: str, now: datetime
) -> LaunchResult:
    """Give a job up; what came of it, to be signed with ``Sealed.NEVER``.

    Raises UsageError ``job-sealed`` where a packet was sealed: that can't be taken back;
    AnswerPending ``job-under-way`` where it is being launched right now; as desk.abandon.
    """
    said = job.job
    claim = desk.claim(said.guest, said.host)
    if claim is None:
        raise _busy(job)
    try:
        claimed, newest = store.claimed_by(job), desk.newest(said.guest, said.host)
        records = [desk.checked(launch_id) for launch_id in _launches_of(job, desk, store)]
        for record in records:
            # A person may have completed it by hand: that counts as much.
            if record.packet is not None:
                raise _sealed(job, record.id)
        # First nothing can be sealed any more, then the keys go; after a crash between the
        # job is given up once more when it comes again.
        store.give_up(job, newest.id if newest else None, now)
        for record in records:
            if not record.is_abandoned:
                desk.abandon(record.id, reason)
    finally:
        claim.release()
    error = AnswerPending(
        "job-given-up",
        "The worker has given the job up",
        f"Nothing was sealed for {said.name}, and this worker never does: {reason}",
        "Take the fleet up again with --resume: the launch gets a new turn, at any worker.",
        {"job": said.job},
    )
    return LaunchResult(said.name, said.guest, said.host, Outcome.WAITING, claimed, error)


def _launches_of(job: VerifiedJob, desk: LaunchDesk, store: WorkerStore) -> tuple[str, ...]:
    """The launch that has claimed the job's turn, and all that were begun in that turn."""
    claimed, around = store.claimed_by(job), store.newest_around(job)
    found = [] if claimed is None else [claimed]
    if around is not None:
        before, last = around
        known = desk.list(guest=job.job.guest)
        places = {one.id: number for number, one in enumerate(known)}
        first = 0 if last is None else places.get(last, len(known))
        begun = known[first : places.get(before, len(known))]
        here = [one.id for one in begun if one.host == job.job.host]
        found += [one for one in here if not store.is_of_another_turn(job, one)]
    return tuple(dict.fromkeys(found))


def _sealed(job: VerifiedJob, launch_id: str) -> UsageError:
    return UsageError(
        "job-sealed",
        "A packet was sealed for this job",
        f"Launch {launch_id} has its packet; that can't be taken back.",
        f"Take it to its end: `watchword launch resume {launch_id}`, or let the job come again.",
        {"job": job.job.job, "launch": launch_id},
    )


def _busy(job: VerifiedJob) -> AnswerPending:
    return AnswerPending(
        "job-under-way",
        "The job is under way",
        f"{job.job.guest} at {job.job.host} is being launched right now.",
        "Wait until that is over, and try again.",
        {"job": job.job.job},
    )
