# SPDX-License-Identifier: Apache-2.0
"""What a check may ask of this machine, and how what it lacks is got here."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from .programs import first_line

_OS_RELEASE_LIMIT = 16 << 10


def _has_module(name: str) -> bool:
    """Whether a module can be found; it is not imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _version_of(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def system_families(path: str = "/etc/os-release") -> frozenset[str]:
    """``ID`` and ``ID_LIKE`` of os-release(5); empty where there is none."""
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as stream:
            lines = stream.read(_OS_RELEASE_LIMIT).splitlines()
    except OSError:
        return frozenset()
    words: list[str] = []
    for line in lines:
        name, _, value = line.partition("=")
        if name in ("ID", "ID_LIKE"):
            words += value.strip().strip("\"'").split()
    return frozenset(words)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The machine as the checks see it; a test puts another one in its place.

    ``families``  the system's names for itself and its relatives, such as ``debian``
    """

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    families: frozenset[str] = field(default_factory=system_families)
    platform: str = sys.platform
    today: date = field(default_factory=date.today)
    python: str = sys.executable
    has_module: Callable[[str], bool] = _has_module
    version_of: Callable[[str], str | None] = _version_of
    which: Callable[[str], str | None] = shutil.which
    first_line: Callable[[Sequence[str]], str | None] = first_line

    def apt(self, package: str, otherwise: str) -> str:
        """The line that installs a Debian package, or, on other systems, what to look for."""
        if self.families & {"debian", "ubuntu"}:
            return f"apt install {package}"
        return f"Install {otherwise} with your system's package manager."

    def pip(self, requirement: str) -> str:
        """The line that installs a Python package for the Python that runs this."""
        return f"{shlex.quote(self.python)} -m pip install {shlex.quote(requirement)}"

    @property
    def state_folder(self) -> Path:
        """Where Watchword keeps what outlives a run."""
        from ..records.database import records_folder  # noqa: PLC0415 - a database

        return records_folder(self.environment)
