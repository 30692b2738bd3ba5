# SPDX-License-Identifier: Apache-2.0
"""What listing a hundred thousand launches costs, against the bare SELECT of the same columns."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchword.core.launch.record import LaunchState
from watchword.core.launch.store import LaunchStore
from watchword.core.records.database import FILE_NAME, Records

from .ratio import Ratio

LAUNCHES = 100_000
COLUMNS = "id, guest, technology, simulated, state, host, waits_for, created, changed"
MOST = 3.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records with that many launches, each with a document of 1 KiB."""
    folder = tmp_path_factory.mktemp("records")
    states = [state.value for state in LaunchState]
    rows = (
        (
            f"vm{number % 50}-20261123-{number:06}",
            f"vm{number % 50}",
            states[number % len(states)],
            f"2026-11-{number % 30 + 1:02}T{number % 24:02}:{number % 60:02}:00Z",
        )
        for number in range(LAUNCHES)
    )
    with Records.open(folder) as records, records.writing() as connection:
        connection.executemany(
            f"insert into launches ({COLUMNS}, document) values"
            " (?1, ?2, 'sev', 0, ?3, 'qmp+unix:///run/vm.sock', '', ?4, ?4, zeroblob(1024))",
            rows,
        )
    return folder


@pytest.fixture
def store(folder: Path) -> Iterator[LaunchStore]:
    with Records.open(folder) as records:
        yield LaunchStore(records)


@pytest.fixture
def bare(folder: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        yield connection


def test_listing_all_launches_costs_little_more_than_the_select(
    store: LaunchStore, bare: sqlite3.Connection, ratio: Ratio
) -> None:
    query = f"select {COLUMNS} from launches order by created desc, id desc"
    assert len(store.list()) == LAUNCHES
    ratio(
        "launch list of 100,000 / bare SELECT",
        store.list,
        lambda: bare.execute(query).fetchall(),
        MOST,
        rounds=5,
    )


def test_listing_the_newest_of_a_guest_costs_little_more_than_the_select(
    store: LaunchStore, bare: sqlite3.Connection, ratio: Ratio
) -> None:
    query = f"select {COLUMNS} from launches where guest = 'vm7' order by created desc, id desc"
    ratio(
        "launch list of one guest / bare SELECT",
        lambda: store.list(guest="vm7"),
        lambda: bare.execute(query).fetchall(),
        MOST,
        rounds=5,
    )
