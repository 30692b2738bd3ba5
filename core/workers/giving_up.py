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
    for known in dict.fromkeys(one for one in (claimed, launch_id) if one is not None):
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
        begun = store.begun_launch(job, newest.id if newest else None)
        launches = dict.fromkeys(one for one in (claimed, begun) if one is not None)
        records = [desk.checked(launch_id) for launch_id in launches]
        for record in records:
            # A person may have completed it by hand: that counts as much.
            if record.packet is not None:
                raise _sealed(job, record.id)
        # First nothing can be sealed any more, then the keys go: a crash between is harmless.
        store.give_up(job, now)
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
