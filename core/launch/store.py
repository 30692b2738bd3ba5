# SPDX-License-Identifier: Apache-2.0
"""Launches, packets and nonces in the records file.

Listing and showing need neither a vault nor a lock. What is shown is what the file
says; only the desk, which can open the vault, knows whether somebody has changed it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Final, NamedTuple, Protocol

from ..errors import BadInput, UsageError, VerificationRefused
from ..records.database import Records
from ..sev.secret_packet import Packet, StoredPacket
from ..vault.launch_keys import check_launch_id
from .record import (
    LARGEST_DOCUMENT,
    OVER,
    LaunchRecord,
    LaunchState,
    SealedRecord,
    build_document,
    damaged,
    parse_document,
    record_body,
)

__all__ = ["LaunchState", "LaunchStore", "LaunchSummary", "Seal"]

_SUMMARY: Final = "id, guest, technology, simulated, state, host, waits_for, created, changed"
_ROW: Final = (
    "insert into launches (id, guest, technology, simulated, state, host, waits_for, created,"
    " changed, document) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class LaunchSummary(NamedTuple):
    """One line of a list of launches, as the file has it; nothing of it is verified.

    ``simulated``  0 or 1
    ``state``      a LaunchState, unless somebody has edited the file
    ``waits_for``  who has to do something first; empty if nobody
    ``created``, ``changed``  UTC, as ``2026-11-23T14:00:00Z``
    """

    id: str
    guest: str
    technology: str
    simulated: int
    state: str
    host: str
    waits_for: str
    created: str
    changed: str

    @property
    def is_open(self) -> bool:
        """Whether something is left to be done."""
        return self.state not in OVER


class Seal(Protocol):
    """Makes the seal (hex) of a record's JSON."""

    def seal(self, body: bytes) -> str:
        """The seal of these bytes."""


