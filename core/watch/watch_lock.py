# SPDX-License-Identifier: Apache-2.0
"""Lets one watch at a time serve a home: limits, and what is tried again, are one process's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ..errors import BadInput
from ..launch.launch_lock import LaunchLock

_LOCK: Final = "watch-run"


@contextlib.contextmanager
def only_watch(home: Path) -> Iterator[None]:
    """Be the one watch over a home's records; the system ends it with the process.

    Raises BadInput ``watch-runs-already`` that says who holds it, or ``lock-not-taken``.
    """
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        lock = LaunchLock.take(home, _LOCK, since, 0)
    except BadInput as error:
        raise _runs_already(error, home) from None
    try:
        yield
    finally:
        lock.release()


def _runs_already(error: BadInput, home: Path) -> BadInput:
    if error.code != "launch-busy":
        return error
    return BadInput(
        "watch-runs-already",
        f"the records in {home}",
        error.message.replace("is working on it", "serves them already as a watch"),
        "Name its guests and hosts in the settings of that one and have it reload them, end it, or"
        " let this one have a home of its own (WATCHWORD_HOME).",
        {"home": str(home), "pid": error.details.get("pid")},
    )
