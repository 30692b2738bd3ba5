# SPDX-License-Identifier: Apache-2.0
"""A ledger that somebody has written in: every bit, row and order that is changed is noticed."""

from __future__ import annotations

import hashlib
import itertools
import json

import pytest

from watchword.core.errors import BadInput, ExitStatus, VerificationRefused
from watchword.core.ledger.canonical import canonical
from watchword.core.ledger.entries import LARGEST_RECORD, EntryKind
from watchword.core.ledger.heads import LedgerHead
from watchword.core.records.database import FILE_NAME

from .support import flipped


def refusal(ledger, *known):
    """The refusal of a ledger, its shape checked; None where it is accepted."""
    try:
        ledger.verify(known)
    except VerificationRefused as caught:
        error = caught
    else:
        return None
    assert error.exit_status is ExitStatus.REFUSED
    assert error.title
    assert error.message
    assert error.remedy
    return error


def code(ledger):
    """The code of whatever is raised about a ledger."""
    try:
        ledger.verify()
    except (VerificationRefused, BadInput) as error:
        return error.code
    return None


def broken_at(ledger):
    error = refusal(ledger)
    assert error is not None
    assert error.code == "ledger-broken"
    assert f"Entry {error.details['sequence']}:" in error.message
    return error.details["sequence"]


def rehashed(sequence, record):
    return sequence, record, hashlib.sha256(record).hexdigest()


def rechained(rows):
    """The rows as somebody would write them who has the time to compute all hashes anew."""
    previous = "0" * 64
    for sequence, record, _ in rows:
        value = json.loads(record) | {"previous": previous}
        row = rehashed(sequence, canonical(value))
        previous = row[2]
        yield row


def test_the_copy_itself_is_whole(forger):
    assert refusal(forger.ledger) is None


@pytest.mark.parametrize("sequence", [1, 2, 3, 4, 5])
def test_every_bit_of_a_record_counts(forger, sequence):
    record = forger.rows[sequence - 1][1]
    with forger.attempt():
        for other in flipped(record):
            forger.change_record(sequence, other)
            assert broken_at(forger.ledger) == sequence
        forger.change_record(sequence, record)
        assert refusal(forger.ledger) is None


def test_every_bit_of_a_record_counts_though_its_hash_is_made_anew(forger):
    sequence = 3
    with forger.attempt():
        for other in flipped(forger.rows[sequence - 1][1]):
            forger.change_record(sequence, other, with_hash=True)
            # Some call themselves watchword-ledger-3, or are of a kind that nobody knows yet.
            assert code(forger.ledger) in ("ledger-broken", "ledger-newer")


@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_every_bit_of_a_hash_counts(forger, sequence):
    with forger.attempt():
        for other in flipped(forger.rows[sequence - 1][2].encode()):
            forger.execute(
                "update ledger set hash = cast(? as text) where sequence = ?", other, sequence
            )
            assert broken_at(forger.ledger) == sequence


@pytest.mark.parametrize("digest", ["", "0" * 64, "A" * 64, "x" * 100_000])
def test_a_hash_of_another_form_is_noticed(forger, digest):
    with forger.attempt():
        forger.execute("update ledger set hash = ? where sequence = 2", digest)
        assert broken_at(forger.ledger) == 2


@pytest.mark.parametrize("removed", [1, 2, 3, 4])
def test_a_row_that_is_removed_is_noticed(forger, removed):
    with forger.attempt():
        forger.execute("delete from ledger where sequence = ?", removed)
        assert broken_at(forger.ledger) == removed


@pytest.mark.parametrize("removed", [1, 2, 3, 4])
def test_a_row_that_is_removed_is_noticed_though_the_others_close_up(forger, removed):
    rest = [row for row in forger.rows if row[0] != removed]
    with forger.attempt():
        forger.write([(number, *row[1:]) for number, row in enumerate(rest, start=1)])
        assert broken_at(forger.ledger) == removed


def test_every_other_order_of_the_rows_is_noticed(forger):
    orders = list(itertools.permutations(forger.rows))[1:]
    assert len(orders) == 119
    for rows in orders:
        with forger.attempt():
            forger.write([(number, *row[1:]) for number, row in enumerate(rows, start=1)])
            first = next(n for n, row in enumerate(rows, start=1) if row[0] != n)
            assert broken_at(forger.ledger) == first


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations(range(1, 6), 2)])
def test_two_records_that_change_places_under_their_own_hashes_are_noticed(forger, first, second):
    records = {row[0]: row[1] for row in forger.rows}
    with forger.attempt():
        forger.change_record(first, records[second])
        forger.change_record(second, records[first])
        assert broken_at(forger.ledger) == first


