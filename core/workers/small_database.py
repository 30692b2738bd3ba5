# SPDX-License-Identifier: Apache-2.0
"""A small SQLite file of its own beside the records: private, and on the disk at each commit."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ..errors import BadInput, WatchwordError
from ..files import make_folder
from ..records.record_errors import is_busy

BUSY_SECONDS: Final = 10.0
_PAUSE: Final = 0.01
_PRAGMAS: Final = (
    "synchronous=full",
    "foreign_keys=on",
    "recursive_triggers=on",
    "trusted_schema=off",
)


class SmallDatabase:
    """An open file, for one thread; a context that closes it.

    Subclasses say which: ``FILE_NAME``, ``SCHEMA`` (whole statements), ``NUMBER`` of the schema
    and ``WORD`` for people. Raises BadInput ``worker-store-busy``, ``worker-store-damaged``,
    ``worker-store-newer``.
    """

    FILE_NAME: str
    SCHEMA: str
    NUMBER: int = 1
    WORD: str

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    @classmethod
    def open(cls, home: Path, *, busy_seconds: float = BUSY_SECONDS) -> Self:
        """Open the file in a folder; both are made (0700, 0600) where they are missing."""
        make_folder(home, f"the folder of {cls.WORD}")
        path = home / cls.FILE_NAME
        connection: sqlite3.Connection | None = None
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
            _log_ahead(connection, busy_seconds)
            for pragma in _PRAGMAS:
                connection.execute(f"pragma {pragma}")
            cls._prepare(connection)
        except (sqlite3.Error, OSError) as fault:
            _close(connection)
            raise _problem(cls.WORD, path, fault) from None
        except BaseException:
            _close(connection)
            raise
        return cls(connection, path)

    @classmethod
    def _prepare(cls, connection: sqlite3.Connection) -> None:
        connection.execute("begin immediate")
        found = connection.execute("pragma user_version").fetchone()[0]
        if found > cls.NUMBER:
            raise _newer(cls.WORD)
        if found == 0:
            for statement in _statements(cls.SCHEMA):
                connection.execute(statement)
            connection.execute(f"pragma user_version={cls.NUMBER}")
        connection.execute("commit")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer comes between: all of it is on the disk, or nothing.

        A violated uniqueness is the caller's to handle: sqlite3.IntegrityError passes.
        """
        connection = self._connection
        try:
            connection.execute("begin immediate")
            yield connection
            connection.execute("commit")
        except sqlite3.IntegrityError:
            _roll_back(connection)
            raise
        except sqlite3.Error as fault:
            _roll_back(connection)
            raise _problem(self.WORD, self.path, fault) from None
        except BaseException:
            _roll_back(connection)
            raise

    def _all(self, words: str, *values: object) -> list[tuple[object, ...]]:
        try:
            return self._connection.execute(words, values).fetchall()
        except sqlite3.Error as fault:
            raise _problem(self.WORD, self.path, fault) from None

    def close(self) -> None:
        """Close the file; may be called again."""
        _close(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _log_ahead(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """SQLite does not wait by itself while another process makes the same change."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("pragma journal_mode=wal")
        except sqlite3.OperationalError as fault:
            if not is_busy(fault) or time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _statements(schema: str) -> Iterator[str]:
    """Whole statements: those of triggers have semicolons inside."""
    statement = ""
    for line in schema.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        with contextlib.suppress(sqlite3.Error):
            connection.close()


def _roll_back(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        connection.execute("rollback")


def _problem(word: str, path: Path, fault: sqlite3.Error | OSError) -> WatchwordError:
    busy = isinstance(fault, sqlite3.OperationalError) and "locked" in str(fault)
    return BadInput(
        "worker-store-busy" if busy else "worker-store-damaged",
        word,
        f"Another process holds {path}." if busy else f"{path} can't be read or written.",
        "Wait until it has finished, and try again."
        if busy
        else "Check the disk and the file's owner. Keep the file: it knows what was sealed.",
        {"path": str(path)},
    )


def _newer(word: str) -> BadInput:
    return BadInput(
        "worker-store-newer",
        word,
        "A newer version of Watchword made it.",
        "Use that version. This one would lose what it doesn't know.",
    )
