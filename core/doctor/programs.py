# SPDX-License-Identifier: Apache-2.0
"""Asks an installed program for its version: bounded in time and words, no shell, no input."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Final

SECONDS: Final = 5.0
MOST_BYTES: Final = 16 << 10
_ENVIRONMENT: Final = ("PATH", "HOME", "SYSTEMROOT")


def first_line(command: Sequence[str], seconds: float = SECONDS) -> str | None:
    """The first line that a program prints, on stdout or stderr; None if it gives none in time.

    The program gets an environment of its own, no input, and a process group that is
    ended with it, so that nothing it starts outlives the question.
    """
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environment, "LC_ALL": "C"},
            start_new_session=True,
        )
    except (OSError, ValueError):
        return None
    try:
        return _read_line(process, time.monotonic() + seconds)
    finally:
        _end(process)


def _read_line(process: subprocess.Popen[bytes], deadline: float) -> str | None:
    """Read until the first line is whole, the program has closed its output, or time is up."""
    if process.stdout is None:
        return None
    collected = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while b"\n" not in collected and len(collected) < MOST_BYTES:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                break
            chunk = os.read(process.stdout.fileno(), MOST_BYTES)
            if not chunk:
                break
            collected += chunk
    line = collected.lstrip().partition(b"\n")[0].strip()
    return line.decode("utf-8", "replace")[:200] or None


def _end(process: subprocess.Popen[bytes]) -> None:
    # The group first: a child of the program may hold the pipe.
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(SECONDS)
