# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the batch's tests: a fleet's folder, and a desk that plays."""

from __future__ import annotations

import os

import pytest

from .support import FakeDesk, FleetFolder


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    # What is written needn't outlive a power cut.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def fleet(tmp_path):
    """A folder with a firmware and one profile, ``web``."""
    folder = FleetFolder(tmp_path)
    folder.profile("web")
    return folder


@pytest.fixture
def desk():
    return FakeDesk()
