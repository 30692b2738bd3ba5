# SPDX-License-Identifier: Apache-2.0
"""Writing and reading blocks: all or nothing, nested ones too, and rows that are never changed."""

from __future__ import annotations

import sqlite3

import pytest

from watchword.core.errors import BadInput, WatchwordError
from watchword.core.records.database import Records

from .support import add_nonce, nonces


class Stop(BaseException):
    """Not even an Exception, as a Ctrl-C is none."""


def fail(records, problem, *numbers):
    """Write rows in a block, each in an inner one, and let the block fail."""
    with records.writing():
        for number in numbers:
            add_nonce(records, number)
        raise problem


def test_a_block_that_ends_is_seen_by_others(folder, records):
    add_nonce(records, 1)
    with Records.open(folder) as other:
        assert nonces(other) == [1]


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt, Stop, sqlite3.IntegrityError])
def test_a_block_that_fails_leaves_nothing(records, problem):
    with pytest.raises(problem):
        fail(records, problem, 1)
    assert nonces(records) == []
    add_nonce(records, 2)
    assert nonces(records) == [2]


def test_nobody_sees_a_block_before_it_ends(folder, records):
    with Records.open(folder) as other, records.writing():
        add_nonce(records, 1)
        assert nonces(other) == []
        assert nonces(records) == [1]


def test_an_inner_block_goes_with_the_outer_one(folder, records):
    with pytest.raises(Stop):
        fail(records, Stop, 1, 2)
    assert nonces(records) == []
    with Records.open(folder) as other:
        assert nonces(other) == []


def test_an_inner_block_that_fails_is_undone_though_the_outer_one_goes_on(folder, records):
    with records.writing():
        add_nonce(records, 1)
        with pytest.raises(Stop):
            fail(records, Stop, 2, 3)
        add_nonce(records, 4)
    with Records.open(folder) as other:
        assert nonces(other) == [1, 4]


def test_a_rule_of_the_tables_that_is_broken_can_be_told(records):
    add_nonce(records, 1)
    with records.writing():
        with pytest.raises(sqlite3.IntegrityError):
            add_nonce(records, 1)
        add_nonce(records, 2)
    assert nonces(records) == [1, 2]


def test_writing_inside_a_reading_block_is_refused_and_not_lost_silently(records):
    with records.reading():
        with pytest.raises(WatchwordError) as caught:
            add_nonce(records, 1)
        assert caught.value.code == "write-while-reading"
    add_nonce(records, 2)
    assert nonces(records) == [2]


def test_a_reading_block_keeps_its_view_while_others_write(folder, records):
    add_nonce(records, 1)
    with Records.open(folder) as other, records.reading():
        assert nonces(records) == [1]
        add_nonce(other, 2)
        assert nonces(records) == [1]
    assert nonces(records) == [1, 2]


def test_what_is_written_while_reading_by_hand_is_undone(folder, records):
    with records.reading() as connection:
        connection.execute("insert into nonces values (x'01', 'a', 'b')")
    assert nonces(records) == []


def test_a_reading_block_that_fails_is_over(records):
    with pytest.raises(Stop), records.reading():
        raise Stop
    add_nonce(records, 1)


def test_an_error_of_the_database_is_told_in_our_words(records):
    with pytest.raises(BadInput) as caught, records.reading() as connection:
        connection.execute("select marker from nowhere")
    assert caught.value.code == "records-damaged"
    assert "marker" not in str(caught.value.as_json())


ROWS = {
    "packets": "('launch-1', x'00', x'11', 'now')",
    "nonces": "(x'01', 'launch-1', 'now')",
    "ledger": "(1, x'00', 'hash')",
    "evidence": "(1, 'launch-1', 'sha', 'now', x'00')",
}


@pytest.mark.parametrize("table", ROWS)
@pytest.mark.parametrize(
    "words",
    ["update {} set rowid_or_key = 0", "delete from {}", "insert or replace into {} values {}"],
)
def test_rows_that_are_kept_are_neither_changed_nor_removed(records, table, words):
    with records.writing() as connection:
        connection.execute(
            "insert into launches values ('launch-1','g','sev',0,'s','h','','c','c',x'00')"
        )
        connection.execute(f"insert into {table} values {ROWS[table]}")
        column = connection.execute(f"select name from pragma_table_info('{table}')").fetchall()
    change = words.replace("rowid_or_key = 0", f"{column[-1][0]} = {column[-1][0]}")
    with pytest.raises(sqlite3.IntegrityError), records.writing() as connection:
        connection.execute(change.format(table, ROWS[table]))
    with records.reading() as connection:
        assert connection.execute(f"select count(*) from {table}").fetchone() == (1,)


def test_a_block_that_need_not_last_is_seen_all_the_same_and_the_next_one_waits(folder, records):
    with records.writing(lasting=False) as connection:
        add_nonce(records, 1)
        assert connection.execute("pragma synchronous").fetchone()[0] == 1
    with Records.open(folder) as other:
        assert nonces(other) == nonces(records)
    with records.writing() as connection:
        assert connection.execute("pragma synchronous").fetchone()[0] == 2


def test_another_process_s_writing_is_noticed(folder, records):
    before = records.others_wrote
    add_nonce(records, 1)
    assert records.others_wrote == before
    with Records.open(folder) as other:
        add_nonce(other, 2)
    assert records.others_wrote != before


def test_a_block_that_need_not_last_and_fails_weakens_no_other(records):
    with pytest.raises(Stop), records.writing(lasting=False):
        raise Stop
    with records.writing() as connection:
        assert connection.execute("pragma synchronous").fetchone()[0] == 2
