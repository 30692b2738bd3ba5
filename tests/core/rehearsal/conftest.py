# SPDX-License-Identifier: Apache-2.0
"""What rehearsals with a real QEMU share: artifacts, an encrypted disk, a simulated machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from watchword.core.simulator import PlatformKeys

from ...firmware.artifacts import BootFiles
from .locked_disk import TOOLS, Artifacts, find_artifacts, gather_artifacts, make_disk


@pytest.fixture(scope="session")
def machine_keys() -> PlatformKeys:
    """One simulated machine for all; 2048-bit CA keys are made faster."""
    return PlatformKeys.generate(2048)


@pytest.fixture(scope="session")
def own_artifacts(
    program: Callable[[str, str], Path],
    own_firmware: Path,
    secret_kernel: BootFiles,
    tmp_path_factory: pytest.TempPathFactory,
) -> Artifacts:
    """Our own firmware, which halts and asks nobody, with a kernel and its initrd."""
    for name, package in TOOLS.items():
        program(name, package)
    return gather_artifacts(tmp_path_factory.mktemp("own"), own_firmware, secret_kernel)


@pytest.fixture(scope="session")
def artifacts(program: Callable[[str, str], Path], request: pytest.FixtureRequest) -> Artifacts:
    """Firmware, kernel and initrd: the given ones, else our own; skips where a program misses."""
    for name, package in TOOLS.items():
        program(name, package)
    found: Artifacts = find_artifacts() or request.getfixturevalue("own_artifacts")
    return found


@pytest.fixture(params=["given", "own"])
def each_firmware(request: pytest.FixtureRequest, artifacts: Artifacts) -> Artifacts:
    """The given firmware, and then our own."""
    if request.param == "given":
        return artifacts
    if artifacts.halts:
        pytest.skip("no ../shared/rehearsal/artifacts: ours is tried already")
    found: Artifacts = request.getfixturevalue("own_artifacts")
    return found


@pytest.fixture(scope="session")
def locked_disk(artifacts: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encrypted disk for both routes; nothing may ever change it."""
    return make_disk(artifacts, tmp_path_factory.mktemp("disk"))
