# SPDX-License-Identifier: Apache-2.0
"""Hands each answer from the queue to whoever waits for it, with one reader for all of them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .job_queue import JobQueue

_LOOK_SECONDS: Final = 5.0
_MOST_KEPT: Final = 16
"""Answers to one job that nobody has looked at yet; more are dropped."""


class AnswerBox:
    """The answers to the jobs that are waited for; nobody vouches for them."""

    def __init__(self, queue: JobQueue, owner: str) -> None:
        self._queue = queue
        self._owner = owner
        self._expected: dict[str, asyncio.Queue[bytes]] = {}

    def expect(self, job_id: str) -> None:
        """From now on answers to this job are kept."""
        self._expected[job_id] = asyncio.Queue(_MOST_KEPT)

    def forget(self, job_id: str) -> None:
        """Nobody waits for this job's answer any more."""
        self._expected.pop(job_id, None)

    async def next(self, job_id: str, seconds: float) -> bytes | None:
        """The next answer to an expected job; None if there is none for so long."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self._expected[job_id].get(), seconds)
        return None

    async def read(self) -> None:
        """Read what comes, until this is cancelled; raises as the queue does."""
        while True:
            await self._queue.new_answer(self._owner, _LOOK_SECONDS)
            while self._expected:
                found = await self._queue.answers(set(self._expected))
                for answer in found:
                    waiting = self._expected.get(answer.job_id)
                    if waiting is not None and answer.body is not None:
                        with contextlib.suppress(asyncio.QueueFull):
                            waiting.put_nowait(answer.body)
                if not found:
                    break
                await self._queue.remove_answers(found)
