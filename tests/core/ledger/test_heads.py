# SPDX-License-Identifier: Apache-2.0
"""Heads that are kept elsewhere: as a text, as a file, and in the keyring."""

from __future__ import annotations

import json

import pytest

from watchword.core.errors import BadInput, UsageError, VaultError, VerificationRefused
from watchword.core.ledger.anchor import RollbackVerdict, check_anchor
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.heads import ExportedHead, LedgerHead, read_head, write_head
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.vault.keyring_access import is_ledger_head

from .support import flipped

HEAD = LedgerHead(7, "5d" * 32)
EXPORTED = ExportedHead("1a" * 16, HEAD, "2026-11-23T14:00:00Z")


@pytest.mark.parametrize("sequence", [1, 7, 2**53 - 1])
def test_a_head_is_read_back_from_its_text(sequence):
    head = LedgerHead(sequence, "0f" * 32)
    assert LedgerHead.is_text(head.text)
    assert LedgerHead.parse(head.text) == head
    assert is_ledger_head(head.text)  # the keyring takes it


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        ":" + "5d" * 32,
        "0:" + "5d" * 32,
        "07:" + "5d" * 32,
        "-7:" + "5d" * 32,
        "7:" + "5d" * 31,
        "7:" + "5D" * 32,
        "7:" + "5d" * 32 + "\n",
        " 7:" + "5d" * 32,
        "\u0667:" + "5d" * 32,
        f"{2**53}:" + "5d" * 32,
        "9" * 100_000 + ":" + "5d" * 32,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_any_other_text_is_no_head(text):
    with pytest.raises(UsageError) as caught:
        LedgerHead.parse(text)
    assert caught.value.code == "bad-ledger-head"


def test_a_head_is_read_back_from_its_file(tmp_path):
    path = tmp_path / "head.json"
    write_head(path, EXPORTED, "--out")
    assert read_head(path, "--head") == EXPORTED
    assert json.loads(path.read_text()) == {
        "format": "watchword-ledger-head-1",
        "ledger_id": "1a" * 16,
        "sequence": 7,
        "hash": "5d" * 32,
        "time": "2026-11-23T14:00:00Z",
    }


def test_a_head_file_that_was_laid_out_anew_is_the_same_head():
    compact = json.dumps(json.loads(EXPORTED.build())).replace(":", " : ", 3).encode()
    assert ExportedHead.parse(b"\r\n" + compact, "--head") == EXPORTED


def test_no_bit_of_a_head_file_can_be_changed_without_an_error_or_another_head():
    for data in flipped(EXPORTED.build()):
        try:
            head = ExportedHead.parse(data, "--head")
        except BadInput:
            continue
        assert head != EXPORTED or json.loads(data) == json.loads(EXPORTED.build())


@pytest.mark.parametrize(
    "change",
    [
        {"format": "watchword-ledger-head-2"},
        {"ledger_id": "1A" * 16},
        {"ledger_id": None},
        {"sequence": 0},
        {"sequence": True},
        {"sequence": 7.0},
        {"sequence": "7"},
        {"sequence": 2**53},
        {"hash": "5d" * 31},
        {"hash": ["5d"]},
        {"time": "now"},
        {"more": 1},
    ],
    ids=repr,
)
def test_a_file_of_another_form_is_refused(tmp_path, change):
    path = tmp_path / "head.json"
    path.write_text(json.dumps(json.loads(EXPORTED.build()) | change))
    with pytest.raises(BadInput) as caught:
        read_head(path, "--head")
    assert caught.value.code == "bad-ledger-head"
    assert caught.value.field == "--head"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (EXPORTED.build().replace(b'"sequence"', b'"sequence": 7, "sequence"'), "bad-ledger-head"),
        (EXPORTED.build().replace(b'"sequence"', b'"sequence" : 8, "sequence"'), "bad-ledger-head"),
        (b"[]", "bad-ledger-head"),
        (b"\xff", "bad-ledger-head"),
        (b"{", "bad-json"),
        (b"[" * 3000, "json-too-deep"),
        (b" " * 5000, "file-too-large"),
        (b"", "file-empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:12]),
)
def test_a_file_that_is_no_head_is_refused(tmp_path, data, code):
    path = tmp_path / "head.json"
    path.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        read_head(path, "--head")
    assert caught.value.code == code


