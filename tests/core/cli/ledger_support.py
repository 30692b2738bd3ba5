# SPDX-License-Identifier: Apache-2.0
"""What the tests of ``watchword ledger`` share: a small ledger, and a hand that forges it."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing

from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import FILE_NAME, Records

CEK = "c0" * 32
FIRMWARE = b"a firmware"
SECRET = {
    "name": "disk-passphrase",
    "guid": "736869e5-84f0-4973-92ec-06879ce3da0b",
    "entry": "vm1/disk",
    "size": 45,
    "test": False,
}
FACTS = {
    "guest": "vm1",
    "host": "qmp+unix:///run/vm1.sock",
    "generation": "milan",
    "cek_sha256": CEK,
    "firmware_sha256": [hashlib.sha256(FIRMWARE).hexdigest()],
    "api_major": 1,
    "api_minor": 49,
    "build": 3,
}


def append(home, *entries):
    with Records.open(home) as records:
        for kind, launch, body, *simulated in entries:
            Ledger(records).append(EntryKind(kind), launch, body, simulated=bool(simulated))


def fill(home):
    """A launch that ran, one that was refused, and one of a simulated platform."""
    given = FACTS | {"secrets": [SECRET]}
    refused = {"code": "policy-changed", "title": "The VM runs under another policy"}
    append(
        home,
        ("launch-prepared", "run", FACTS),
        ("packet-sealed", "run", given),
        ("launch-running", "run", given),
        ("launch-refused", "bad", FACTS | {"error": refused}),
        ("packet-sealed", "toy", given | {"generation": None}, "simulated"),
    )


def forge(home, words):
    """Write into the ledger as nobody may."""
    with closing(sqlite3.connect(home / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("drop trigger if exists ledger_not_changed")
        connection.execute("drop trigger if exists ledger_not_removed")
        connection.execute(words)


def changed(sequence):
    """Words that change one letter of a record."""
    other = "cast(replace(record, 'vm1', 'vm2') as blob)"
    return f"update ledger set record = {other} where sequence = {sequence}"
