# SPDX-License-Identifier: Apache-2.0
"""Launches by hand: nothing is sealed for a guest that signed jobs launch, and the rest is."""

from __future__ import annotations

import argparse
import asyncio
import os

import pytest

from watchword.core.cli.desk_options import surroundings_of
from watchword.core.cli.output import Console
from watchword.core.errors import BadInput, VerificationRefused
from watchword.core.launch.sealing_guard import SealIntent
from watchword.core.workers import by_hand_guard as module
from watchword.core.workers.assignments import Assignments
from watchword.core.workers.by_hand_guard import by_hand_guard
from watchword.core.workers.worker_store import WorkerStore
from watchword.gui.launch_service import surroundings_of_this_machine

from .support import HOST, NOW, Owner, Worker

ELSEWHERE = "qmp+unix:///run/elsewhere"


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def owner(tmp_path):
    return Owner(tmp_path / "owner")


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def job_of(owner):
    worker = Worker()
    return worker.open(owner.sign(worker).package, owner)


def asked(guard, guest="web", host=HOST):
    """What the guard says: None for yes, else the code."""
    intent = SealIntent(launch_id="web-1", guest=guest, host=host, measurement=bytes(48))
    try:
        asyncio.run(guard(intent))
    except (VerificationRefused, BadInput) as error:
        return error.code
    return None


def test_where_nobody_has_had_a_job_nothing_is_refused_and_no_file_is_made(home):
    assert asked(by_hand_guard(home)) is None
    assert list(home.iterdir()) == []


def test_its_files_are_those_of_worker_and_owner():
    assert module.WORKER_FILE == WorkerStore.FILE_NAME
    assert module.OWNER_FILE == Assignments.FILE_NAME


@pytest.mark.parametrize("given_up", [False, True])
def test_a_guest_of_jobs_is_refused_wherever_its_launch_is_said_to_be(owner, home, given_up):
    guard = by_hand_guard(home)
    with WorkerStore.open(home) as store:
        assert asked(guard) is None  # a worker that has had no job of it
        if given_up:
            store.give_up(job_of(owner), None, NOW)
        else:
            store.begin(job_of(owner), None, NOW)
    assert asked(guard) == "guest-of-jobs"
    assert asked(guard, host=ELSEWHERE) == "guest-of-jobs"
    assert asked(guard, guest="another") is None


def test_a_store_that_cant_be_read_says_no(home):
    (home / "worker.sqlite3").write_bytes(b"no database at all" * 100)
    assert asked(by_hand_guard(home)) == "worker-store-damaged"


def test_the_owner_launches_nothing_himself_while_a_worker_has_the_turn(owner):
    guard = by_hand_guard(owner.folder)
    with owner.assignments() as store:
        turn = owner.assign(store, Worker())
        assert asked(guard) == "guest-at-a-worker"
        assert asked(guard, host=ELSEWHERE) is None
        store.declare_lost(turn, "the rack has burnt down")
    assert asked(guard) is None


def test_command_line_and_window_ask_it(owner, home, monkeypatch):
    monkeypatch.setenv("WATCHWORD_HOME", str(home))
    with WorkerStore.open(home) as store:
        store.begin(job_of(owner), None, NOW)
    words = argparse.Namespace(fetch_cek=False, key_service=None)
    for made in (
        surroundings_of(words, Console(as_json=False)),
        surroundings_of_this_machine(ask_amd=False),
    ):
        assert asked(made.before_sealing) == "guest-of-jobs"
