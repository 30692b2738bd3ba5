# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of fleets past one machine: a PostgreSQL, and databases in it."""

from __future__ import annotations

import re

import pytest

from .postgres import PACKAGE, ROOT, Cluster, postgres_programs


@pytest.fixture(scope="session")
def cluster():
    """A PostgreSQL that this session of tests has for itself."""
    listed = (ROOT / ".ci" / "debian-packages.txt").read_text(encoding="utf-8")
    assert re.search(rf"^{PACKAGE}\s", listed, re.MULTILINE)
    programs = postgres_programs()
    if programs is None:
        pytest.skip(f"no initdb (Debian package {PACKAGE})")
    with Cluster(programs) as cluster:
        yield cluster


@pytest.fixture
def database(cluster):
    """The URL of a new, empty database."""
    return cluster.database()
