# SPDX-License-Identifier: Apache-2.0
"""Whether a process runs, for tests of programs that are to leave none behind."""

from __future__ import annotations

import time
from pathlib import Path

SECONDS = 10


def runs(pid: int) -> bool:
    """Whether something runs under this number; what nobody has reaped yet doesn't."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def is_gone(pid: int) -> bool:
    """Whether it ends within a bounded time: a kill takes a moment."""
    deadline = time.monotonic() + SECONDS
    while runs(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
