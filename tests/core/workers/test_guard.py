# SPDX-License-Identifier: Apache-2.0
"""The guard: with an honest table one launch of a turn is sealed; a lying one gains nothing."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchword.core.errors import AnswerPending, VerificationRefused, WatchwordError
from watchword.core.launch.sealing_guard import SealIntent
from watchword.core.workers import guard
from watchword.core.workers.guard import GUARD_SCHEMA, Claim, JobGuard, PostgresSeals
from watchword.core.workers.worker_store import WorkerStore

from .support import HOST, LATER, NOW, Owner, Worker


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def owner(tmp_path):
    return Owner(tmp_path / "owner")


@pytest.fixture
def url(database, cluster):
    for _ in range(2):  # it may be applied as often as one likes
        cluster.psql(GUARD_SCHEMA, database)
    return database


def seals(url, seconds=20.0):
    return PostgresSeals(lambda: psycopg.AsyncConnection.connect(url), seconds)


def intent(launch_id="web-1", host=HOST):
    return SealIntent(launch_id=launch_id, guest="web", host=host, measurement=bytes(48))


class Saying:
    """A table that says what it is told to say: what a hostile database can do."""

    def __init__(self, *answers):
        self.answers = itertools.cycle(answers or [None])
        self.asked = []

    async def claim(self, claim):
        self.asked.append(claim)
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Bench:
    """A worker with its store and guard, and what came of each try to seal."""

    def __init__(self, folder, owner, table, worker=None, clock=lambda: NOW):
        self.owner = owner
        self.worker = worker or Worker()
        self.folder = folder
        self.clock = clock
        self.table = table
        self.store = WorkerStore.open(folder)
        self.guard = JobGuard(self.store, table, clock)

    def job(self, turn=1, **more):
        assignment = self.owner.assignment(self.worker, turn)
        signed = self.owner.sign(self.worker, assignment=assignment, **more)
        return self.worker.open(signed.package, self.owner)

    def reopen(self):
        """The process dies, and another one begins."""
        self.store.close()
        self.store = WorkerStore.open(self.folder)
        self.guard = JobGuard(self.store, self.table, self.clock)

    def seal(self, job, launch_id="web-1"):
        """``sealed``, or why not."""
        return asyncio.run(self.seal_soon(job, launch_id))

    async def seal_soon(self, job, launch_id="web-1"):
        try:
            with self.guard.on(job):
                await self.guard(intent(launch_id))
        except WatchwordError as error:
            return error.code
        return "sealed"


@pytest.fixture
def bench(tmp_path, owner):
    def make(table, name="rack1", **more):
        made.append(Bench(tmp_path / name, owner, table, Worker(name), **more))
        return made[-1]

    made = []
    yield make
    for one in made:
        one.store.close()


def test_without_a_queue_no_driver_of_a_database_is_imported():
    words = "import sys; import watchword.core.workers.guard, watchword.core.workers.assignments"
    words += "; sys.exit(any(name.startswith('psycopg') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", words], check=False, timeout=200).returncode == 0


# -- an honest table ------------------------------------------------------------


def test_a_turn_is_one_launchs_and_asking_again_says_so_again(bench, url):
    one = bench(seals(url))
    job = one.job()
    for _ in range(3):
        assert one.seal(job) == "sealed"
        one.reopen()
    assert one.seal(job, "web-2") == "sealed-elsewhere"
    assert one.seal(job) == "sealed"


def test_another_turn_is_another_launch(bench, url):
    one = bench(seals(url))
    assert one.seal(one.job(1), "web-1") == "sealed"
    assert one.seal(one.job(2), "web-2") == "sealed"
    assert one.seal(one.job(1), "web-1") == "job-overtaken"


def test_a_launch_has_one_turn(bench, url):
    one = bench(seals(url))
    assert one.seal(one.job(1)) == "sealed"
    assert one.seal(one.job(2)) == "sealed-elsewhere"  # the same launch again


def test_of_two_workers_with_one_turn_one_seals(bench, url):
    """What two dispatchers with homes of their own may sign at once."""
    one, other = bench(seals(url)), bench(seals(url), "rack2")

    async def race():
        return await asyncio.gather(
            one.seal_soon(one.job(), "web-1"), other.seal_soon(other.job(), "web-2")
        )

    assert sorted(asyncio.run(race())) == ["sealed", "sealed-elsewhere"]


def test_of_many_launches_at_once_one_is_sealed(bench, url):
    workers = [bench(seals(url), f"rack{n}") for n in range(8)]

    async def race():
        tries = [one.seal_soon(one.job(), f"web-{n}") for n, one in enumerate(workers)]
        return await asyncio.gather(*tries)

    found = asyncio.run(race())
    assert sorted(found) == ["sealed"] + ["sealed-elsewhere"] * 7


def test_a_worker_declared_lost_seals_nothing_once_the_next_turn_is_sealed(bench, url, cluster):
    lost, other = bench(seals(url)), bench(seals(url), "rack2")
    assert other.seal(other.job(2), "web-2") == "sealed"
    assert lost.seal(lost.job(1), "web-1") == "job-overtaken"
    # The refused claim was taken back.
    assert cluster.psql("select turn from watchword_seals", url).split() == ["2"]


def test_a_later_turn_that_is_being_claimed_is_waited_for(bench, url):
    """Neither of two turns slips by the other between its claim and its commit."""
    one = bench(seals(url))
    job = one.job(1)
    later = (job.guest_key, 2, "f" * 64, "web-2", "0" * 64)

    async def race():
        async with await psycopg.AsyncConnection.connect(url) as other:
            await other.execute(guard._ALONE, later[:1])
            await other.execute(guard._CLAIM, later)
            asking = asyncio.create_task(one.seal_soon(job))
            await asyncio.wait([asking], timeout=0.5)
            assert not asking.done()
            await other.commit()
            return await asking

    assert asyncio.run(race()) == "job-overtaken"


def test_rows_are_kept_as_they_were_written(url, bench):
    one = bench(seals(url))
    one.seal(one.job())
    with psycopg.connect(url) as connection:
        for words in ("delete from watchword_seals", "update watchword_seals set turn = 9"):
            with pytest.raises(psycopg.errors.RaiseException):
                connection.execute(words)
            connection.rollback()


def test_the_table_learns_hashes_and_ids_alone(bench, url, cluster):
    one = bench(seals(url))
    one.seal(one.job())
    dump = cluster.dump(url)
    assert one.worker.fingerprint in dump
    for word in ("qmp+unix", "web/disk", "disk-passphrase", "profile"):
        assert word not in dump


# -- out of reach ---------------------------------------------------------------


def test_without_its_tables_the_guard_says_no_for_now(bench, database):
    one = bench(seals(database))
    assert one.seal(one.job()) == "guard-out-of-reach"


def test_while_the_database_is_gone_nothing_is_sealed_and_then_it_goes_on(bench, tmp_path, url):
    where = [f"postgresql:///x?host={tmp_path}"]
    one = bench(PostgresSeals(lambda: psycopg.AsyncConnection.connect(where[0])))
    job = one.job()
    assert one.seal(job) == "guard-out-of-reach"
    assert one.store.claimed_by(job) is None
    where[0] = url
    assert one.seal(job) == "sealed"


def test_a_database_that_stalls_is_waited_for_no_longer_than_stated(bench, url):
    one = bench(seals(url, seconds=0.3))
    job = one.job()
    with psycopg.connect(url) as other:
        other.execute("lock table watchword_seals in access exclusive mode")
        assert one.seal(job) == "guard-out-of-reach"
    assert one.seal(job) == "sealed"


def test_rows_that_make_no_sense_are_no_answer(bench, url):
    class Nonsense(psycopg.adapt.Loader):
        def load(self, data):
            return int(b"nonsense")

    async def connect():
        connection = await psycopg.AsyncConnection.connect(url)
        connection.adapters.register_loader("int8", Nonsense)
        return connection

    one = bench(PostgresSeals(connect))
    job = one.job()
    assert one.seal(job) == "guard-out-of-reach"
    assert one.store.claimed_by(job) is None


def test_a_commit_of_which_nobody_heard_is_found_again(bench, url):
    """The network is split after the claim: the same launch goes on, another one does not."""
    one, other = bench(seals(url)), bench(seals(url), "rack2")

    class Deaf(PostgresSeals):
        async def claim(self, claim):
            await super().claim(claim)
            raise AnswerPending("guard-out-of-reach", "T", "M", "R")

    one.guard = JobGuard(one.store, Deaf(lambda: psycopg.AsyncConnection.connect(url)), one.clock)
    job = one.job()
    assert one.seal(job) == "guard-out-of-reach"
    assert other.seal(other.job(), "web-2") == "sealed-elsewhere"
    one.reopen()
    assert one.seal(job) == "sealed"


# -- a hostile table --------------------------------------------------------------

UNGUARDED = "alter table watchword_seals disable trigger all;"
ALTERED = f"{UNGUARDED} update watchword_seals set launch_id = 'web-2'"


def test_a_table_that_says_free_twice_makes_no_worker_seal_twice(bench):
    one = bench(Saying(None))
    job = one.job()
    assert one.seal(job, "web-1") == "sealed"
    for _ in range(2):
        assert one.seal(job, "web-2") == "sealed-before"
        one.reopen()
    assert one.seal(one.job(2), "web-1") == "sealed-before"


@pytest.mark.parametrize(
    "lie",
    [
        "truncate watchword_seals",
        f"{UNGUARDED} delete from watchword_seals",
        ALTERED,
        "drop table watchword_seals; " + GUARD_SCHEMA,
        "alter table watchword_seals drop constraint watchword_seals_pkey",
    ],
)
def test_rows_removed_altered_or_put_back_release_nothing(bench, url, cluster, lie):
    one = bench(seals(url))
    job = one.job()
    assert one.seal(job, "web-1") == "sealed"
    cluster.psql(lie, url)
    assert one.seal(job, "web-2") in {"sealed-before", "sealed-elsewhere"}


def test_a_table_that_says_taken_delays_and_is_told_of(bench):
    claim = Claim("0" * 64, 1, "f" * 64, "x", "")
    one = bench(Saying(claim, replace(claim, turn=9), None))
    job = one.job()
    assert [one.seal(job) for _ in range(3)] == ["sealed-elsewhere", "job-overtaken", "sealed"]


ANSWERS = st.lists(
    st.sampled_from(
        [
            None,
            None,
            Claim("0" * 64, 1, "f" * 64, "x", ""),
            Claim("0" * 64, 7, "f" * 64, "x", ""),
            AnswerPending("guard-out-of-reach", "T", "M", "R"),
        ]
    ),
    min_size=1,
    max_size=4,
)
TRIES = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(["a", "b", "c"]), st.booleans()), max_size=12
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers=ANSWERS, tries=TRIES)
def test_whatever_the_table_says_a_turn_is_sealed_for_one_launch(
    tmp_path_factory, owner, answers, tries
):
    one = Bench(tmp_path_factory.mktemp("rack"), owner, Saying(*answers))
    jobs = {turn: one.job(turn) for turn in (1, 2, 3)}
    sealed = {}
    try:
        for turn, launch_id, dies in tries:
            if one.seal(jobs[turn], launch_id) == "sealed":
                sealed.setdefault(turn, set()).add(launch_id)
            if dies:
                one.reopen()
    finally:
        one.store.close()
    assert all(len(launches) == 1 for launches in sealed.values())
    every = [launch for launches in sealed.values() for launch in launches]
    assert len(set(every)) == len(every)


# -- the worker's own rules ---------------------------------------------------------


def test_a_job_that_is_given_up_is_never_sealed(bench):
    one = bench(Saying(None))
    job = one.job()
    one.store.give_up(job, None, NOW)
    for _ in range(2):
        assert one.seal(job) == "job-given-up"
        one.reopen()
    assert one.table.asked == []


def test_nothing_is_sealed_out_of_the_jobs_time(bench):
    times = [LATER - timedelta(seconds=1)]
    one = bench(Saying(None), clock=lambda: times[0])
    job = one.job()
    times[0] = LATER
    assert one.seal(job) == "job-out-of-time"
    assert one.table.asked == []
    times[0] = LATER - timedelta(seconds=1)
    assert one.seal(job) == "sealed"


def test_an_answer_that_comes_too_late_is_none(bench):
    times = iter([LATER - timedelta(seconds=1), LATER])
    one = bench(Saying(None), clock=lambda: next(times))
    job = one.job()
    assert one.seal(job) == "job-out-of-time"
    assert one.store.claimed_by(job) is None


def test_a_launch_without_a_job_is_not_sealed(bench):
    one = bench(Saying(None))
    with pytest.raises(VerificationRefused) as caught:
        asyncio.run(one.guard(intent()))
    assert caught.value.code == "no-job-for-launch"
    with one.guard.on(one.job()):
        with pytest.raises(VerificationRefused):
            asyncio.run(one.guard(intent(host="qmp+unix:///run/other")))
        with pytest.raises(WatchwordError) as caught, one.guard.on(one.job(2)):
            pass
        assert caught.value.code == "job-under-way"


def test_a_job_is_taken_up_again_only_once_its_launch_was_begun(bench):
    one = bench(Saying(None))
    job = one.job()
    assert not one.store.begin(job, "older", NOW)
    assert not one.store.begin(job, "older", NOW)  # it died before its launch was begun
    assert one.store.begin(job, "newer", NOW)
    assert one.store.newest_around(job) == ("older", None)
    assert one.store.newest_around(one.job(2)) is None
    assert not one.store.begin(one.job(2), "newer", NOW)
    assert one.store.newest_around(job) == ("older", "newer")
    with pytest.raises(VerificationRefused) as caught:
        one.store.begin(job, "newer", NOW)
    assert caught.value.code == "job-overtaken"


def test_a_settled_job_gives_the_same_answer_again(bench):
    one = bench(Saying(None))
    job = one.job()
    assert one.store.settled(job.digest) is None
    one.store.settle(job.digest, b"said")
    one.reopen()
    assert one.store.settled(job.digest) == b"said"


@pytest.mark.slow
def test_workers_that_die_anywhere_and_a_database_that_is_killed_seal_once(
    bench, cluster, url, owner
):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    workers = [bench(seals(url, 5.0), f"rack{n}") for n in range(3)]
    sealed = {}
    for number in range(60):
        one = dice.choice(workers)
        turn = dice.randint(1, 3)
        launch_id = f"{one.worker.name}-{turn}-{dice.randint(1, 2)}"
        if one.seal(one.job(turn), launch_id) == "sealed":
            sealed.setdefault(turn, set()).add(launch_id)
        if dice.random() < 0.3:
            one.reopen()
        if number % 15 == 14:
            cluster.kill()
            assert one.seal(one.job(turn), launch_id) in {
                "guard-out-of-reach",
                "job-overtaken",
            }
            cluster.start()
    assert sealed
    assert all(len(launches) == 1 for launches in sealed.values())