class LaunchStore:
    """Launches in the records file, for the thread that has opened it.

    Raises BadInput as Records does; ``no-such-launch``, ``launch-record-damaged`` and
    ``launch-record-newer`` for what is read.
    """

    def __init__(self, records: Records) -> None:
        self._records = records

    # -- lists -------------------------------------------------------------------

    def list(
        self,
        *,
        guest: str | None = None,
        states: Collection[LaunchState] = (),
        only_open: bool = False,
        limit: int | None = None,
    ) -> tuple[LaunchSummary, ...]:
        """Summaries, the newest first; their documents are not read."""
        wanted = set(states or LaunchState) - (OVER if only_open else set())
        words, values = [], list[str]()
        if guest is not None:
            words.append("guest = ?")
            values.append(guest)
        if states or only_open:
            words.append(f"state in ({', '.join('?' * len(wanted))})")
            values += sorted(wanted)
        where = f" where {' and '.join(words)}" if words else ""
        query = f"select {_SUMMARY} from launches{where} order by created desc, id desc limit ?"  # noqa: S608 - our own words
        with self._records.reading() as connection:
            rows = connection.execute(query, (*values, -1 if limit is None else max(0, limit)))
            return tuple(map(LaunchSummary._make, rows))

    def newest(self, guest: str, host: str) -> LaunchSummary | None:
        """The newest launch of a guest at a host, by its URL as it is; abandoned ones left out."""
        query = (
            f"select {_SUMMARY} from launches where guest = ? and host = ? and state <> ?"  # noqa: S608 - our own words
            " order by created desc, id desc limit 1"
        )
        with self._records.reading() as connection:
            row = connection.execute(query, (guest, host, LaunchState.ABANDONED.value)).fetchone()
        return None if row is None else LaunchSummary._make(row)

    def owner(self, launch_id: str) -> tuple[str, bool]:
        """Whose launch it is, and whether it is simulated; its record may be damaged."""
        check_launch_id(launch_id)
        with self._records.reading() as connection:
            query = "select guest, simulated from launches where id = ?"
            row = connection.execute(query, (launch_id,)).fetchone()
        if row is None:
            raise no_such_launch(launch_id)
        return row[0], bool(row[1])

    # -- one launch --------------------------------------------------------------

    def create(self, record: LaunchRecord, seal: Seal) -> bool:
        """Put a new launch in; False if its id is taken."""
        row = (*_columns(record), _document(record, seal))
        with self._records.writing() as connection:
            try:
                connection.execute(_ROW, row)
            except sqlite3.IntegrityError:
                return False
        return True

    def save(self, record: LaunchRecord, seal: Seal) -> None:
        """Put a launch's record in the place of the one before."""
        launch_id, *columns = _columns(record)
        names = _SUMMARY.split(", ")[1:]
        settings = ", ".join(f"{name} = ?" for name in names)
        with self._records.writing() as connection:
            found = connection.execute(
                f"update launches set {settings}, document = ? where id = ?",  # noqa: S608 - our own words
                (*columns, _document(record, seal), launch_id),
            )
            if found.rowcount != 1:
                raise no_such_launch(launch_id)

    def mark_abandoned(self, launch_id: str) -> None:
        """Say so in the list alone: the record is not ours any more, and stays as it is."""
        with self._records.writing() as connection:
            settings = (LaunchState.ABANDONED.value, launch_id)
            connection.execute(
                "update launches set state = ?, waits_for = '' where id = ?", settings
            )

    def load(self, launch_id: str) -> SealedRecord:
        """The record of a launch, not checked by any vault; UsageError ``bad-launch-id``."""
        check_launch_id(launch_id)
        with self._records.reading() as connection:
            row = connection.execute(
                "select length(document), case when length(document) <= ? then document end"
                " from launches where id = ?",
                (LARGEST_DOCUMENT, launch_id),
            ).fetchone()
        if row is None:
            raise no_such_launch(launch_id)
        size, document = row
        if document is None:
            raise damaged(launch_id, f"it has {size} bytes; {LARGEST_DOCUMENT} are the most")
        return parse_document(document, launch_id)

    def state(self, launch_id: str) -> str | None:
        """The state as the list has it; None where there is no such launch."""
        with self._records.reading() as connection:
            query = "select state from launches where id = ?"
            row = connection.execute(query, (launch_id,)).fetchone()
        return None if row is None else str(row[0])

    def is_listed(self, record: LaunchRecord) -> bool:
        """Whether the list says of a launch what its record says."""
        with self._records.reading() as connection:
            query = f"select {_SUMMARY} from launches where id = ?"  # noqa: S608 - our own words
            row = connection.execute(query, (record.id,)).fetchone()
        return row is not None and tuple(row) == _columns(record)

    # -- the one packet ----------------------------------------------------------

    def store_packet(self, launch_id: str, packet: Packet, sealed: str) -> None:
        """Keep the one packet of a launch; UsageError ``already-sealed`` for a second one.

        ``sealed``  the time, in UTC
        """
        with self._records.writing() as connection:
            try:
                connection.execute(
                    "insert into packets (launch_id, header, ciphertext, sealed)"
                    " values (?, ?, ?, ?)",
                    (launch_id, packet.header, packet.ciphertext, sealed),
                )
            except sqlite3.IntegrityError:
                raise already_sealed(launch_id) from None

    def has_packet(self, launch_id: str) -> bool:
        """Whether a packet was sealed for this launch."""
        with self._records.reading() as connection:
            query = "select 1 from packets where launch_id = ?"
            return connection.execute(query, (launch_id,)).fetchone() is not None

    def packet(self, launch_id: str, sha256: str) -> StoredPacket:
        """The packet as it was sealed, to be sent as it is; ``sha256`` (hex) is its record's.

        Raises BadInput ``bad-packet`` for other bytes, or none.
        """
        with self._records.reading() as connection:
            row = connection.execute(
                "select header, ciphertext from packets where launch_id = ?"
                " and length(header) + length(ciphertext) <= 65536",
                (launch_id,),
            ).fetchone()
        header, ciphertext = row or (b"", b"")
        return StoredPacket.load(header, ciphertext, sha256)

    # -- nonces ------------------------------------------------------------------

    def check_nonce(self, nonce: bytes, launch_id: str) -> None:
        """VerificationRefused ``measurement-replayed`` for a nonce that another launch claimed."""
        with self._records.reading() as connection:
            query = "select launch_id from nonces where nonce = ?"
            row = connection.execute(query, (nonce,)).fetchone()
        if row is not None and row[0] != launch_id:
            raise _replayed(row[0])

    def claim_nonce(self, nonce: bytes, launch_id: str, seen: str) -> None:
        """Note that a launch's verified measurement has this nonce (16 bytes); again is the same.

        Raises as :meth:`check_nonce`.
        """
        with self._records.writing() as connection:
            connection.execute(
                "insert into nonces (nonce, launch_id, seen) values (?, ?, ?)"
                " on conflict do nothing",
                (nonce, launch_id, seen),
            )
            self.check_nonce(nonce, launch_id)


def _columns(record: LaunchRecord) -> tuple[str | int, ...]:
    return (
        record.id,
        record.guest,
        record.technology,
        int(record.simulated),
        record.state.value,
        record.host,
        record.waits_for,
        record.created,
        record.changed,
    )


def _document(record: LaunchRecord, seal: Seal) -> bytes:
    body = record_body(record)
    return build_document(body, seal.seal(body))


def no_such_launch(launch_id: str | int) -> BadInput:
    """BadInput ``no-such-launch``."""
    return BadInput(
        "no-such-launch",
        "the id of the launch",
        f"There is no launch “{launch_id}” in the records.",
        "See the launches with `watchword launch list`.",
        {"launch": launch_id},
    )


def already_sealed(launch_id: str) -> UsageError:
    """UsageError ``already-sealed``."""
    return UsageError(
        "already-sealed",
        "A packet was sealed for this launch before",
        f"{launch_id} has its one packet; a second one could be put into a clone of the VM.",
        "Send the packet that was sealed again (`watchword launch resume`), or start a new launch.",
        {"launch": launch_id},
    )


def _replayed(owner: str) -> VerificationRefused:
    return VerificationRefused(
        "measurement-replayed",
        "The host answered with another launch's measurement",
        f"Its nonce is that of the measurement of launch {ascii(owner)[1:-1][:64]}, which was"
        " verified; a secure processor never repeats one.",
        "Send nothing to this host, unless the answers were merely mixed up: then give each"
        " launch its own.",
        {"launch": owner},
    )
