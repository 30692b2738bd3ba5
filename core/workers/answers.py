# SPDX-License-Identifier: Apache-2.0
"""Hands each answer from the queue to whoever waits for it, with one reader for all of them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from .job_queue import JobQueue

_LOOK_SECONDS: Final = 5.0
_MOST_KEPT: Final = 16
"""Answers to one job that nobody has looked at yet; the last place is for one that holds."""


class AnswerBox:
    """The answers to the jobs that are waited for; nobody vouches for them."""

    def __init__(self, queue: JobQueue, owner: str) -> None:
        self._queue = queue
        self._owner = owner
        self._expected: dict[str, tuple[asyncio.Queue[bytes], Callable[[bytes], bool]]] = {}

    def expect(self, job_id: str, holds: Callable[[bytes], bool]) -> None:
        """From now on answers to this job are kept.

        ``holds``  whether an answer is what is waited for: however many others come before it
        is looked at, they don't take its place
        """
        self._expected[job_id] = asyncio.Queue(_MOST_KEPT), holds

    def forget(self, job_id: str) -> None:
        """Nobody waits for this job's answer any more."""
        self._expected.pop(job_id, None)

    async def next(self, job_id: str, seconds: float) -> bytes | None:
        """The next answer to an expected job; None if there is none for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._expected[job_id][0].get()
        return None

    async def read(self) -> None:
        """Read what comes, until this is cancelled; raises as the queue does."""
        while True:
            await self._queue.new_answer(self._owner, _LOOK_SECONDS)
            while self._expected:
                found = await self._queue.answers(set(self._expected))
                for answer in found:
                    if answer.body is not None:
                        self._keep(answer.job_id, answer.body)
                if not found:
                    break
                await self._queue.remove_answers(found)

    def _keep(self, job_id: str, body: bytes) -> None:
        if job_id not in self._expected:
            return
        waiting, holds = self._expected[job_id]
        left = _MOST_KEPT - waiting.qsize()
        if left > 1 or (left == 1 and holds(body)):
            waiting.put_nowait(body)
