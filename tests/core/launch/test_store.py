# SPDX-License-Identifier: Apache-2.0
"""Launches in the records: lists, documents that somebody edited, one packet, nonces."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput, UsageError, VerificationRefused
from watchword.core.launch.record import (
    LARGEST_DOCUMENT,
    LaunchRecord,
    LaunchState,
    RecordedOrder,
    RecordedSession,
    build_document,
    parse_document,
    record_body,
)
from watchword.core.launch.store import LaunchStore
from watchword.core.records.database import Records
from watchword.core.sev.secret_packet import StoredPacket, packet_sha256

from .support import edit_rows

TIME = "2026-11-23T14:00:00Z"
ORDER = RecordedOrder(
    profile='name = "vm1"',
    profile_sha256="00" * 32,
    ask_host=True,
    certificate_files=(("chain", b"\0\1\2"),),
    trusted_roots=(b"root",),
    platform_waiver=None,
    policy_waiver=None,
    require_pinned=False,
)


class NoSeal:
    """A seal of no worth."""

    def seal(self, body):
        return "00" * 32


def make_record(launch_id="vm1-20261123-000001", **values):
    return LaunchRecord(
        **{
            "id": launch_id,
            "guest": "vm1",
            "technology": "sev",
            "simulated": True,
            "state": LaunchState.PREPARED,
            "host": "qmp+unix:///run/vm1.sock",
            "waits_for": "",
            "created": TIME,
            "changed": TIME,
            "vault_id": "ab" * 16,
            "order": ORDER,
            **values,
        }
    )


@pytest.fixture
def records(tmp_path):
    with Records.open(tmp_path) as records:
        yield records


@pytest.fixture
def store(records):
    return LaunchStore(records)


def fill(store, count=6):
    states = list(LaunchState)
    for number in range(count):
        record = make_record(
            f"vm{number % 2}-{number:04}",
            guest=f"vm{number % 2}",
            state=states[number % len(states)],
            created=f"2026-11-{number + 1:02}T14:00:00Z",
        )
        assert store.create(record, NoSeal())


# -- lists -----------------------------------------------------------------------------


def test_lists_have_the_newest_first_and_no_document(store):
    fill(store)
    found = store.list()
    assert [summary.id for summary in found] == [f"vm{n % 2}-{n:04}" for n in reversed(range(6))]
    assert found[0].host == "qmp+unix:///run/vm1.sock"
    assert store.list(limit=2) == found[:2]
    assert store.list(limit=0) == ()


def test_lists_are_filtered_by_guest_state_and_what_is_open(store):
    fill(store, 9)
    assert {summary.guest for summary in store.list(guest="vm1")} == {"vm1"}
    chosen = (LaunchState.PREPARED, LaunchState.RUNNING)
    assert {s.state for s in store.list(states=chosen)} == {"prepared", "running"}
    over = {LaunchState.RUNNING, LaunchState.STOPPED, LaunchState.ABANDONED}
    open_ones = store.list(only_open=True)
    assert {s.state for s in open_ones} == set(LaunchState) - over
    assert all(summary.is_open for summary in open_ones)
    assert [s.state for s in store.list(states=chosen, only_open=True)] == ["prepared"]


def test_an_id_that_is_taken_is_not_given_again(store):
    assert store.create(make_record(), NoSeal())
    assert not store.create(make_record(), NoSeal())


def test_a_launch_that_is_not_there_is_named(store):
    for work in (
        lambda: store.load("vm1-x"),
        lambda: store.save(make_record(), NoSeal()),
        lambda: store.owner("vm1-x"),
    ):
        with pytest.raises(BadInput) as error:
            work()
        assert error.value.code == "no-such-launch"


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a" * 65, "-a", "a b", "a\n"])
def test_what_can_be_no_id_is_refused_before_it_is_looked_for(store, name):
    with pytest.raises(UsageError) as error:
        store.load(name)
    assert error.value.code == "bad-launch-id"


# -- documents -------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was_saved(store):
    record = make_record(session=RecordedSession(b"g", b"b"), certificates={"pdh": b"\xff\0"})
    store.create(record, NoSeal())
    assert store.load(record.id).record == record
    changed = replace(record, state=LaunchState.SEALED, waits_for="the host's operator")
    store.save(changed, NoSeal())
    assert store.load(record.id).record == changed
    assert store.list()[0].waits_for == "the host's operator"


def document(**changes):
    """A sound document with parts of its record changed; a part that is None is left out."""
    value = json.loads(build_document(record_body(make_record()), "00" * 32))
    value["record"].update(changes)
    return value


DAMAGED = {
    "no JSON": b"{",
    "not UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "nothing": b"",
    "too deep": b"[" * 100_000,
    "a number": b"1e999",
    "other parts": b'{"format":1}',
    "no record": b'{"format":1,"record":[],"seal":""}',
    "half a surrogate": b'{"format":1,"record":{"id":"\\ud800"},"seal":""}',
    "a seal that is none": json.dumps({**document(), "seal": 7}).encode(),
    "a part too many": json.dumps({**document(), "more": 1}).encode(),
    "format 0": json.dumps({**document(), "format": 0}).encode(),
    "format true": json.dumps({**document(), "format": True}).encode(),
    "an unknown field": json.dumps(document(tik="00")).encode(),
    "another launch": json.dumps(document(id="vm2-20261123-000001")).encode(),
    "no such state": json.dumps(document(state="finished")).encode(),
    "text for truth": json.dumps(document(simulated="no")).encode(),
    "a number for text": json.dumps(document(host=7)).encode(),
    "no base64": json.dumps(document(session={"godh": "*", "blob": ""})).encode(),
    "bytes as numbers": json.dumps(document(session={"godh": [1], "blob": ""})).encode(),
    "an unknown role": json.dumps(document(certificates={"root": ""})).encode(),
    "a float": json.dumps(
        document(measured={"reported": "", "api_major": 1.5, "api_minor": 0, "build": 0})
    ).encode(),
    "a told mark": json.dumps(
        document(told={"answers": {}, "facts": {}, "marks": {"a": 1}})
    ).encode(),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_document_that_somebody_damaged_is_refused_in_words(data):
    with pytest.raises(BadInput) as error:
        parse_document(data, "vm1-20261123-000001")
    assert error.value.code == "launch-record-damaged"
    assert "vm1-20261123-000001" in error.value.field


def test_a_document_of_a_newer_version_is_refused_as_such():
    data = json.dumps({**document(), "format": 2}).encode()
    with pytest.raises(BadInput) as error:
        parse_document(data, "vm1-20261123-000001")
    assert error.value.code == "launch-record-newer"


def test_a_document_of_more_than_8_mib_is_not_even_read(store, records, tmp_path):
    store.create(make_record(), NoSeal())
    huge = b'{"format":1,"record":{},"seal":"' + b"x" * LARGEST_DOCUMENT + b'"}'
    edit_rows(tmp_path, ("update launches set document = ?", (huge,)))
    with pytest.raises(BadInput) as error:
        store.load(make_record().id)
    assert error.value.code == "launch-record-damaged"
    assert "8388608" in error.value.message
    assert len(store.list()) == 1


def test_a_record_that_would_be_too_large_is_not_written(store):
    files = (("chain", bytes(LARGEST_DOCUMENT)),)
    record = make_record(order=replace(ORDER, certificate_files=files))
    with pytest.raises(BadInput) as error:
        store.create(record, NoSeal())
    assert error.value.code == "launch-too-large"
    assert store.list() == ()


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_whatever_somebody_makes_of_a_document_is_refused_or_read_as_a_record(data):
    good = json.dumps(document()).encode()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 9)) :]
    assert read(bad) in ("vm1-20261123-000001", "launch-record-damaged", "launch-record-newer")


def read(document):
    """The id of the launch, or the error's code."""
    try:
        return parse_document(document, "vm1-20261123-000001").record.id
    except BadInput as error:
        return error.code


