# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the launches' tests: one simulated machine, and an owner's home."""

from __future__ import annotations

import os

import pytest

from watchword.core.simulator import PlatformKeys
from watchword.core.vault.entries import EntryKind

from .support import ENTRY, Office, add_secret, amd_like_roots, open_vault


@pytest.fixture(scope="session")
def keys() -> PlatformKeys:
    """A machine, made once: its keys are large primes."""
    return PlatformKeys.generate(2048)


@pytest.fixture
def office(tmp_path, keys, monkeypatch):
    """An owner's home; what is written there needn't outlive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.delenv("WATCHWORD_HOME", raising=False)
    return Office(tmp_path, keys)


@pytest.fixture
def amd_like(office, keys):
    """The machine is one of AMD's, and the secret is a real one."""
    office.roots = amd_like_roots(keys)
    with open_vault(office.home) as vault:
        vault.remove(ENTRY)
        add_secret(vault, kind=EntryKind.DISK_SECRET)
    return office
