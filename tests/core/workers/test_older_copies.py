# SPDX-License-Identifier: Apache-2.0
"""Older copies of the worker's store and the owner's assignments: the ledger brings all back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil

import pytest

from watchword.core.batch.results import LaunchResult, Outcome
from watchword.core.errors import VerificationRefused, WatchwordError
from watchword.core.ledger.anchor import check_anchor
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.vault.vault import Vault
from watchword.core.workers.by_hand_guard import OWNER_FILE, WORKER_FILE, by_hand_guard
from watchword.core.workers.dispatch import Dispatcher
from watchword.core.workers.job_journal import JobJournal, note_head
from watchword.core.workers.signed_result import Sealed, VerifiedResult
from watchword.core.workers.worker_store import WorkerStore

from ..launch.support import Stage
from ..vault.support import MemoryBackend, keyring_ways, memory_access
from .support import HOST, NOW, Owner, Worker
from .test_by_hand_guard import asked
from .test_dispatch import WEB1, Answering
from .test_jobs_done import Lying, keys, rack  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.delenv("WATCHWORD_HOME", raising=False)


@pytest.fixture
def owner(tmp_path):
    owner = Owner(tmp_path / "owner")
    owner.now = NOW
    return owner


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@contextlib.contextmanager
def kept(home, opened):
    """A store as a process has it: beside the ledger, which has told it what it lacks."""
    with Records.open(home) as records, opened(home) as store:
        store.brought = store.stand_by(JobJournal(Ledger(records)))
        yield store


def worker_store(home):
    return kept(home, WorkerStore.open)


def assignments_of(owner):
    return kept(owner.folder, lambda folder: owner.assignments())


def copied(home, name):
    """What puts the file back as it is now; it may be absent."""
    copy = home / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in home.glob(f"{name}*"):
        shutil.copy(path, copy)

    def put_back():
        for path in home.glob(f"{name}*"):
            path.unlink()
        for path in copy.iterdir():
            shutil.copy(path, home)

    return put_back


def code_of(call, *values, **more):
    with pytest.raises(WatchwordError) as caught:
        call(*values, **more)
    return caught.value.code


class Jobs:
    """Jobs of one worker, by their turns."""

    def __init__(self, owner):
        self.owner, self.worker = owner, Worker()

    def __getitem__(self, turn):
        signed = self.owner.sign(self.worker, assignment=self.owner.assignment(self.worker, turn))
        return self.worker.open(signed.package, self.owner)


# -- the worker's store -------------------------------------------------------------


def test_what_was_claimed_stays_claimed_though_an_older_store_is_put_back(owner, home):
    job = Jobs(owner)[1]
    with worker_store(home) as store:
        put_back = copied(home, WORKER_FILE)
        assert not store.begin(job, "before", NOW)
        store.claim(job, "web-1", NOW)
    put_back()
    with worker_store(home) as store:
        assert store.brought == 2
        assert code_of(store.claim, job, "web-2", NOW) == "sealed-before"
        assert store.claimed_by(job) == "web-1"
        assert store.newest_around(job) == ("before", None)
        assert store.begin(job, "web-1", NOW)  # to be taken up, and not begun anew
    with worker_store(home) as store:
        assert store.brought == 0


def test_what_was_given_up_stays_so_though_an_older_store_is_put_back(owner, home):
    jobs = Jobs(owner)
    with worker_store(home) as store:
        store.begin(jobs[1], None, NOW)
        put_back = copied(home, WORKER_FILE)
        store.give_up(jobs[1], None, NOW)
        store.give_up(jobs[2], None, NOW)
    put_back()
    with worker_store(home) as store:
        assert store.brought == 2
        assert store.is_given_up(jobs[1])
        assert code_of(store.claim, jobs[2], "web-1", NOW) == "job-given-up"
        assert code_of(store.claim, jobs[1], "web-1", NOW) == "job-overtaken"


def test_a_store_that_was_there_before_the_ledger_knew_it_is_told_of_when_it_is_asked(owner, home):
    """As after a crash between the two; whoever asks again has the ledger told."""
    job = Jobs(owner)[1]
    with WorkerStore.open(home) as alone:
        alone.begin(job, "before", NOW)
        alone.claim(job, "web-1", NOW)
    with worker_store(home) as store:
        assert store.brought == 0
        for _ in range(2):
            store.begin(job, "web-1", NOW)
            store.claim(job, "web-1", NOW)
    with Records.open(home) as records:
        found = list(Ledger(records).entries())
    kinds = [EntryKind.LEDGER_BEGUN, EntryKind.JOB_BEGUN, EntryKind.JOB_SEALING]
    assert [entry.kind for entry in found] == kinds
    assert found[1].body["newest_before"] == "before"
    assert found[2].launch_id == "web-1"


def test_an_older_store_that_was_gone_on_with_is_refused(owner, home):
    job = Jobs(owner)[1]
    with worker_store(home) as store:
        put_back = copied(home, WORKER_FILE)
        store.claim(job, "web-1", NOW)
    put_back()
    with WorkerStore.open(home) as alone:  # by a program that asks no ledger
        alone.claim(job, "web-2", NOW)
    with pytest.raises(VerificationRefused) as caught, worker_store(home):
        pass
    assert caught.value.code == "worker-store-otherwise"


def test_a_worker_with_an_older_store_and_a_lying_database_launches_nothing_twice(rack, keys):  # noqa: F811 - as pytest has it
    one = rack(table=Lying())

    async def scenario():
        async with Stage(keys) as stage:
            put_back = copied(one.office.home, WORKER_FILE)
            job = one.job(one.signed())
            with Records.open(one.office.home) as records:
                one.store.stand_by(JobJournal(Ledger(records)))
                launch_id = await one.launch(job, stage)
            one.settle(job)
            one.store.close()
            put_back()
            one.store = WorkerStore.open(one.office.home)
            with Records.open(one.office.home) as records:
                one.store.stand_by(JobJournal(Ledger(records)))
                assert await one.launch(job, stage) == launch_id
            assert len({packet.packet_sha256 for packet in stage.packets}) == 1

    asyncio.run(scenario())


def test_never_is_signed_only_once_the_keyring_knows_of_it(rack, keys, monkeypatch):  # noqa: F811 - as above
    """Of the ledger's head, so that no older copy of all takes the giving up back."""
    one, noted = rack(), []
    job = one.job(one.signed())

    def noting(ledger, vault):
        kinds = [entry.kind for entry in ledger.entries()]
        noted.append((EntryKind.JOB_GIVEN_UP in kinds, one.store.settled(job.digest), vault))

    monkeypatch.setattr("watchword.core.workers.job_run.note_head", noting)

    async def scenario():
        async with Stage(keys) as stage:
            with Records.open(one.office.home) as records:
                one.store.stand_by(JobJournal(Ledger(records)))
                one.store.give_up(job, None, NOW)
                await one.come_again(job, stage)
                await one.come_again(job, stage)  # which was noted, and is said again

    asyncio.run(scenario())
    ((in_ledger, settled, vault),) = noted
    assert in_ledger
    assert settled is None
    assert isinstance(vault, Vault)


