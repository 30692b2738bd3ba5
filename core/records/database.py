# SPDX-License-Identifier: Apache-2.0
"""Opens the records file: made once, private, synced on every commit, its faults in our words."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ..files import make_folder
from .record_errors import (
    damaged,
    is_busy,
    newer,
    not_written,
    records_problem,
    write_while_reading,
)
from .schema import APPLICATION_ID, SCHEMA, SCHEMA_NUMBER

FILE_NAME: Final = "records.sqlite3"
BUSY_SECONDS: Final = 10.0
"""How long another process may hold the file before we say so."""
_PAUSE: Final = 0.01
# Without recursive triggers, `insert or replace` removes a row past the trigger that keeps it.
_PRAGMAS: Final = (
    "foreign_keys=on",
    "recursive_triggers=on",
    "trusted_schema=off",
    "cell_size_check=on",
)


def records_folder(environment: Mapping[str, str] | None = None) -> Path:
    """``$WATCHWORD_HOME`` where that is set, else the user's data folder for Watchword."""
    variables = os.environ if environment is None else environment
    if variables.get("WATCHWORD_HOME"):
        return Path(variables["WATCHWORD_HOME"])
    import platformdirs  # noqa: PLC0415 - not needed where the variable is set

    return platformdirs.user_data_path("watchword", appauthor=False)


class Records:
    """The open records file, for one thread. Launches, packets, ledger and evidence lie in it.

    Whatever is written in one ``writing`` block is on the disk when the block ends, or
    none of it is. Raises BadInput: ``records-busy``, ``records-damaged``,
    ``records-newer``, ``records-unreadable`` or ``records-not-written``.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._may_write = False
        self.path = path

    @classmethod
    def open(cls, folder: Path, *, busy_seconds: float = BUSY_SECONDS) -> Self:
        """Open the records in a folder; both are made (0700, 0600) where they are missing."""
        make_folder(folder, "the folder of the records")
        path = folder / FILE_NAME
        _touch(path)
        connection: sqlite3.Connection | None = None
        try:
            # Without an isolation level, transactions begin where we say so.
            connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
            _prepare(connection, path)
            _log_ahead(connection, busy_seconds)
        except sqlite3.Error as fault:
            _close(connection)
            raise records_problem(path, fault) from None
        except BaseException:
            _close(connection)
            raise
        return cls(connection, path)

    @classmethod
    def exists(cls, folder: Path) -> bool:
        """Whether there are records in this folder; what can't be looked at counts as there."""
        try:
            (folder / FILE_NAME).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            pass  # opening it will tell
        return True

    @property
    def others_wrote(self) -> int:
        """A number that is another one as soon as some other process has written the file."""
        with self._own_words():
            return _number(self._connection, "data_version")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called again."""
        _close(self._connection)

    @contextlib.contextmanager
    def writing(self, *, lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer can come between; inside another, part of that one.

        One that is not ``lasting`` does not wait for the disk: a power cut may undo it, but
        nothing that is written later can outlive it. An inner block that fails is undone
        alone, should the outer one go on. Inside a ``reading`` block it is refused: that
        one's end would undo what was written.
        sqlite3.IntegrityError is let through: what broke a rule of the tables knows which.
        """
        if self._connection.in_transaction:
            with self._inner_writing():
                yield self._connection
            return
        with self._own_words():
            try:
                # Each says it for itself, so that one which failed weakens no other.
                waits = "full" if lasting else "normal"
                self._connection.execute(f"pragma synchronous={waits}")
                self._connection.execute("begin immediate")
                self._may_write = True
                yield self._connection
                self._connection.execute("commit")
            finally:
                self._may_write = False
                self._roll_back()

    @contextlib.contextmanager
    def _inner_writing(self) -> Iterator[None]:
        if not self._may_write:
            raise write_while_reading()
        self._connection.execute("savepoint inner_block")
        try:
            yield
            self._connection.execute("release inner_block")
        except BaseException:
            # A full disk may have ended the whole transaction already.
            if self._connection.in_transaction:
                self._connection.execute("rollback to inner_block")
                self._connection.execute("release inner_block")
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view, whatever others write meanwhile."""
        if self._connection.in_transaction:
            yield self._connection
            return
        with self._own_words():
            try:
                self._connection.execute("begin")
                yield self._connection
            finally:
                self._roll_back()

    def _roll_back(self) -> None:
        """Undo what was not committed; after a commit there is nothing."""
        if self._connection.in_transaction:
            self._connection.execute("rollback")

    @contextlib.contextmanager
    def _own_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as fault:
            raise records_problem(self.path, fault) from None


def _touch(path: Path) -> None:
    """Make the file private before SQLite sees it; its helpers take over the mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except OSError as fault:
        raise not_written(path, os.strerror(fault.errno or 0)) from None


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        with contextlib.suppress(sqlite3.Error):
            connection.close()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    for pragma in _PRAGMAS:
        connection.execute(f"pragma {pragma}")
    if _number(connection, "user_version") == 0:
        _create(connection, path)
    if _number(connection, "application_id") != APPLICATION_ID:
        raise damaged(path)
    found = _number(connection, "user_version")
    if found != SCHEMA_NUMBER:
        raise newer(path, found)


def _log_ahead(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Let readers read while somebody writes, and every commit wait for the disk.

    SQLite does not wait by itself while another process makes the same change.
    """
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("pragma journal_mode=wal")
        except sqlite3.OperationalError as fault:
            if not is_busy(fault) or time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE)
        else:
            break
    connection.execute("pragma synchronous=full")


def _create(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("begin immediate")
    try:
        # Another process may have been first.
        if _number(connection, "user_version") == 0:
            _refuse_other_tables(connection, path)
            for statement in _statements(SCHEMA):
                connection.execute(statement)
            connection.execute(f"pragma application_id={APPLICATION_ID}")
            connection.execute(f"pragma user_version={SCHEMA_NUMBER}")
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def _refuse_other_tables(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("select count(*) from sqlite_master").fetchone()[0]:
        raise damaged(path)


def _statements(script: str) -> Iterator[str]:
    """The script's statements one by one: ``executescript`` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"pragma {pragma}").fetchone()[0])
