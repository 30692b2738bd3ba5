# SPDX-License-Identifier: Apache-2.0
"""Fixtures for what boot tests run: our own firmware, the shared one, a kernel with efi_secret."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent

# The kernel takes four minutes on four idle processors.
_LONGEST_BUILD: Final = 45 * 60
_NO_SOURCES: Final = 75
_SAID: Final = 4000


@dataclass(frozen=True, slots=True)
class BootFiles:
    """A kernel and the initrd that goes with it."""

    kernel: Path
    initrd: Path


def artifacts_folder() -> Path:
    """Where the proof of concept's firmware, kernel and initrd are (they are never committed)."""
    return ROOT.parent / "shared" / "rehearsal" / "artifacts"


def built(flavour: str) -> Path:
    """The folder with the files of a flavour, built now where the cache has none.

    The test is skipped, with the reason, where Debian's sources can't be had.
    """
    done = subprocess.run(
        [HERE / "build", flavour],
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_LONGEST_BUILD,
        check=False,
    )
    said = done.stderr.strip()[-_SAID:]
    if done.returncode == _NO_SOURCES:
        pytest.skip(f"{said or 'no sources'} (tests/firmware/build {flavour})")
    if done.returncode != 0:
        pytest.fail(f"tests/firmware/build {flavour} ended with {done.returncode}:\n{said}")
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def own_firmware() -> Path:
    """Our AmdSev OVMF: halts on another kernel, and its GRUB asks nobody. Minutes, then cached."""
    return built("firmware") / "OVMF.amdsev.fd"


@pytest.fixture(scope="session")
def shared_artifacts() -> Path:
    """The folder with the proof of concept's files, or a skip that says that it is absent."""
    folder = artifacts_folder()
    if not (folder / "OVMF.amdsev.fd").is_file():
        pytest.skip("no ../shared/rehearsal/artifacts")
    return folder


@pytest.fixture(scope="session")
def secret_kernel() -> BootFiles:
    """A kernel with efi_secret, and an initrd that opens the disk: the shared one, else built."""
    folder = artifacts_folder()
    if not (folder / "vmlinuz").is_file():
        folder = built("kernel")
    return BootFiles(folder / "vmlinuz", folder / "initrd.gz")


@pytest.fixture(scope="session")
def stock_kernel() -> Path:
    """A folder with Debian's own cloud kernel (``vmlinuz``), its ``modules``, and in ``initrd``
    the scripts with which Debian's initial RAM disks open a disk.
    """
    return built("stock-kernel")