# -- launches by hand ---------------------------------------------------------------


@pytest.mark.parametrize("given_up", [False, True])
def test_a_guest_of_jobs_is_not_sealed_by_hand_though_the_store_is_gone(owner, home, given_up):
    job = Jobs(owner)[1]
    with worker_store(home) as store:
        store.give_up(job, None, NOW) if given_up else store.begin(job, None, NOW)
    for path in home.glob(f"{WORKER_FILE}*"):
        path.unlink()
    guard = by_hand_guard(home)
    assert asked(guard) == "guest-of-jobs"
    assert asked(guard, guest="other") is None


def test_a_guest_at_a_worker_is_not_sealed_by_hand_though_the_assignments_are_gone(owner):
    with assignments_of(owner) as store:
        owner.assign(store, Worker())
    for path in owner.folder.glob(f"{OWNER_FILE}*"):
        path.unlink()
    assert asked(by_hand_guard(owner.folder)) == "guest-at-a-worker"


# -- the owner's assignments --------------------------------------------------------


def test_a_turn_stays_its_workers_though_older_assignments_are_put_back(owner):
    one, two = Worker("rack1"), Worker("rack2")
    with assignments_of(owner) as store:
        put_back = copied(owner.folder, OWNER_FILE)
        first = owner.assign(store, one)
    put_back()
    with assignments_of(owner) as store:
        assert store.brought == 1
        assert code_of(owner.assign, store, two) == "turn-not-closed"
        assert owner.assign(store, one) == first


