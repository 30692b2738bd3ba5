# SPDX-License-Identifier: Apache-2.0
"""Where documents are kept: in the records, as they were signed, for good."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ..errors import BadInput, UsageError
from ..records.database import Records
from ..records.record_errors import damaged
from .envelope import LARGEST_ENVELOPE

_COLUMNS: Final = "sequence, launch_id, sha256, made"
_LONGEST_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """A document in the records: its number from 1, its launch, its SHA-256 (hex), when."""

    number: int
    launch_id: str
    sha256: str
    made: str

    def as_json(self) -> dict[str, object]:
        """The entry with stable field names."""
        return {
            "id": self.number,
            "launch": self.launch_id,
            "sha256": self.sha256,
            "made": self.made,
        }


def now_utc() -> datetime:
    """The time."""
    return datetime.now(UTC)


class EvidenceStore:
    """The documents of all launches. Methods raise as ``Records`` does."""

    def __init__(self, records: Records, clock: Callable[[], datetime] = now_utc) -> None:
        self._records = records
        self._clock = clock

    def add(self, launch_id: str, envelope: bytes) -> StoredEvidence:
        """Keep a document of a launch; the same bytes twice are one document.

        In a transaction of its own, or as part of the surrounding one. Raises BadInput
        ``evidence-too-large``.
        """
        if len(envelope) > LARGEST_ENVELOPE:
            raise BadInput(
                "evidence-too-large",
                "the evidence",
                f"It has {len(envelope)} bytes; {LARGEST_ENVELOPE} are the most.",
                "Report this as a bug.",
            )
        digest = hashlib.sha256(envelope).hexdigest()
        made = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._records.writing() as connection:
            found = self._by(connection, "sha256 = ?", digest)
            if found is not None:
                return found
            cursor = connection.execute(
                "insert into evidence (launch_id, sha256, made, envelope) values (?, ?, ?, ?)",
                (launch_id, digest, made, envelope),
            )
            return StoredEvidence(int(cursor.lastrowid or 0), launch_id, digest, made)

    def list(self, launch_id: str | None = None) -> tuple[StoredEvidence, ...]:
        """The documents, oldest first; those of one launch where it is named."""
        which = "" if launch_id is None else "where launch_id = ?"
        with self._records.reading() as connection:
            rows = connection.execute(
                f"select {_COLUMNS} from evidence {which} order by sequence",  # noqa: S608 - ours
                () if launch_id is None else (launch_id,),
            )
            return tuple(StoredEvidence(*row) for row in rows)

    def find(self, name: str) -> StoredEvidence:
        """The newest document of a launch, or the one with this number or SHA-256.

        Raises UsageError ``evidence-missing``.
        """
        with self._records.reading() as connection:
            for condition, value in _ways(name):
                found = self._by(connection, condition, value)
                if found is not None:
                    return found
        raise UsageError(
            "evidence-missing",
            "There is no such evidence",
            f"No document is called “{name[:_LONGEST_NAME]}”, and no launch of that name has one:"
            " a launch gets its document when it is completed or refused.",
            "See what there is with `watchword evidence list`, and how far a launch came with"
            " `watchword launch show ID`.",
        )

    def envelope(self, stored: StoredEvidence) -> bytes:
        """The document as it was signed; BadInput ``records-damaged`` if it is another now."""
        with self._records.reading() as connection:
            row = connection.execute(
                "select envelope from evidence where sequence = ?", (stored.number,)
            ).fetchone()
        data = bytes(row[0]) if row is not None else b""
        if hashlib.sha256(data).hexdigest() != stored.sha256:
            raise damaged(self._records.path)
        return data

    @staticmethod
    def _by(connection: sqlite3.Connection, condition: str, value: object) -> StoredEvidence | None:
        row = connection.execute(
            f"select {_COLUMNS} from evidence where {condition} order by sequence desc limit 1",  # noqa: S608 - ours
            (value,),
        ).fetchone()
        return None if row is None else StoredEvidence(*row)


def _ways(name: str) -> Iterator[tuple[str, object]]:
    """What a name may stand for, in the order in which that counts."""
    if len(name) > _LONGEST_NAME or not name.isprintable():
        return
    yield "launch_id = ?", name
    if name.isascii() and name.isdigit() and len(name) <= 9:
        yield "sequence = ?", int(name)
    if len(name) == 64:
        yield "sha256 = ?", name.lower()
