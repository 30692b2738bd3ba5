# SPDX-License-Identifier: Apache-2.0
"""What a batch needs of the process that it runs in: open files, and what commands find there."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..errors import UsageError
from .vault_options import PASSPHRASE_VARIABLE

DEFAULT_JOBS = 50
"""Launches that are under way at once, where nobody says anything else."""
_WITHHELD = (PASSPHRASE_VARIABLE, "CREDENTIALS_DIRECTORY")
"""What start commands don't find in their environment: whatever opens the vault."""
_FILES_FOR_EACH = 8
"""File descriptors that a launch may need at once: locks, connections, its command's."""
_FILES_WAITING = 2
"""The same for a launch that waits: its two locks."""
_FILES_FOR_US = 64


def start_environment() -> Mapping[str, str]:
    """What start commands find in their environment."""
    return {key: value for key, value in os.environ.items() if key not in _WITHHELD}


def allow_files(launches: int, fewer: str = "Say --jobs {most}") -> None:
    """Let this process open as many files as so many launches at once may need.

    ``fewer``  how there can be fewer, for the error
    Raises UsageError ``too-many-jobs`` where the system doesn't allow that.
    """
    import resource  # noqa: PLC0415 - not on every system

    needed = launches * _FILES_FOR_EACH + _FILES_FOR_US
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
        if launches * _FILES_WAITING + _FILES_FOR_US > most:
            raise _too_many_jobs((most - _FILES_FOR_US) // _FILES_WAITING, fewer)


def _too_many_jobs(most: int, fewer: str) -> UsageError:
    return UsageError(
        "too-many-jobs",
        "So many launches can't be under way at once here",
        f"The system lets this process open files for about {most} of them.",
        f"{fewer.format(most=most)}, or raise the limit on open files (`ulimit -Hn`).",
        {"most": most},
    )