def test_turns_before_one_that_is_brought_back_are_closed(owner):
    one, two = Worker("rack1"), Worker("rack2")
    with assignments_of(owner) as store:
        first = owner.assign(store, one)
        put_back = copied(owner.folder, OWNER_FILE)
        result = LaunchResult("web1", "web", HOST, Outcome.WAITING)
        said = VerifiedResult(result, Sealed.NEVER, None, None, "rack1", NOW)
        store.heard(first.job_id, said, b"signed")
        second = owner.assign(store, two)
    put_back()
    with assignments_of(owner) as store:
        assert store.brought == 1
        assert store.open_turn(owner.fingerprint, "web", HOST) == second
        assert code_of(owner.assign, store, one) == "turn-not-closed"


def test_older_assignments_that_were_gone_on_with_are_refused(owner):
    with assignments_of(owner) as store:
        put_back = copied(owner.folder, OWNER_FILE)
        owner.assign(store, Worker("rack1"))
    put_back()
    with owner.assignments() as alone:  # by a program that asks no ledger
        owner.assign(alone, Worker("rack2"))
    with pytest.raises(VerificationRefused) as caught, assignments_of(owner):
        pass
    assert caught.value.code == "worker-store-otherwise"


def test_a_job_leaves_only_once_the_keyring_knows_whose_turn_it_is(owner):
    worker, course = Worker(), []

    class Watched(Answering):
        async def put(self, worker, job_id, body):
            course.append("put")
            await super().put(worker, job_id, body)

    with assignments_of(owner) as assignments:
        desk = Dispatcher(
            queue=Watched(owner, worker),
            assignments=assignments,
            workers=owner.workers(worker),
            owner_key=owner.seed,
            owner=owner.fingerprint,
            vault=None,
            order=owner.order,
            report=lambda event: None,
            clock=lambda: NOW,
            note=lambda: course.append(assignments.latest(owner.fingerprint, "web", HOST)[1]),
        )
        asyncio.run(desk.run(owner.fleet.check(WEB1)))
    assert course == [True, "put"]


def test_an_older_copy_of_ledger_and_assignments_is_refused_where_a_keyring_remembers(owner):
    access = memory_access(MemoryBackend())
    ways = keyring_ways(access)
    folder = owner.folder / "vault"
    Vault.create(folder, next(iter(ways.values()))).close()
    put_back = copied(owner.folder, "records.sqlite3")
    with Vault.open(folder, ways) as vault, Records.open(owner.folder) as records:
        ledger = Ledger(records)
        with owner.assignments() as store:
            store.stand_by(JobJournal(ledger))
            owner.assign(store, Worker())
        note_head(ledger, vault)
        note_head(ledger, vault)
        assert check_anchor(ledger, vault.ledger_head) == "checked"
    put_back()
    with Vault.open(folder, ways) as vault, Records.open(owner.folder) as records:
        code = code_of(check_anchor, Ledger(records), vault.ledger_head)
    assert code == "ledger-rolled-back"
