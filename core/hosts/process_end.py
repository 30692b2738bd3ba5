# SPDX-License-Identifier: Apache-2.0
"""Ends a program that reaches a host, with all that it started, also where it ended by itself.

A process group is killed by its leader's number, which is the system's to give away as soon as
the leader is reaped. So its end is looked at without reaping, the group is killed, and only then
is it reaped: until then the number can be nobody else's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess


def exit_status(process: subprocess.Popen[bytes]) -> int | None:
    """Its exit status, negative for a signal; None while it runs. It is not reaped by that."""
    if process.returncode is not None:
        return process.returncode
    if not hasattr(os, "waitid"):  # macOS, with Python before 3.13
        return process.poll()
    try:
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return process.poll()  # somebody else has reaped it
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill it, where it still runs, and what it started; for one that leads a session.

    Nothing happens once it is reaped: its number may be somebody else's then.
    """
    if process.returncode is None:
        # macOS says EPERM of a group in which only its ended leader is left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
