# SPDX-License-Identifier: Apache-2.0
"""Where the bytes of a vault are: one file in a folder of its own, or memory."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from ..errors import BadInput, VaultError
from ..files import make_folder, read_file, write_file
from .layout import FILE_LIMIT
from .vault_lock import WAIT_LIMIT, exclusive

FILE_NAME: Final = "secrets.vault"
LOCK_NAME: Final = "secrets.vault.lock"
HOME_VARIABLE: Final = "WATCHWORD_HOME"

_KEPT_NAME: Final = ".secrets.vault.kept"
_LEFTOVER: Final = re.compile(r"\.[0-9a-f]{16}\.tmp")


class Storage(Protocol):
    """Holds the bytes of one vault."""

    def read(self) -> bytes:
        """All of them. Raises VaultError ``vault-missing`` or ``vault-unreadable``."""

    def write(self, data: bytes) -> None:
        """Replace them, whole or not at all, inside :meth:`exclusive`.

        Raises VaultError ``vault-not-written``; the old ones are intact then.
        """

    def stamp(self) -> object:
        """A value that changes when they do."""

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """A block in which nobody else writes. Raises VaultError ``vault-busy``."""


def default_folder() -> Path:
    """``$WATCHWORD_HOME/vault``, or ``vault`` in the user's folder for program data."""
    if home := os.environ.get(HOME_VARIABLE):
        return Path(home).absolute() / "vault"
    from platformdirs import user_data_path  # noqa: PLC0415 - only where it is asked for

    return user_data_path("watchword", appauthor=False) / "vault"


class VaultFile:
    """``secrets.vault`` (mode 0600) in a folder (mode 0700), with a lock file beside it.

    Reading takes no lock: the file is replaced as a whole, so that what is read is always
    one state. ``wait_limit``: seconds to wait for another process that writes.
    """

    def __init__(self, folder: Path, wait_limit: float = WAIT_LIMIT) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self._kept = folder / _KEPT_NAME
        self._wait_limit = wait_limit

    def exists(self) -> bool:
        """Whether there is a vault; its folder may be unreadable, which is no answer."""
        return os.path.lexists(self.path)

    def make_folder(self) -> None:
        """Make the folder for a new vault, for its owner alone.

        Raises VaultError ``vault-not-written`` or ``vault-exposed``.
        """
        try:
            make_folder(self.folder, "the vault's folder")
        except BadInput as fault:
            raise _not_written(fault) from None
        self._refuse_exposed(0o077)

    def read(self) -> bytes:
        """All of it. Raises VaultError ``vault-missing``, ``-unreadable`` or ``-exposed``."""
        if not self.exists() and os.path.lexists(self._kept):
            with self.exclusive():  # puts the kept file back
                pass
        try:
            data = read_file(self.path, "the vault file", FILE_LIMIT)
        except BadInput as fault:
            raise self._unreadable(fault) from None
        self._refuse_exposed(0o022)
        return data

    def stamp(self) -> object:
        """Inode, size and times of the file; None where there is none."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock file. Raises as :func:`vault_lock.exclusive` does."""
        with exclusive(self.folder / LOCK_NAME, self._wait_limit):
            self._sweep()
            yield

    def write(self, data: bytes) -> None:
        """Replace the file. Raises VaultError ``vault-not-written``; the old one is intact then."""
        had_one = self.exists()
        try:
            if had_one:
                # A second name for the old file: even if the new one is already in its
                # place when something fails, the old state comes back.
                # Where there are no hard links, there is nothing to fall back on.
                with contextlib.suppress(OSError, NotImplementedError):
                    os.link(self.path, self._kept, follow_symlinks=False)
            write_file(self.path, data, field="the vault file")
        except BadInput as fault:
            # Also where the new file is in its place already, but not surely on disk.
            with contextlib.suppress(OSError):
                self._kept.replace(self.path)
            raise _not_written(fault) from None
        finally:
            with contextlib.suppress(OSError):
                self._kept.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Sweep away what a killed process left, where there is anything and it can be done."""
        with contextlib.suppress(OSError, VaultError):
            if any(self._leftovers()):
                with self.exclusive():
                    pass

    def others_can_enter(self) -> bool:
        """Whether the folder's mode lets other users in."""
        return bool(self.folder.stat().st_mode & 0o077)

    def _put_back(self) -> None:
        if not self.exists():
            with contextlib.suppress(OSError):
                self._kept.replace(self.path)

    def _sweep(self) -> None:
        """Remove what a process that was killed left: it may hold entries removed since."""
        self._put_back()
        with contextlib.suppress(OSError):
            for path in self._leftovers():
                path.unlink(missing_ok=True)

    def _leftovers(self) -> Iterator[Path]:
        for path in self.folder.iterdir():
            if path.name == _KEPT_NAME or _LEFTOVER.fullmatch(path.name):
                yield path

    def _refuse_exposed(self, forbidden: int) -> None:
        status = self.folder.stat()
        if stat.S_IMODE(status.st_mode) & forbidden:
            raise _exposed(self.folder, "other users may enter or change it")
        if status.st_uid not in (os.geteuid(), 0):
            raise _exposed(self.folder, "it belongs to another user")

    def _unreadable(self, fault: BadInput) -> VaultError:
        if fault.code == "file-missing":
            return VaultError(
                "vault-missing",
                "There is no vault",
                f"None was found at {self.path}.",
                "Make one with `watchword vault init`, or name its folder with --vault.",
                {"path": str(self.path)},
            )
        return VaultError(
            "vault-unreadable", "The vault can't be read", fault.message, fault.remedy
        )


class MemoryStorage:
    """A session-only vault: its sealed bytes in memory, gone with the process."""

    def __init__(self) -> None:
        self._data: bytes | None = None
        self._writes = 0
        self._lock = threading.Lock()

    def read(self) -> bytes:
        """The bytes. Raises VaultError ``vault-missing`` before the first write."""
        if self._data is None:
            raise VaultError("vault-missing", "There is no vault", "It is new.", "Write it first.")
        return self._data

    def write(self, data: bytes) -> None:
        """Replace them."""
        self._data = data
        self._writes += 1

    def stamp(self) -> object:
        """The number of writes."""
        return self._writes

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold a lock between threads. Raises VaultError ``vault-busy``."""
        if not self._lock.acquire(timeout=WAIT_LIMIT):
            raise VaultError(
                "vault-busy",
                "The vault is in use",
                "Another part of this program is changing it.",
                "Try again.",
            )
        try:
            yield
        finally:
            self._lock.release()


def _not_written(fault: BadInput) -> VaultError:
    return VaultError(
        "vault-not-written",
        "The vault can't be changed",
        f"{fault.message} The vault is as it was.",
        fault.remedy,
    )


def _exposed(folder: Path, why: str) -> VaultError:
    return VaultError(
        "vault-exposed",
        "The vault's folder is not private",
        f"{folder} is refused: {why}.",
        f"Run `chmod 700 {folder}` if the folder is yours alone, or name another one.",
        {"folder": str(folder)},
    )
