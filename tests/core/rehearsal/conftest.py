# SPDX-License-Identifier: Apache-2.0
"""What rehearsals with a real QEMU share: artifacts, an encrypted disk, a simulated machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from watchword.core.simulator import PlatformKeys

from .locked_disk import TOOLS, Artifacts, find_artifacts, make_disk


@pytest.fixture(scope="session")
def machine_keys() -> PlatformKeys:
    """One simulated machine for all; 2048-bit CA keys are made faster."""
    return PlatformKeys.generate(2048)


@pytest.fixture(scope="session")
def artifacts(program: Callable[[str, str], Path]) -> Artifacts:
    """Firmware, kernel and initrd; skips where they or a program are missing."""
    for name, package in TOOLS.items():
        program(name, package)
    return find_artifacts()


@pytest.fixture(scope="session")
def locked_disk(artifacts: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encrypted disk for both routes; nothing may ever change it."""
    return make_disk(artifacts, tmp_path_factory.mktemp("disk"))
