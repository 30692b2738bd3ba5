# SPDX-License-Identifier: Apache-2.0
"""Named points at which a test may kill the process, to see what a launch makes of it."""

from __future__ import annotations

import os
import signal
from typing import Final

VARIABLE: Final = "WATCHWORD_KILL_AT"
"""``NAME``, or ``NAME:2`` for the second time that the point is passed."""

FAULT_POINTS: Final = (
    "record-key-in-vault",
    "launch-begun",
    "platform-recorded",
    "session-keys-in-vault",
    "session-recorded",
    "material-given",
    "measurement-read",
    "measurement-recorded",
    "measurement-verified",
    "sealing-allowed",
    "packet-sealed",
    "packet-in-vault",
    "sealing-noted",
    "packet-half-stored",
    "packet-stored",
    "packet-sent",
    "handed-over-recorded",
    "guest-resumed",
    "report-verified",
    "signing-key-in-vault",
    "conclusion-half-recorded",
    "conclusion-recorded",
    "keys-swept",
    "anchor-written",
    "abandonment-recorded",
)
"""In the order in which a whole launch passes them, and one that is abandoned."""

_passed: dict[str, int] = {}


def fault_point(name: str) -> None:
    """Die here without any cleaning up, if the environment says so; else do nothing."""
    chosen = os.environ.get(VARIABLE)
    if chosen is None:
        return
    point, _, time = chosen.partition(":")
    if point != name:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] == int(time or 1):
        os.kill(os.getpid(), signal.SIGKILL)
