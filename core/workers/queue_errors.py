# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the queue, in words that a person can act on."""

from __future__ import annotations

from typing import Final

from ..errors import HostError, UsageError

_LONGEST: Final = 200
_MISSING: Final = ("42P01", "42883", "42704")
"""SQLSTATE of a table, a function, a type that is not there."""


def unreachable(fault: Exception) -> HostError:
    """PostgreSQL could not be connected to when it was first tried."""
    return HostError(
        "queue-unreachable",
        "The queue's database can't be reached",
        f"PostgreSQL said: {_first_line(fault)}",
        "See that it runs, that the address is right, and that its password is in ~/.pgpass or in"
        " the file that PGPASSFILE names.",
    )


def database_words(fault: BaseException) -> HostError:
    """PostgreSQL refused a statement; waiting does not mend that."""
    if getattr(fault, "sqlstate", None) in _MISSING:
        return HostError(
            "queue-not-made",
            "The database has no queue yet",
            f"PostgreSQL said: {_first_line(fault)}",
            "Make it once, as whoever owns the database: `watchword queue init --queue URL`.",
        )
    return HostError(
        "queue-refused",
        "The queue's database refused a statement",
        f"PostgreSQL said: {_first_line(fault)}",
        "See whether this user may write the tables that `watchword queue init` made, and whether"
        " its disk has room.",
    )


def nonsense() -> HostError:
    """What the database gives again and again is nothing that a queue would give."""
    return HostError(
        "queue-refused",
        "The queue's database answers nonsense",
        "Again and again its rows are not of the kinds that Procrastinate's tables have.",
        "See whether somebody has changed the tables; `watchword queue init` in an empty database"
        " makes them anew. Nothing is lost by that: --resume goes by the workers' records.",
    )


def no_driver() -> UsageError:
    """The packages for PostgreSQL are missing."""
    return UsageError(
        "no-queue-driver",
        "PostgreSQL's driver is not installed",
        "--queue needs the packages procrastinate and psycopg.",
        "Install them: pip install 'watchword[queue]'.",
    )


def _first_line(fault: BaseException) -> str:
    """What the database, or its driver, said; whoever runs it may say anything."""
    lines = str(fault).strip().splitlines()
    text = lines[0][:_LONGEST] if lines else "nothing"
    return "".join(c if c.isprintable() else "?" for c in text).rstrip(".") + "."