def test_a_row_that_is_there_twice_is_noticed(forger):
    last = forger.rows[-1]
    with forger.attempt():
        forger.execute("insert into ledger values (6, ?, ?)", last[1], "0" * 64)
        assert broken_at(forger.ledger) == 6


@pytest.mark.parametrize("stray", [0, -1, -(2**63)])
def test_a_row_before_the_first_one_is_noticed(forger, stray):
    with forger.attempt():
        forger.execute("insert into ledger values (?, ?, ?)", stray, forger.rows[0][1], "0" * 64)
        assert broken_at(forger.ledger) == 1


@pytest.mark.parametrize("stray", [7, 2**53, 2**63 - 1])
def test_a_gap_is_noticed(forger, stray):
    with forger.attempt():
        forger.execute("insert into ledger values (?, ?, ?)", stray, forger.rows[0][1], "0" * 64)
        assert broken_at(forger.ledger) == 6


def test_a_second_beginning_is_noticed(forger):
    value = json.loads(forger.rows[0][1])
    value |= {"sequence": 6, "previous": forger.rows[-1][2]}
    with forger.attempt():
        forger.execute("insert into ledger values (?, ?, ?)", *rehashed(6, canonical(value)))
        assert broken_at(forger.ledger) == 6


def test_a_ledger_without_a_beginning_is_noticed(forger):
    rows = [
        (number, canonical(json.loads(row[1]) | {"sequence": number}), "")
        for number, row in enumerate(forger.rows[1:], start=1)
    ]
    with forger.attempt():
        forger.write(rechained(rows))
        assert broken_at(forger.ledger) == 1


