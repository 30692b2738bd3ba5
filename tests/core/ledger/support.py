# SPDX-License-Identifier: Apache-2.0
"""What the ledger's tests share: a whole body, and a hand that writes past all rules."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta

from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import FILE_NAME, Records

CEK = "c0" * 32
FIRMWARE = "f1" * 32
DISK = "736869e5-84f0-4973-92ec-06879ce3da0b"
BEGAN = datetime(2026, 11, 23, 14, tzinfo=UTC)


def secret(name="disk-passphrase", entry="vm1/disk", *, test=False):
    return {"name": name, "guid": DISK, "entry": entry, "size": 45, "test": test}


def body(**changes):
    """What an entry of a launch says; None leaves a member out."""
    whole = {
        "guest": "vm1",
        "host": "qmp+unix:///run/vm1.sock",
        "platform": "verified",
        "generation": "milan",
        "cek_sha256": CEK,
        "policy": 0x2F,
        "api_major": 1,
        "api_minor": 49,
        "build": 3,
        "firmware_sha256": [FIRMWARE],
        "secrets": [secret()],
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


class Clock:
    """A clock that goes on by a minute whenever it is asked."""

    def __init__(self):
        self.time = BEGAN

    def __call__(self):
        self.time += timedelta(minutes=1)
        return self.time


class Forger:
    """Writes past the triggers into a copy of the records; every attempt is undone at its end.

    ``ledger`` reads what stands there at the moment.
    """

    def __init__(self, folder, copy):
        copy.mkdir()
        shutil.copy(folder / FILE_NAME, copy / FILE_NAME)
        self.connection = sqlite3.connect(copy / FILE_NAME, isolation_level=None)
        self.connection.execute("drop trigger ledger_not_changed")
        self.connection.execute("drop trigger ledger_not_removed")
        self.rows = self.connection.execute(
            "select sequence, record, hash from ledger order by sequence"
        ).fetchall()
        self.ledger = Ledger(Records(self.connection, copy / FILE_NAME))

    @contextlib.contextmanager
    def attempt(self):
        self.connection.execute("begin")
        try:
            yield self
        finally:
            self.connection.execute("rollback")

    def execute(self, words, *values):
        self.connection.execute(words, values)

    def change_record(self, sequence, record, *, with_hash=False):
        self.execute("update ledger set record = ? where sequence = ?", record, sequence)
        if with_hash:
            digest = hashlib.sha256(record).hexdigest()
            self.execute("update ledger set hash = ? where sequence = ?", digest, sequence)

    def write(self, rows):
        """Other rows in place of all that are there."""
        self.execute("delete from ledger")
        self.connection.executemany("insert into ledger values (?, ?, ?)", rows)


def flipped(data):
    """The bytes with one bit turned over, for each of their bits."""
    for position in range(len(data)):
        for bit in range(8):
            other = bytearray(data)
            other[position] ^= 1 << bit
            yield bytes(other)
