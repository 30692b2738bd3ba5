# SPDX-License-Identifier: Apache-2.0
"""Finds a promise among all that were ever made, in little memory: a temporary database.

SQLite keeps it in memory, and beyond 2 MiB in a file that has no name and goes with the
process. What it holds was read from the ledger, and is read anew at the next start.
"""

from __future__ import annotations

import contextlib
import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import BadInput

_AT_ONCE: Final = 500
_TABLES: Final = """
    pragma cache_size = -2048;
    pragma journal_mode = off;
    create table launch (id text primary key, guest text, content text) without rowid;
    create table request (key text primary key, launch text) without rowid;
    create table gone (launch text primary key) without rowid;
    create table refused (launch text primary key, times integer) without rowid;
"""


@dataclass(frozen=True, slots=True)
class Promise:
    """One request that got a launch.

    ``content``  SHA-256 (hex) of what was asked for, so that a name stands for one thing
    """

    launch_id: str
    guest: str
    content: str


class PromiseIndex:
    """Promises by request and by launch; the first one of each counts.

    Every method raises BadInput ``records-not-written`` where there is no room for it.
    """

    def __init__(self) -> None:
        # Not threads, but the collector in any of them, may be who closes it.
        self._kept = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._kept.close)
        with _our_errors():
            self._kept.executescript(_TABLES)

    def add(self, key: str, promise: Promise) -> None:
        """Keep the promise that was made to a request, by its key."""
        launch = (promise.launch_id, promise.guest, promise.content)
        with _our_errors():
            self._kept.execute("insert or ignore into launch values (?, ?, ?)", launch)
            self._kept.execute(
                "insert or ignore into request values (?, ?)", (key, promise.launch_id)
            )

    def of_request(self, key: str) -> Promise | None:
        """The promise that was made to a request."""
        return self._one(
            "select id, guest, content from request join launch on launch.id = request.launch"
            " where key = ?",
            key,
        )

    def of_launch(self, launch_id: str) -> Promise | None:
        """The promise that a launch fulfils."""
        return self._one("select id, guest, content from launch where id = ?", launch_id)

    def add_gone(self, launch_id: str) -> None:
        """Note that the VM of a launch is gone."""
        with _our_errors():
            self._kept.execute("insert or ignore into gone values (?)", (launch_id,))

    def gone_among(self, launch_ids: Sequence[str]) -> frozenset[str]:
        """Of which of these launches that was noted."""
        found: set[str] = set()
        with _our_errors():
            for start in range(0, len(launch_ids), _AT_ONCE):
                some = launch_ids[start : start + _AT_ONCE]
                marks = ", ".join("?" * len(some))
                words = f"select launch from gone where launch in ({marks})"  # noqa: S608 - marks
                found.update(launch for (launch,) in self._kept.execute(words, tuple(some)))
        return frozenset(found)

    def add_refused(self, launch_id: str) -> None:
        """Count one refusal of a launch more."""
        with _our_errors():
            self._kept.execute(
                "insert into refused values (?, 1)"
                " on conflict (launch) do update set times = times + 1",
                (launch_id,),
            )

    def times_refused(self, launch_id: str) -> int:
        """How many were counted."""
        with _our_errors():
            found = self._kept.execute("select times from refused where launch = ?", (launch_id,))
            row = found.fetchone()
        return 0 if row is None else int(row[0])

    def _one(self, words: str, sought: str) -> Promise | None:
        with _our_errors():
            row = self._kept.execute(words, (sought,)).fetchone()
        return None if row is None else Promise(*row)


@contextlib.contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error:
        raise BadInput(
            "records-not-written",
            "the index of requests",
            "What was promised can't be kept at hand: there is no room for temporary files.",
            "Make room in /var/tmp and /tmp, or in the folder that TMPDIR names. The records"
            " themselves are intact.",
        ) from None
