# SPDX-License-Identifier: Apache-2.0
"""Lets one process at a time change a vault; another one waits, and is told who holds it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..bounded_json import parse_json
from ..errors import BadInput, VaultError

WAIT_LIMIT: Final = 10.0
_POLL_SECONDS: Final = 0.02
_NOTE_LIMIT: Final = 256
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


@contextmanager
def exclusive(path: Path, limit: float = WAIT_LIMIT) -> Iterator[None]:
    """Hold the lock file for the block; wait for it at most ``limit`` seconds.

    The system takes the lock from a process that ends, however it ends. The file stays:
    removing it would let two processes hold two files of that name. Raises VaultError
    ``vault-busy`` with the holder's process id, ``vault-not-written`` where the file can't
    be made, ``vault-lock-unsupported`` where the file system has no locks.
    """
    descriptor = _open(path)
    try:
        _acquire(descriptor, limit)
        _leave_note(descriptor)
        try:
            yield
        finally:
            # Without the note nobody is named who is not there; the lock goes with the file.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, _FLAGS, 0o600)
    except OSError as fault:
        raise VaultError(
            "vault-not-written",
            "The vault can't be changed",
            f"{path.parent} can't be written: the system says “{os.strerror(fault.errno or 0)}”."
            " The vault is as it was.",
            "Give yourself write permission on the folder, or make room.",
            {"path": str(path)},
        ) from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise VaultError(
        "vault-not-written",
        "The vault can't be changed",
        f"{path} is not the lock file that belongs there. The vault is as it was.",
        "Remove it.",
        {"path": str(path)},
    )


def _acquire(descriptor: int, limit: float) -> None:
    import fcntl  # noqa: PLC0415 - not on every system, and not needed to read

    deadline = time.monotonic() + limit
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            if fault.errno in _NO_LOCKS:
                raise _unsupported() from None
            if fault.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                raise
        else:
            return
        if time.monotonic() >= deadline:
            raise _busy(descriptor, limit)
        time.sleep(_POLL_SECONDS)


def _leave_note(descriptor: int) -> None:
    # The name of the program alone: its arguments are nobody's business.
    note = {"pid": os.getpid(), "program": Path(sys.argv[0] if sys.argv else "").name[:64]}
    with contextlib.suppress(OSError):  # a full disk: then nobody is named
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode()[:_NOTE_LIMIT], 0)


def _busy(descriptor: int, limit: float) -> VaultError:
    pid, holder = _read_note(descriptor)
    return VaultError(
        "vault-busy",
        "The vault is in use",
        f"{holder} is changing it, and was not done within {limit:g} seconds.",
        "Wait for it or end it, and try again. Nothing was changed by this command.",
        {"pid": pid},
    )


def _read_note(descriptor: int) -> tuple[int | None, str]:
    """The holder's process id, and how it is called in a sentence."""
    try:
        note = parse_json(os.pread(descriptor, _NOTE_LIMIT, 0).decode(), "the lock", deepest=2)
    except (BadInput, OSError, UnicodeDecodeError):
        note = None
    if not isinstance(note, dict) or type(note.get("pid")) is not int:
        return None, "Another process"
    program = str(note.get("program", ""))
    shown = f" ({program})" if program.isprintable() and program else ""
    return note["pid"], f"Process {note['pid']}{shown}"


def _unsupported() -> VaultError:
    return VaultError(
        "vault-lock-unsupported",
        "The vault can't be kept here",
        "This file system has no locks, so that two programs could change the vault at once.",
        "Keep the vault on a local disk: set WATCHWORD_HOME.",
    )
