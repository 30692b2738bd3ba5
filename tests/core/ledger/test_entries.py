# SPDX-License-Identifier: Apache-2.0
"""Single records: what is read back, and what is no record, whatever chain it may stand in."""

from __future__ import annotations

import pytest

from watchword.core.errors import BadInput
from watchword.core.ledger.canonical import NotCanonical, canonical, parse_canonical
from watchword.core.ledger.entries import EntryKind, LedgerEntry, hash_of

from .support import body


def made(kind=EntryKind.PACKET_SEALED, **changes):
    given = {
        "time": "2026-11-23T14:00:00Z",
        "launch_id": "launch-1",
        "simulated": True,
        "body": body(),
    }
    return LedgerEntry.make(7, "5d" * 32, kind=kind, **(given | changes))


@pytest.mark.parametrize("kind", [*EntryKind])
def test_an_entry_is_read_back_from_its_record(kind):
    entry, record = made(kind, body={"ledger_id": "1a" * 16})
    assert LedgerEntry.parse(record) == entry
    assert entry.build() == record
    assert entry.hash == hash_of(record)
    assert entry.as_json()["kind"] == kind.value


@pytest.mark.parametrize("launch_id", [None, "a", "7f0c" * 32, "web.1/x".replace("/", "-")])
def test_an_entry_may_be_about_a_launch_or_none(launch_id):
    entry, record = made(launch_id=launch_id)
    assert LedgerEntry.parse(record).launch_id == launch_id == entry.launch_id


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": 0},
        {"sequence": True},
        {"sequence": "7"},
        {"time": "2026-11-23 14:00:00"},
        {"time": "2026-11-23T14:00:00Z\n"},
        {"launch": ""},
        {"launch": 7},
        {"simulated": 0},
        {"body": None},
        {"previous": None},
        {"previous": "5D" * 32},
        {"format": None},
        {"format": "watchword-ledger-x"},
        {"kind": 7},
        {"kind": "Packet Sealed"},
        {"kind": "ledger-begun"},
        {"kind": "ledger-begun", "body": {"ledger_id": "1A" * 16}},
        {"kind": "ledger-begun", "body": {"ledger_id": 7}},
        {"more": None},
    ],
    ids=str,
)
def test_what_is_no_record_is_refused(change):
    record = canonical(parse_canonical(made()[1]) | change)
    with pytest.raises(NotCanonical):
        LedgerEntry.parse(record)


@pytest.mark.parametrize("name", ["body", "format", "kind", "launch", "previous", "sequence"])
def test_a_record_without_one_of_its_members_is_refused(name):
    value = parse_canonical(made()[1])
    del value[name]
    with pytest.raises(NotCanonical):
        LedgerEntry.parse(canonical(value))


@pytest.mark.parametrize("change", [{"format": "watchword-ledger-2"}, {"kind": "moon-reached"}])
def test_what_a_newer_version_wrote_is_called_so(change):
    with pytest.raises(BadInput) as caught:
        LedgerEntry.parse(canonical(parse_canonical(made()[1]) | change))
    assert caught.value.code == "ledger-newer"
