# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with the records file, in words that a person can act on."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from ..errors import BadInput, WatchwordError

_FIELD: Final = "the records of launches"


def records_problem(path: Path, fault: sqlite3.Error) -> BadInput:
    """An error of SQLite's as one of ours; its text may repeat contents and is not shown."""
    if is_busy(fault):
        return busy(path)
    name = _name(fault)
    if name.startswith("SQLITE_FULL"):
        return not_written(path, "the disk is full")
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM")):
        return not_written(path, "it may not be written")
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")):
        return not_written(path, "the disk or folder does not allow it")
    return damaged(path)


def is_busy(fault: sqlite3.Error) -> bool:
    """Whether another process holds the file."""
    return _name(fault).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _name(fault: sqlite3.Error) -> str:
    return str(getattr(fault, "sqlite_errorname", ""))


def busy(path: Path) -> BadInput:
    """Another process keeps the file for too long."""
    return BadInput(
        "records-busy",
        _FIELD,
        f"Another Watchword process is writing {path} and does not come to an end.",
        "Wait until it is done, or end it, and try again; nothing was changed.",
    )


def not_written(path: Path, why: str) -> BadInput:
    """The file can't be written, and its old state stands."""
    return BadInput(
        "records-not-written",
        _FIELD,
        f"{path} can't be written: {why}.",
        "Make room, or give yourself permission to write there, and try again: what was"
        " recorded before is intact.",
    )


def damaged(path: Path) -> BadInput:
    """The file is no records file, or a broken one."""
    return BadInput(
        "records-damaged",
        _FIELD,
        f"{path} is damaged, or is no records file of Watchword's.",
        "Keep the file aside, put a backup in its place, and hold it against an exported head"
        " with `watchword ledger verify --head FILE`.",
    )


def newer(path: Path, found: int) -> BadInput:
    """A later version of the program has written the file."""
    return BadInput(
        "records-newer",
        _FIELD,
        f"A newer version of Watchword made {path} (schema {found}).",
        "Use that version. This one would lose what it doesn't know.",
        {"schema": found},
    )


def write_while_reading() -> WatchwordError:
    """A writing block inside a reading one: a slip of the program's, not of the person's."""
    return WatchwordError(
        "write-while-reading",
        "The records were about to be written while they were read",
        "What would have been written then is undone when the reading ends.",
        "Report this as a bug.",
    )