def test_an_exported_head_holds_while_the_ledger_grows(ledger, story):
    exported = ledger.exported_head()
    assert exported.head == ledger.head()
    assert exported.ledger_id == story[0].body["ledger_id"]
    assert exported.time > story[-1].time
    ledger.append(EntryKind.LAUNCH_ABANDONED, "a", {})
    assert ledger.verify([exported, exported.head]).known_heads == 2


def test_another_ledger_is_named_as_such(ledger, story, tmp_path):
    with Records.open(tmp_path / "other") as records:
        other = Ledger(records)
        for _ in range(9):
            other.append(EntryKind.LAUNCH_PREPARED, "a", {})
        with pytest.raises(VerificationRefused) as caught:
            other.verify([ledger.exported_head()])
        found_id = other.exported_head().ledger_id
    assert caught.value.code == "ledger-rewritten"
    for ledger_id in (story[0].body["ledger_id"], found_id):
        assert ledger_id in caught.value.message


def test_a_ledger_that_is_gone_is_named_as_cut(ledger, story, tmp_path):
    with Records.open(tmp_path / "other") as records, pytest.raises(VerificationRefused) as caught:
        Ledger(records).verify([ledger.exported_head()])
    assert caught.value.code == "ledger-cut"
    assert "no entry at all" in caught.value.message


# The keyring's note


def test_a_ledger_with_the_noted_entry_is_no_older_copy(ledger, story):
    for entry in story:
        anchor = LedgerHead(entry.sequence, entry.hash).text
        assert check_anchor(ledger, anchor) is RollbackVerdict.CHECKED


def test_without_a_note_an_older_copy_can_not_be_told(ledger, story):
    assert check_anchor(ledger, None) is RollbackVerdict.NOT_DETECTABLE
    assert check_anchor(None, None) is RollbackVerdict.NOT_DETECTABLE
    assert RollbackVerdict.NOT_DETECTABLE.value == "not-detectable"


def refused(ledger, anchor):
    with pytest.raises(VerificationRefused) as caught:
        check_anchor(ledger, anchor)
    assert caught.value.code == "ledger-rolled-back"
    return caught.value


def test_an_older_copy_is_noticed(forger):
    anchor = LedgerHead(5, forger.rows[4][2])
    with forger.attempt():
        forger.execute("delete from ledger where sequence > 3")
        error = refused(forger.ledger, anchor.text)
    assert error.details == {
        "anchored": anchor.as_json(),
        "found": {"sequence": 3, "hash": forger.rows[2][2]},
    }
    assert anchor.hash in error.message
    assert forger.rows[2][2] in error.message


def test_a_ledger_of_the_same_length_with_another_past_is_noticed(forger):
    with forger.attempt():
        record = forger.rows[4][1].replace(b'"simulated":false', b'"simulated":true')
        forger.change_record(5, record, with_hash=True)
        assert forger.ledger.verify().entries == 5
        refused(forger.ledger, LedgerHead(5, forger.rows[4][2]).text)


def test_the_noted_hash_is_held_against_the_record_and_not_against_what_stands_beside_it(forger):
    with forger.attempt():
        forger.change_record(5, forger.rows[4][1].replace(b"false", b"true"))
        with pytest.raises(VerificationRefused) as caught:
            check_anchor(forger.ledger, LedgerHead(5, forger.rows[4][2]).text)
    assert caught.value.code == "ledger-broken"


def test_records_that_are_gone_or_empty_are_noticed(records, ledger):
    for gone in (None, ledger):
        error = refused(gone, HEAD.text)
        assert "is empty now" in error.message
        assert error.details["found"] is None


@pytest.mark.parametrize("anchor", ["", "7", "generation 3", "7:" + "x" * 64])
def test_a_note_that_is_no_head_is_the_keyrings_fault(ledger, story, anchor):
    with pytest.raises(VaultError) as caught:
        check_anchor(ledger, anchor)
    assert caught.value.code == "ledger-anchor-damaged"
