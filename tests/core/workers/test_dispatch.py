# SPDX-License-Identifier: Apache-2.0
"""The owner's side: whom it gives a launch, for how long, and which answers it looks at."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from watchword.core.batch.results import LaunchResult, Outcome
from watchword.core.workers.answers import AnswerBox
from watchword.core.workers.dispatch import Dispatcher
from watchword.core.workers.job_queue import ANSWERS_AT_ONCE, Answer
from watchword.core.workers.signed_result import Sealed, sign_result

from ..batch.support import launches
from .support import HOST, NOW, Owner, Worker

FORGED = [b"forged %d" % number for number in range(40)]


class Answering:
    """A queue whose worker answers at once, after ``before`` that it has not signed."""

    def __init__(self, owner, worker, before=(), outcome=Outcome.DONE):
        self.owner, self.worker, self.before, self.outcome = owner, worker, before, outcome
        self.jobs, self.waiting, self.numbers = [], [], 0

    async def put(self, worker, job_id, body):
        assert worker == self.worker.fingerprint
        job = self.worker.open(body, self.owner, self.owner.now)
        self.jobs.append(job)
        result = LaunchResult(job.job.name, job.job.guest, job.job.host, self.outcome)
        sealed = Sealed.SEALED if self.outcome is Outcome.DONE else Sealed.NOT_YET
        said = sign_result(
            job, result, self.worker.key, sealed=sealed, packet=None, head=None, now=NOW
        )
        for envelope in (*self.before, said):
            self.numbers += 1
            self.waiting.append(Answer(self.numbers, job_id, envelope))

    async def answers(self, job_ids):
        return [one for one in self.waiting if one.job_id in job_ids][:ANSWERS_AT_ONCE]

    async def remove_answers(self, answers):
        self.waiting = [one for one in self.waiting if one not in answers]

    async def new_answer(self, owner, seconds):
        await asyncio.sleep(0.01)

    async def silent_for(self, worker):
        return None

    async def withdraw(self, worker, job_ids):
        del worker, job_ids


@pytest.fixture
def owner(tmp_path):
    owner = Owner(tmp_path / "owner")
    owner.now = NOW
    return owner


@pytest.fixture
def worker():
    return Worker()


WEB1 = launches("web1")


def dispatched(owner, worker, queue, text=WEB1, workers=None, **order):
    """What came of a fleet, and the events that were told."""
    events = []
    with owner.assignments() as assignments:
        desk = Dispatcher(
            queue=queue,
            assignments=assignments,
            workers=workers or owner.workers(worker),
            owner_key=owner.seed,
            owner=owner.fingerprint,
            vault=None,
            order=replace(owner.order, **order),
            report=events.append,
            clock=lambda: owner.now,
            patience=100,
        )
        fleet = owner.fleet.check(text)
        summary = asyncio.run(asyncio.wait_for(desk.run(fleet), 300))
        turn = assignments.latest(owner.fingerprint, "web", HOST)
    return summary.results, events, turn


def test_a_worker_whose_enrolment_runs_out_during_a_batch_gets_no_more_jobs(owner, worker):
    workers, queue = owner.workers(worker), Answering(owner, worker)
    owner.now = NOW + timedelta(days=365)
    (result,), _, turn = dispatched(owner, worker, queue, workers=workers)
    assert (result.outcome, result.error.code) == (Outcome.FAILED, "enrolment-expired")
    assert queue.jobs == []
    assert turn is None  # nor is it its turn


def test_a_job_ends_with_its_workers_enrolment(owner, worker):
    workers, queue = owner.workers(worker), Answering(owner, worker)
    dispatched(owner, worker, queue, workers=workers)
    owner.now = NOW + timedelta(days=364, hours=23)
    dispatched(owner, worker, queue, workers=workers)
    (enrolled,) = workers
    first, last = queue.jobs
    assert first.not_after == NOW + timedelta(days=1)
    assert last.not_after == enrolled.not_after


def test_a_launch_that_is_called_otherwise_by_now_is_gone_on_with(owner, worker):
    waits = Answering(owner, worker, outcome=Outcome.WAITING)
    dispatched(owner, worker, waits)
    renamed = WEB1.replace('name = "web1"', 'name = "front"')
    queue = Answering(owner, worker)
    (result,), _, turn = dispatched(owner, worker, queue, renamed, resume=True)
    assert (result.name, result.outcome, result.error) == ("front", Outcome.DONE, None)
    before, after = waits.jobs[0].job, queue.jobs[0].job
    assert (before.name, after.name) == ("web1", "front")
    assert (before.job, before.turn) == (after.job, after.turn)
    assert turn[1] is False


@pytest.mark.parametrize("count", [1, 15, 16, 40])
def test_answers_that_nobody_signed_dont_push_the_workers_own_out(owner, worker, count):
    queue = Answering(owner, worker, FORGED[:count])
    (result,), events, _ = dispatched(owner, worker, queue)
    assert result.outcome is Outcome.DONE
    forged = [event for event in events if event["event"] == "forged"]
    assert len(forged) == min(count, 15)


def test_answers_of_a_job_that_nobody_waits_for_are_let_go():
    box = AnswerBox(None, "owner")
    box.expect("a", lambda body: True)
    box.forget("a")
    box._keep("a", b"one")
    assert box._expected == {}
