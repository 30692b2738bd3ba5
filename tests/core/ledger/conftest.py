# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the ledger's tests."""

from __future__ import annotations

import pytest

from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records

from .support import Clock, Forger


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def records(folder):
    with Records.open(folder) as records:
        yield records


@pytest.fixture
def ledger(records):
    return Ledger(records, Clock())


@pytest.fixture
def story(ledger):
    """Five entries with little in them: begun, prepared, sealed, running, stopped."""
    ledger.append(EntryKind.LAUNCH_PREPARED, "a", {"n": 1})
    ledger.append(EntryKind.PACKET_SEALED, "a", {"n": "two"}, simulated=True)
    ledger.append(EntryKind.LAUNCH_RUNNING, "a", {"n": [3]})
    ledger.append(EntryKind.GUEST_STOPPED, None, {})
    return list(ledger.entries())


@pytest.fixture
def forger(folder, records, story, tmp_path):
    """Somebody with a copy of those five entries, who can write what he likes."""
    records.close()
    forger = Forger(folder, tmp_path / "copy")
    yield forger
    forger.connection.close()
