# SPDX-License-Identifier: Apache-2.0
"""The tables of the records file, and the rules that the database itself holds them to."""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x57574452
"""``WWRD``: tells the file from other SQLite files."""
SCHEMA_NUMBER: Final = 1
"""The ``user_version`` of a file that this program writes; a newer one is refused."""

TABLES: Final = """
create table launches (
    id text primary key,
    guest text not null,
    technology text not null,
    simulated integer not null,
    state text not null,
    host text not null,
    waits_for text not null,
    created text not null,
    changed text not null,
    document blob not null
) strict, without rowid;
create index launches_by_time on launches (created, id);
create index launches_by_state on launches (state);
create index launches_by_guest on launches (guest, created, id);

create table packets (
    launch_id text primary key references launches (id),
    header blob not null,
    ciphertext blob not null,
    sealed text not null
) strict;

create table nonces (
    nonce blob primary key,
    launch_id text not null,
    seen text not null
) strict, without rowid;

create table ledger (
    sequence integer primary key,
    record blob not null,
    hash text not null unique
) strict;

create table evidence (
    sequence integer primary key autoincrement,
    launch_id text not null,
    sha256 text not null unique,
    made text not null,
    envelope blob not null
) strict;
create index evidence_by_launch on evidence (launch_id);
"""
"""``packets`` has the launch as its key: that is the guard against a second packet.

``launches.document`` is JSON with inputs only, never a secret and never a verdict to rely on.
"""


def _kept_as_written(table: str) -> str:
    return f"""
create trigger {table}_not_changed before update on {table}
begin select raise(abort, 'rows of {table} are kept as they were written'); end;
create trigger {table}_not_removed before delete on {table}
begin select raise(abort, 'rows of {table} are kept as they were written'); end;
"""


SCHEMA: Final = TABLES + "".join(map(_kept_as_written, ("packets", "nonces", "ledger", "evidence")))
"""All statements that make an empty records file."""
