# SPDX-License-Identifier: Apache-2.0
"""Lets one process at a time work on a launch; another one is told who does."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Final, Self

from ..bounded_json import parse_json
from ..errors import BadInput
from ..files import make_folder
from ..vault.launch_keys import check_launch_id

FOLDER: Final = "locks"
_POLL_SECONDS: Final = 0.02
_NOTE_LIMIT: Final = 256
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_ATTEMPTS: Final = 100
_PLACE_DIGITS: Final = 40


class LaunchLock:
    """The lock of one launch, held until :meth:`release`.

    The system takes it from a process that ends, however it ends. The file is removed
    when the lock is given up; one that a killed process left is taken over.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, home: Path, launch_id: str, since: str, seconds: float) -> Self:
        """Wait for the lock for at most ``seconds``; ``since`` is the time, for others to read.

        Raises BadInput ``launch-busy`` that says who holds it, or ``lock-not-taken`` where
        the file can't be made.
        """
        folder = home / FOLDER
        make_folder(folder, "the folder of locks")
        path = folder / f"{check_launch_id(launch_id)}.lock"
        descriptor = _acquire(path, launch_id, time.monotonic() + seconds)
        note = {"pid": os.getpid(), "since": since}
        with contextlib.suppress(OSError):  # a full disk: then nobody is named
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(note).encode()[:_NOTE_LIMIT], 0)
        return cls(path, descriptor)

    def release(self) -> None:
        """Give the lock up; may be called again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        # Removed while it is held: whoever waits sees that it is gone, and makes a new one.
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(descriptor)


def claim_place(home: Path, guest: str, host: str, since: str) -> LaunchLock | None:
    """The right to launch this guest at this host, until it is released; None where another
    process has it. Raises BadInput ``lock-not-taken``.
    """
    place = hashlib.sha256(f"{guest}\0{host}".encode()).hexdigest()[:_PLACE_DIGITS]
    try:
        return LaunchLock.take(home, f"place-{place}", since, 0)
    except BadInput as error:
        if error.code != "launch-busy":
            raise
        return None


def _acquire(path: Path, launch_id: str, deadline: float) -> int:
    for _ in range(_ATTEMPTS):
        try:
            descriptor = os.open(path, _FLAGS, 0o600)
        except OSError as fault:
            raise _not_taken(path, os.strerror(fault.errno or 0)) from None
        try:
            if _locked(descriptor, path, launch_id, deadline):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise _not_taken(path, "other programs take it again and again")


def _locked(descriptor: int, path: Path, launch_id: str, deadline: float) -> bool:
    """Whether the lock is ours; False if the file was removed by the one who held it."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise _busy(descriptor, launch_id) from None
            time.sleep(_POLL_SECONDS)
        except OSError as fault:
            raise _not_taken(path, os.strerror(fault.errno or 0)) from None
        else:
            return _is_at(path, descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        there, held = path.lstat(), os.fstat(descriptor)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


def _busy(descriptor: int, launch_id: str) -> BadInput:
    pid, holder = _read_note(descriptor)
    return BadInput(
        "launch-busy",
        f"launch {launch_id}",
        f"{holder} is working on it.",
        "Wait until that is done, or end it, and try again. Nothing was changed by this command.",
        {"launch": launch_id, "pid": pid},
    )


def _read_note(descriptor: int) -> tuple[int | None, str]:
    """The holder's process id, and how it is called in a sentence."""
    try:
        note = parse_json(os.pread(descriptor, _NOTE_LIMIT, 0).decode(), "the lock", deepest=2)
    except (BadInput, OSError, UnicodeDecodeError):
        note = None
    if not isinstance(note, dict) or type(note.get("pid")) is not int:
        return None, "Another process"
    since = str(note.get("since", ""))[:40]
    shown = f" (since {since})" if since.isprintable() and since else ""
    return note["pid"], f"Process {note['pid']}{shown}"


def _not_taken(path: Path, why: str) -> BadInput:
    return BadInput(
        "lock-not-taken",
        "the lock of the launch",
        f"{path} can't be made or locked: {why}.",
        "Give yourself permission to write there, make room, or keep Watchword's folder on a"
        " local disk (WATCHWORD_HOME).",
        {"path": str(path)},
    )
