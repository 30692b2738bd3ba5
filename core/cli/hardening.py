# SPDX-License-Identifier: Apache-2.0
"""What the process gives up before it handles secrets: core dumps, being traced, open files."""

from __future__ import annotations

import contextlib
import os
import resource
import sys

_PR_SET_DUMPABLE = 4


def harden_process() -> None:
    """Set umask 077, allow no core dump and, on Linux, no tracing by the same user.

    Where the system knows one of these not, the others still hold.
    """
    os.umask(0o077)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _forbid_dumping()


def _forbid_dumping() -> None:
    # ctypes costs 10 ms where it isn't needed otherwise, so it is imported here.
    import ctypes  # noqa: PLC0415

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
