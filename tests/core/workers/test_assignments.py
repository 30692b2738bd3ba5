# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is: one worker's, until it has said that nothing more comes of it."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from watchword.core.batch.results import LaunchResult, Outcome
from watchword.core.errors import WatchwordError
from watchword.core.workers.assignments import Assignments
from watchword.core.workers.signed_result import Sealed, VerifiedResult

from .support import HOST, NOW, Owner, Worker

OTHER_BATCH = "bb" * 16


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def owner(tmp_path):
    return Owner(tmp_path / "owner")


@pytest.fixture
def store(owner):
    with owner.assignments() as store:
        yield store


ONE, TWO = Worker("rack1"), Worker("rack2")


def said(outcome, sealed):
    result = LaunchResult("web1", "web", HOST, outcome)
    return VerifiedResult(result, sealed, None, None, "rack1", NOW)


def code_of(call, *values, **more):
    with pytest.raises(WatchwordError) as caught:
        call(*values, **more)
    return caught.value.code


def test_an_open_turn_stays_its_workers(owner, store):
    first = owner.assign(store, ONE)
    assert (first.turn, first.worker) == (1, ONE.fingerprint)
    assert owner.assign(store, ONE, batch=OTHER_BATCH) == first
    assert code_of(owner.assign, store, TWO) == "turn-not-closed"
    assert store.open_turn(owner.fingerprint, "web", HOST) == first
    assert owner.assign(store, TWO, name="web2").turn == 1  # another host


@pytest.mark.parametrize(
    ("outcome", "sealed", "closes"),
    [
        (Outcome.DONE, Sealed.SEALED, True),
        (Outcome.DONE_BEFORE, Sealed.SEALED, True),
        (Outcome.WAITING, Sealed.NEVER, True),
        (Outcome.FAILED, Sealed.NOT_YET, False),
        (Outcome.FAILED, Sealed.SEALED, False),
        (Outcome.WAITING, Sealed.MAY_BE, False),
    ],
)
def test_the_next_turn_comes_once_the_one_before_is_closed(owner, store, outcome, sealed, closes):
    first = owner.assign(store, ONE)
    store.heard(first.job_id, said(outcome, sealed), b"signed")
    assert store.result(first.job_id) == b"signed"
    if closes:
        assert owner.assign(store, TWO).turn == 2
    else:
        assert code_of(owner.assign, store, TWO) == "turn-not-closed"


def test_the_owner_may_declare_a_worker_lost(owner, store):
    first = owner.assign(store, ONE)
    for reason in ("", " ", "x" * 501, "a\nb"):
        assert code_of(store.declare_lost, first, reason) == "bad-reason"
    store.declare_lost(first, "the machine burned")
    assert owner.assign(store, TWO).turn == 2
    assert store.newest(owner.fingerprint, "web", HOST) == 2


def test_a_batch_does_not_go_on_with_what_another_has_begun_meanwhile(owner, store):
    known = store.newest(owner.fingerprint, "web", HOST)
    first = owner.assign(store, ONE, known=known)
    assert code_of(owner.assign, store, ONE, known=known, batch=OTHER_BATCH) == (
        "launched-elsewhere"
    )
    store.heard(first.job_id, said(Outcome.DONE, Sealed.SEALED), b"signed")
    assert code_of(owner.assign, store, ONE, known=known, batch=OTHER_BATCH) == (
        "launched-elsewhere"
    )
    assert owner.assign(store, ONE, known=1).turn == 2


def test_of_many_dispatchers_at_once_one_gets_the_turn(owner):
    workers = [Worker(f"rack{n}") for n in range(6)]

    def assign(worker):
        with owner.assignments() as store:
            try:
                return owner.assign(store, worker, known=0).worker
            except WatchwordError as error:
                return error.code

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(assign, workers))
    assert found.count("launched-elsewhere") == 5


def test_what_was_signed_is_kept_for_sending_it_again(owner, store):
    assignment = owner.assign(store, ONE)
    signed = owner.sign(ONE, assignment=assignment)
    assert store.package(assignment.job_id) is None
    store.signed(signed)
    with owner.assignments() as again:
        assert again.package(assignment.job_id) == signed.package
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_a_closed_turn_is_not_opened_again_nor_given_to_another(owner, store):
    first = owner.assign(store, ONE)
    store.heard(first.job_id, said(Outcome.DONE, Sealed.SEALED), b"signed")
    for words in (
        "update turns set closed = null",
        "update turns set worker = 'x'",
        "delete from turns",
    ):
        with pytest.raises(sqlite3.DatabaseError), store._writing() as connection:
            connection.execute(words)


def test_a_file_of_a_newer_version_is_left_alone(owner):
    with owner.assignments() as store, store._writing() as connection:
        connection.execute("pragma user_version=9")
    assert code_of(Assignments.open, owner.folder) == "worker-store-newer"


def test_a_file_that_is_no_database_is_told_of(tmp_path):
    (tmp_path / "assignments.sqlite3").write_bytes(b"x" * 5000)
    assert code_of(Assignments.open, tmp_path) == "worker-store-damaged"


def test_a_file_that_another_process_makes_ready_just_now_is_waited_for(tmp_path, monkeypatch):
    """SQLite does not wait for that by itself."""
    other = sqlite3.connect(tmp_path / Assignments.FILE_NAME, isolation_level=None)
    other.execute("begin immediate")
    other.execute("create table making (ready text)")
    monkeypatch.setattr(
        "watchword.core.workers.small_database.time.sleep", lambda seconds: other.rollback()
    )
    Assignments.open(tmp_path).close()
    other.close()


def test_a_file_that_another_process_holds_too_long_is_told_of(tmp_path):
    other = sqlite3.connect(tmp_path / Assignments.FILE_NAME, isolation_level=None)
    other.execute("begin immediate")
    other.execute("create table making (ready text)")
    with pytest.raises(WatchwordError) as caught:
        Assignments.open(tmp_path, busy_seconds=0.05)
    assert caught.value.code == "worker-store-busy"
    other.close()
