# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of the records file."""

from __future__ import annotations

import pytest

from watchword.core.records.database import Records


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def records(folder):
    with Records.open(folder) as records:
        yield records