def test_a_name_of_a_file_that_is_no_unicode_does_not_keep_a_launch_from_being_recorded(store):
    files = (("\udcff.cert", b"\0"),)
    record = make_record(order=replace(ORDER, certificate_files=files))
    store.create(record, NoSeal())
    assert store.load(record.id).record.order.certificate_files[0][1] == b"\0"


# -- the one packet --------------------------------------------------------------------


def a_packet(fill=1):
    header, ciphertext = bytes(52), bytes([fill]) * 32
    name = hashlib.sha256(header + ciphertext).hexdigest()
    return StoredPacket.load(header, ciphertext, name)


def test_a_launch_has_one_packet_and_never_another(store):
    store.create(make_record(), NoSeal())
    first, second = a_packet(1), a_packet(2)
    store.store_packet(make_record().id, first, TIME)
    for packet in (first, second):
        with pytest.raises(UsageError) as error:
            store.store_packet(make_record().id, packet, TIME)
        assert error.value.code == "already-sealed"
    kept = store.packet(make_record().id, packet_sha256(first))
    assert (kept.header, kept.ciphertext) == (first.header, first.ciphertext)


def test_of_two_processes_only_one_stores_a_packet(store, tmp_path):
    store.create(make_record(), NoSeal())
    with Records.open(tmp_path, busy_seconds=0.1) as other:
        store.store_packet(make_record().id, a_packet(1), TIME)
        with pytest.raises(UsageError) as error:
            LaunchStore(other).store_packet(make_record().id, a_packet(2), TIME)
        assert error.value.code == "already-sealed"


def test_a_packet_is_not_changed_or_removed_by_accident(store, records):
    store.create(make_record(), NoSeal())
    store.store_packet(make_record().id, a_packet(), TIME)
    for statement in ("update packets set sealed = ''", "delete from packets"):
        with pytest.raises(sqlite3.IntegrityError), records.writing() as connection:
            connection.execute(statement)


@pytest.mark.parametrize(
    "change",
    [
        "header = x'00'",
        "ciphertext = x''",
        "ciphertext = x'00'",
        "ciphertext = zeroblob(32)",
        "ciphertext = zeroblob(20000)",
        "ciphertext = zeroblob(200000)",
    ],
)
def test_a_packet_that_somebody_changed_is_not_sent(store, tmp_path, change):
    store.create(make_record(), NoSeal())
    store.store_packet(make_record().id, a_packet(), TIME)
    edit_rows(tmp_path, (f"update packets set {change}", ()))
    with pytest.raises(BadInput) as error:
        store.packet(make_record().id, packet_sha256(a_packet()))
    assert error.value.code == "bad-packet"


def test_a_packet_that_is_gone_is_no_packet(store):
    store.create(make_record(), NoSeal())
    assert not store.has_packet(make_record().id)
    with pytest.raises(BadInput):
        store.packet(make_record().id, "00" * 32)


# -- nonces ----------------------------------------------------------------------------


def test_a_nonce_belongs_to_the_launch_that_claimed_it_first(store):
    store.check_nonce(bytes(16), "vm1-b")
    store.claim_nonce(bytes(16), "vm1-a", TIME)
    store.claim_nonce(bytes(16), "vm1-a", TIME)
    with pytest.raises(VerificationRefused) as error:
        store.claim_nonce(bytes(16), "vm1-b", TIME)
    assert error.value.code == "measurement-replayed"
    assert error.value.details == {"launch": "vm1-a"}
    store.claim_nonce(bytes(15) + b"\1", "vm1-b", TIME)
