# SPDX-License-Identifier: Apache-2.0
"""What the tests of the records file share: a table to write to, and other processes."""

from __future__ import annotations

import subprocess
import sys


def add_nonce(records, number):
    """Write one row, in a writing block of its own or inside another."""
    with records.writing() as connection:
        row = (number.to_bytes(16), "launch-1", "2026-11-23T14:00:00Z")
        connection.execute("insert into nonces values (?, ?, ?)", row)


def nonces(records):
    """The numbers of all rows that add_nonce wrote."""
    with records.reading() as connection:
        rows = connection.execute("select nonce from nonces order by nonce").fetchall()
    return [int.from_bytes(nonce) for (nonce,) in rows]


def child(code, *words):
    """Another process that runs this code; talk to it over its pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def let_go(process):
    """Close its input, and wait until it is over; gives its exit status."""
    try:
        process.communicate(timeout=30)
    finally:
        process.kill()
    return process.returncode
