# SPDX-License-Identifier: Apache-2.0
"""What carries signed jobs to workers, and their signed answers back; nobody believes it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

LARGEST_JOB: Final = 256 * 1024
LARGEST_ANSWER: Final = 256 * 1024
LARGEST_FILE: Final = 1024 * 1024
ANSWERS_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class TakenJob:
    """A job as the queue gave it out.

    ``row``   its number in the queue
    ``body``  what it says, at most 256 KiB; none where that was no job at all
    """

    row: int
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker is said to have answered.

    ``number``  to have it removed
    ``job_id``  the job that it is said to be of
    ``body``    at most 256 KiB; none where that was no answer at all
    """

    number: int
    job_id: str
    body: bytes | None


class JobQueue(Protocol):
    """A queue for each worker, and the answers to its jobs.

    A lost connection is waited for, without an end; what was asked is then done once more, so
    that a job or an answer may come twice. Raises HostError ``queue-refused`` for what no
    waiting mends.
    """

    async def put(self, worker: str, job_id: str, body: bytes) -> None:
        """Have a worker find this job."""

    async def withdraw(self, worker: str, job_ids: Collection[str]) -> None:
        """Take back those of these jobs that the worker has not found yet."""

    async def begin(self, worker: str) -> None:
        """The process works as that worker from now on: what it had before is its again."""

    async def take(self, worker: str) -> TakenJob | None:
        """The worker's oldest job that was not given out; None where there is none now."""

    async def finish(self, taken: TakenJob) -> None:
        """A job that was taken is over, and is not given out again."""

    async def new_job(self, worker: str, seconds: float) -> None:
        """Return when there may be a new job, or after so many seconds."""

    async def answer(self, owner: str, job_id: str, body: bytes) -> None:
        """Have whoever waits for this job's answer find it; the owner's batches are woken."""

    async def answers(self, job_ids: Collection[str]) -> Sequence[Answer]:
        """The oldest answers to these jobs that were not removed, at most 100."""

    async def remove_answers(self, answers: Collection[Answer]) -> None:
        """These were read."""

    async def new_answer(self, owner: str, seconds: float) -> None:
        """Return when there may be a new answer, or after so many seconds."""

    async def put_file(self, sha256: str, content: bytes) -> None:
        """Have workers find this content by its hash; at most 1 MiB."""

    async def file(self, sha256: str) -> bytes | None:
        """The content of this hash, which was compared; None where there is none."""

    async def silent_for(self, worker: str) -> float | None:
        """Seconds since the worker was last heard of; None for one that never was."""

    async def close(self) -> None:
        """Let the queue go."""
