# SPDX-License-Identifier: Apache-2.0
"""Appending to the ledger, and reading it: in order, in one transaction, by several at once."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from watchword.core.errors import BadInput, UsageError, VerificationRefused
from watchword.core.ledger.entries import LARGEST_RECORD, EntryKind, LedgerEntry
from watchword.core.ledger.heads import LedgerHead
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.secret import Secret

from .support import body

PREPARED = EntryKind.LAUNCH_PREPARED
SEALED = EntryKind.PACKET_SEALED
APPENDER = """
import sys
from pathlib import Path
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
with Records.open(Path(sys.argv[1])) as records:
    ledger = Ledger(records)
    print("open", flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[3])):
        ledger.append(EntryKind.LAUNCH_PREPARED, sys.argv[2], {"number": number})
"""


def stored(records):
    with records.reading() as connection:
        return connection.execute("select * from ledger order by sequence").fetchall()


def test_an_entry_is_what_was_appended(ledger):
    entry = ledger.append(PREPARED, "launch-1", body(), simulated=True)
    assert entry.sequence == 2
    assert (entry.kind, entry.launch_id, entry.simulated) == (PREPARED, "launch-1", True)
    assert entry.body == body()
    assert entry.time == "2026-11-23T14:02:00Z"
    assert list(ledger.entries())[1] == entry
    assert ledger.head() == LedgerHead(2, entry.hash)


def test_the_first_entry_has_an_id_that_no_other_ledger_has(folder, ledger, tmp_path):
    ledger.append(PREPARED, "a", {})
    with Records.open(tmp_path / "other") as records:
        other = Ledger(records)
        other.append(PREPARED, "a", {})
        firsts = [next(iter(each.entries())) for each in (ledger, other)]
    assert {entry.kind for entry in firsts} == {EntryKind.LEDGER_BEGUN}
    ids = {entry.body["ledger_id"] for entry in firsts}
    assert len(ids) == 2
    assert {len(ledger_id) for ledger_id in ids} == {32}
    assert {entry.previous for entry in firsts} == {"0" * 64}


def test_a_record_is_canonical_json_and_its_hash_is_sha256_of_it(records, ledger):
    ledger.append(SEALED, "a", {"z": 1, "a": "ü"})
    (_, first, _), (sequence, record, digest) = stored(records)
    assert sequence == 2
    assert digest == hashlib.sha256(record).hexdigest()
    assert record == (
        b'{"body":{"a":"\xc3\xbc","z":1},"format":"watchword-ledger-1","kind":"packet-sealed",'
        b'"launch":"a","previous":"%s","sequence":2,"simulated":false,'
        b'"time":"2026-11-23T14:02:00Z"}' % hashlib.sha256(first).hexdigest().encode()
    )
    assert LedgerEntry.parse(record).build() == record


def test_times_are_in_utc_whatever_the_clock_says(records):
    east = timezone(timedelta(hours=5, minutes=30))
    ledger = Ledger(records, lambda: datetime(2026, 11, 23, 2, 30, 59, 999999, tzinfo=east))
    assert ledger.append(PREPARED, "a", {}).time == "2026-11-22T21:00:59Z"


def test_an_empty_ledger_has_no_head_and_no_entries(ledger):
    assert ledger.head() is None
    assert ledger.exported_head() is None
    assert ledger.hash_at(1) is None
    assert list(ledger.entries()) == []
    verdict = ledger.verify()
    assert (verdict.entries, verdict.head, verdict.ledger_id) == (0, None, None)


def test_a_ledger_that_nobody_touched_is_whole(ledger, story):
    verdict = ledger.verify()
    assert verdict.as_json() == {
        "ledger_id": story[0].body["ledger_id"],
        "entries": 5,
        "simulated": 1,
        "head": {"sequence": 5, "hash": story[-1].hash},
        "first_time": story[0].time,
        "last_time": story[-1].time,
        "known_heads": 0,
    }


def test_an_entry_is_gone_with_the_transaction_that_it_was_part_of(records, ledger):
    ledger.append(PREPARED, "a", {})

    def seal_and_fail():
        with records.writing() as connection:
            connection.execute("insert into nonces values (x'01', 'a', 'now')")
            ledger.append(SEALED, "a", {})
            assert ledger.head().sequence == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seal_and_fail()
    assert ledger.head().sequence == 2
    with records.writing() as connection:
        connection.execute("insert into nonces values (x'01', 'a', 'now')")
        ledger.append(SEALED, "a", {})
    assert ledger.verify().entries == 3


def test_a_beginning_that_is_rolled_back_leaves_no_ledger(records, ledger):
    def append_and_fail():
        with records.writing():
            ledger.append(PREPARED, "a", {})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        append_and_fail()
    assert ledger.head() is None


def test_appending_inside_a_reading_block_is_refused(records, ledger):
    with records.reading(), pytest.raises(Exception, match="written while they were read"):
        ledger.append(PREPARED, "a", {})
    assert ledger.head() is None


@pytest.mark.parametrize(
    "bad",
    [{"a": 0.5}, {"a": 2**53}, {"a": Secret(b"x")}, {"a": b"x"}, {"a": "\ud800"}, {1: 2}, [1], 7],
    ids=repr,
)
def test_a_body_that_is_no_json_of_ours_is_refused_and_nothing_written(ledger, bad):
    with pytest.raises(UsageError) as caught:
        ledger.append(PREPARED, "a", bad)
    assert caught.value.code == "bad-ledger-body"
    assert ledger.head() is None


def test_nobody_begins_a_ledger_by_hand(ledger):
    with pytest.raises(UsageError) as caught:
        ledger.append(EntryKind.LEDGER_BEGUN, None, {"ledger_id": "0" * 32})
    assert caught.value.code == "bad-ledger-body"


@pytest.mark.parametrize("launch_id", ["", " ", "-x", "a b", 'a"', "a\\", "ä", "a" * 129, "a\n"])
def test_a_launch_can_not_have_just_any_id(ledger, launch_id):
    for use in (
        lambda: ledger.append(PREPARED, launch_id, {}),
        lambda: list(ledger.entries(launch_id=launch_id)),
    ):
        with pytest.raises(UsageError) as caught:
            use()
        assert caught.value.code == "bad-launch-id"


def test_an_entry_has_256_kib_at_most(ledger):
    empty = len(ledger.append(PREPARED, "a", {"text": ""}).build())
    ledger.append(PREPARED, "a", {"text": "x" * (LARGEST_RECORD - empty)})
    with pytest.raises(UsageError) as caught:
        ledger.append(PREPARED, "a", {"text": "x" * (LARGEST_RECORD - empty + 1)})
    assert caught.value.code == "ledger-entry-too-large"
    assert ledger.verify().entries == 3


def test_entries_are_found_by_launch_and_kind_in_either_order(ledger):
    for number in range(200):
        ledger.append(PREPARED, f"launch-{number % 3}", {"number": number})
        ledger.append(SEALED, None, {"launch": "launch-1", "kind": "evidence-made"})

    def numbers(**which):
        return [entry.sequence for entry in ledger.entries(**which)]

    assert numbers() == list(range(1, 402))
    assert numbers(newest_first=True) == list(range(401, 0, -1))
    one = [2 + 2 * number for number in range(200) if number % 3 == 1]
    assert numbers(launch_id="launch-1") == one
    assert numbers(launch_id="launch-1", newest_first=True, limit=3) == one[:-4:-1]
    assert numbers(launch_id="launch-") == []
    assert numbers(kinds=[SEALED], limit=2) == [3, 5]
    assert numbers(kinds={SEALED, EntryKind.LEDGER_BEGUN}, limit=2) == [1, 3]
    assert numbers(kinds=[EntryKind.EVIDENCE_MADE]) == []
    assert numbers(kinds=[]) == []
    assert numbers(launch_id="launch-1", kinds=[SEALED]) == []
    assert numbers(limit=0) == []


def test_who_reads_may_write_between_two_entries(ledger):
    for number in range(3):
        ledger.append(PREPARED, "a", {"number": number})
    for entry in ledger.entries(limit=3):
        ledger.append(SEALED, "a", {"read": entry.sequence})
    assert ledger.verify().entries == 7


def test_a_reading_that_is_left_half_way_holds_nothing_up(ledger, story):
    entries = ledger.entries()
    next(entries)
    assert ledger.append(PREPARED, "a", {}).sequence == 6
    entries.close()


def test_a_kind_that_only_a_newer_version_knows_is_told_from_damage(records, ledger):
    ledger.append(PREPARED, "a", {})
    head = ledger.head()
    value = json.loads(stored(records)[1][1])
    value |= {"kind": "moon-reached", "sequence": 3, "previous": head.hash}
    record = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    with records.writing() as connection:
        row = (3, record, hashlib.sha256(record).hexdigest())
        connection.execute("insert into ledger values (?, ?, ?)", row)
    for use in (ledger.verify, ledger.head, lambda: list(ledger.entries())):
        with pytest.raises(BadInput) as caught:
            use()
        assert caught.value.code == "ledger-newer"
    assert ledger.append(SEALED, "a", {}).sequence == 4  # the chain goes on all the same


def test_nothing_is_appended_to_an_entry_that_was_changed(forger):
    forger.change_record(5, forger.rows[4][1].replace(b'"body":{}', b'"body":[]'))
    with pytest.raises(VerificationRefused) as caught:
        forger.ledger.append(PREPARED, "a", {})
    assert caught.value.code == "ledger-broken"
    assert caught.value.details["sequence"] == 5


@pytest.mark.parametrize("sequence", [2**53 - 1, 2**63 - 1, -1])
def test_nothing_is_appended_after_a_number_that_no_entry_has(records, ledger, sequence):
    with records.writing() as connection:
        row = (sequence, b"x", hashlib.sha256(b"x").hexdigest())
        connection.execute("insert into ledger values (?, ?, ?)", row)
    with pytest.raises(VerificationRefused) as caught:
        ledger.append(PREPARED, "a", {})
    assert caught.value.code == "ledger-broken"


def test_processes_that_append_side_by_side_make_one_chain_and_lose_nothing(folder, tmp_path):
    command = [sys.executable, "-c", APPENDER, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    processes = [subprocess.Popen([*command, f"p{n}", "25"], **pipes) for n in range(4)]
    try:
        for process in processes:
            assert process.stdout.readline() == b"open\n"
        for process in processes:
            process.stdin.write(b"go\n")
            process.stdin.flush()
    finally:
        for process in processes:
            process.communicate(timeout=30)
    assert [process.returncode for process in processes] == [0] * 4
    with Records.open(folder) as records:
        ledger = Ledger(records)
        assert ledger.verify().entries == 101
        for number in range(4):
            mine = [entry.body["number"] for entry in ledger.entries(launch_id=f"p{number}")]
            assert mine == list(range(25))