CHANGES = {
    "another format": {"format": "other-ledger-1"},
    "a format that is a number": {"format": 1},
    "another sequence": {"sequence": 7},
    "a sequence that is a truth value": {"sequence": True},
    "a sequence that is a text": {"sequence": "3"},
    "a time of another form": {"time": "yesterday"},
    "a time that is a number": {"time": 0},
    "a kind that is no word": {"kind": "No Kind"},
    "a kind that is nothing": {"kind": None},
    "a launch that is a number": {"launch": 5},
    "a launch that may not be called so": {"launch": "../x"},
    "simulated that is a number": {"simulated": 1},
    "a body that is a list": {"body": []},
    "no previous": {"previous": None},
    "a previous in capitals": {"previous": "A" * 64},
    "one more member": {"more": 1},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_record_of_another_form_is_noticed_though_its_hash_is_right(forger, change):
    record = canonical(json.loads(forger.rows[2][1]) | change)
    with forger.attempt():
        forger.change_record(3, record, with_hash=True)
        assert broken_at(forger.ledger) == 3


def other_writings(record):
    yield record[:-1]
    yield record + b"\n"
    yield b" " + record
    yield record.replace(b'"sequence":3', b'"sequence":3,"sequence":3')
    yield record.replace(b'"sequence":3', b'"sequence":3.0')
    yield record.replace(b'"sequence":3', b'"sequence":03')
    yield record.replace(b'"sequence":3', b'"sequence":NaN')
    yield record.replace(b'"sequence":3', b'"sequence":' + b"3" * 5000)
    yield record.replace(b'{"n":"two"}', b'{"n":1e400}')
    yield record.replace(b'{"n":"two"}', b'{"n":9007199254740992}')
    yield record.replace(b'{"n":"two"}', b'{"n":Infinity}')
    yield record.replace(b'{"n":"two"}', b'{"n":1,"n":"two"}')
    yield record.replace(b'"two"', b'"\\u0074wo"')
    yield record.replace(b'"two"', b"[" * 60_000 + b"]" * 60_000)
    yield record.replace(b'"two"', b"[" * 200_000)
    yield json.dumps(json.loads(record)).encode()
    yield b"null"
    yield b"[]"
    yield b""
    yield b"\xff"


def test_a_record_that_is_written_in_another_way_is_noticed_though_its_hash_is_right(forger):
    record = forger.rows[2][1]
    writings = list(other_writings(record))
    assert record not in writings
    for other in writings:
        with forger.attempt():
            forger.change_record(3, other, with_hash=True)
            assert broken_at(forger.ledger) == 3


def test_a_record_that_is_too_large_is_not_even_read(forger):
    value = json.loads(forger.rows[2][1]) | {"body": {"text": "x" * LARGEST_RECORD}}
    with forger.attempt():
        forger.change_record(3, canonical(value), with_hash=True)
        assert broken_at(forger.ledger) == 3


@pytest.mark.parametrize("value", [None, 7, 0.5, "text"])
def test_a_table_of_another_kind_is_noticed(forger, value):
    with forger.attempt():
        forger.execute("drop table ledger")
        forger.execute("create table ledger (sequence integer primary key, record, hash)")
        forger.connection.executemany("insert into ledger values (?, ?, ?)", forger.rows)
        assert refusal(forger.ledger) is None
        forger.execute("update ledger set record = ? where sequence = 2", value)
        assert broken_at(forger.ledger) == 2
        forger.write(forger.rows)
        forger.execute("update ledger set hash = ? where sequence = 4", value)
        assert broken_at(forger.ledger) == 4
        forger.execute("drop table ledger")
        forger.execute("create table ledger (sequence, record, hash)")
        forger.connection.executemany("insert into ledger values (?, ?, ?)", forger.rows)
        forger.execute("update ledger set sequence = ? where sequence = 1", value)
        assert broken_at(forger.ledger) == 1


def test_a_table_that_is_gone_is_noticed(forger):
    forger.execute("drop table ledger")
    assert code(forger.ledger) == "records-damaged"


# What needs a head that the forger can't reach


def known(forger, sequence=5):
    return LedgerHead(sequence, forger.rows[sequence - 1][2])


@pytest.mark.parametrize("left", [0, 1, 2, 3, 4])
def test_a_cut_tail_is_noticed_by_a_known_head_and_by_nothing_else(forger, left):
    with forger.attempt():
        forger.execute("delete from ledger where sequence > ?", left)
        assert refusal(forger.ledger) is None
        assert left == 0 or refusal(forger.ledger, known(forger, left)) is None
        error = refusal(forger.ledger, known(forger))
    assert error.code == "ledger-cut"
    assert error.details == {"known": known(forger).as_json(), "length": left}
    assert "entry 5" in error.message
    assert known(forger).hash in error.message


def test_a_chain_that_was_written_anew_is_noticed_by_a_known_head_and_by_nothing_else(forger):
    rows = list(forger.rows)
    rows[2] = (3, rows[2][1].replace(b'"two"', b'"six"'), "")
    rows = list(rechained(rows))
    with forger.attempt():
        forger.write(rows)
        assert refusal(forger.ledger) is None
        assert refusal(forger.ledger, known(forger, 2)) is None
        for sequence in (3, 4, 5):
            error = refusal(forger.ledger, known(forger, 2), known(forger, sequence))
            assert error.code == "ledger-rewritten"
            assert error.details == {
                "known": known(forger, sequence).as_json(),
                "found": {"sequence": sequence, "hash": rows[sequence - 1][2]},
            }


def test_a_head_from_earlier_holds_while_the_ledger_grows(ledger, story):
    heads = [LedgerHead(entry.sequence, entry.hash) for entry in story]
    ledger.append(EntryKind.LAUNCH_ABANDONED, "a", {})
    assert ledger.verify(heads).known_heads == 5


def test_a_damaged_ledger_is_called_damaged_whatever_heads_are_known(forger):
    with forger.attempt():
        forger.execute("delete from ledger where sequence = 2")
        assert refusal(forger.ledger, LedgerHead(9, "0" * 64)).code == "ledger-broken"


@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_single_looks_notice_a_changed_entry_too(forger, sequence):
    with forger.attempt():
        forger.change_record(sequence, forger.rows[sequence - 1][1] + b" ", with_hash=True)
        for look in (
            lambda: list(forger.ledger.entries()),
            lambda: forger.ledger.hash_at(sequence),
            lambda: forger.ledger.export(lambda line: None),
        ):
            with pytest.raises(VerificationRefused) as caught:
                look()
            assert caught.value.details["sequence"] == sequence
        readable = [entry.sequence for entry in forger.ledger.entries(skip_damaged=True)]
        assert readable == [number for number in range(1, 6) if number != sequence]


def test_the_copys_original_is_untouched(forger, folder, tmp_path):
    with forger.attempt():
        forger.execute("delete from ledger")
    assert (folder / FILE_NAME).stat().st_size == (tmp_path / "copy" / FILE_NAME).stat().st_size
