# SPDX-License-Identifier: Apache-2.0
"""Results: only the job's own worker says what came of it, and says it of that job alone."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from watchword.core.batch.results import BatchSummary, LaunchResult, Outcome
from watchword.core.errors import (
    AnswerPending,
    BadInput,
    ExitStatus,
    VerificationRefused,
    WatchwordError,
)
from watchword.core.ledger.canonical import canonical
from watchword.core.ledger.heads import ExportedHead, LedgerHead
from watchword.core.workers.envelope import sign_document
from watchword.core.workers.signed_result import (
    RESULT,
    Sealed,
    not_known,
    open_result,
    sign_result,
)

from .support import HOST, NOW, Owner, Worker

HEAD = ExportedHead("1d" * 16, LedgerHead(12, "4e" * 32), "2026-11-23T14:00:00Z")
DONE = LaunchResult("web1", "web", HOST, Outcome.DONE, "vm1-20261123-ab", state="running")


@pytest.fixture
def owner(tmp_path):
    return Owner(tmp_path / "owner")


@pytest.fixture
def worker():
    return Worker()


class Said:
    """A job, what its worker says of it, and what the owner makes of that."""

    def __init__(self, owner, worker):
        self.owner, self.worker = owner, worker
        self.signed = owner.sign(worker)
        self.job = worker.open(self.signed.package, owner)

    def say(self, result=DONE, worker=None, job=None, **more):
        values = {"sealed": Sealed.SEALED, "packet": "5a" * 32, "head": HEAD, "now": NOW, **more}
        return sign_result(job or self.job, result, (worker or self.worker).key, **values)

    def hear(self, data, workers=None):
        workers = workers or self.owner.workers(self.worker)
        return open_result(data, self.signed.job, self.signed.digest, workers)

    def refused(self, data, workers=None):
        with pytest.raises(WatchwordError) as caught:
            self.hear(data, workers)
        return caught.value.code


@pytest.fixture
def said(owner, worker):
    return Said(owner, worker)


def test_the_owner_hears_what_the_worker_said(said):
    heard = said.hear(said.say())
    assert heard.result == DONE
    assert (heard.sealed, heard.packet, heard.head) == (Sealed.SEALED, "5a" * 32, HEAD)
    assert heard.worker == "rack1"
    assert heard.closes


@pytest.mark.slow
def test_every_flipped_bit_of_a_result_is_refused(said):
    data = bytearray(said.say())
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises((VerificationRefused, BadInput)):
            said.hear(bytes(data))
        data[bit // 8] ^= 1 << (bit % 8)


def test_another_workers_word_tells_nothing(said, owner):
    other = Worker("rack2")
    both = owner.workers(said.worker, other)
    assert said.refused(said.say(worker=other), both) == "result-of-another-worker"


def test_a_worker_that_is_struck_off_is_not_heard(said, owner):
    data = said.say()
    assert said.refused(data, owner.workers(Worker("rack2"))) == "worker-not-enrolled"


@pytest.mark.parametrize("changes", [{"turn": 2}, {"job_id": "20" * 16}])
def test_the_word_for_another_job_tells_nothing_of_this_one(said, owner, worker, changes):
    assignment = replace(owner.assignment(worker), **changes)
    other = worker.open(owner.sign(worker, assignment=assignment).package, owner)
    assert said.refused(said.say(job=other)) == "result-of-another-job"


def test_the_word_for_an_earlier_document_of_the_same_job_is_not_taken_for_a_newer_one(
    said, owner, worker
):
    order = replace(owner.order, retry_failed=True)
    again = worker.open(owner.sign(worker, order=order).package, owner)
    assert again.job.job == said.job.job.job
    assert said.refused(said.say(job=again)) == "result-of-another-job"


@pytest.mark.parametrize(("field", "value"), [("outcome", "splendid"), ("sealed", "perhaps")])
def test_an_outcome_that_nobody_knows_is_refused(said, field, value):
    body = json.loads(base64.b64decode(json.loads(said.say())["payload"]))
    data = sign_document(RESULT, {**body, field: value}, said.worker.key.signing)
    assert said.refused(data) == "result-unreadable"


def test_a_database_can_neither_forge_nor_bend_a_result(said):
    envelope = json.loads(said.say())
    payload = json.loads(base64.b64decode(envelope["payload"]))
    for outcome in ("failed", "verified"):
        changed = base64.b64encode(canonical({**payload, "outcome": outcome})).decode()
        assert said.refused(canonical({**envelope, "payload": changed})) == "result-signature"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (VerificationRefused("a-code", "T", "M", "R", {"x": 1}), 3),
        (AnswerPending("a-code", "T", "M", "R", {"x": 1}), 9),
        (BadInput("a-code", "the file", "M", "R", {"x": 1}), 6),
    ],
)
def test_an_error_counts_as_it_does_where_it_happened(said, error, status):
    failed = replace(DONE, outcome=Outcome.FAILED, error=error)
    heard = said.hear(said.say(failed, sealed=Sealed.NOT_YET, packet=None))
    assert heard.result.as_json() == failed.as_json()
    assert heard.result.error.exit_status == status
    assert not heard.closes


def test_the_statement_that_nothing_was_ever_sealed_closes_the_turn(said):
    waiting = replace(DONE, outcome=Outcome.WAITING)
    assert said.hear(said.say(waiting, sealed=Sealed.NEVER, packet=None)).closes
    assert not said.hear(said.say(waiting, sealed=Sealed.SEALED)).closes


def test_long_or_odd_words_of_an_error_are_told_as_far_as_they_fit(said):
    error = VerificationRefused("a", "T", "x" * 9000 + "\ud800", "R", {"f": 1.5})
    failed = replace(DONE, outcome=Outcome.FAILED, error=error)
    heard = said.hear(said.say(failed))
    assert heard.result.error.message == "x" * 4000
    assert heard.result.error.details == {}
    large = VerificationRefused("a", "T", "M", "R", {"f": ["y" * 1000] * 300})
    heard = said.hear(said.say(replace(failed, error=large)))
    assert heard.result.error.details == {}


def test_without_a_signed_word_the_guest_is_not_known(said):
    why = VerificationRefused("result-signature", "No", "Forged.", "Look.")
    result = not_known(said.signed.job, why)
    assert result.outcome is Outcome.WAITING
    assert result.error.code == "guest-not-known"
    assert "Forged" in result.error.message
    assert BatchSummary((result,)).exit_status is ExitStatus.WAITING
