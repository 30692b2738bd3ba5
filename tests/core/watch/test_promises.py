# SPDX-License-Identifier: Apache-2.0
"""What a watch knows from the ledger: it reads on, forgets nothing, and trusts no damaged one."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest

from watchword.core.errors import BadInput, VerificationRefused
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.simulator import PlatformKeys
from watchword.core.watch.events import Asked, Refusal
from watchword.core.watch.promises import Promises, request_content, request_key
from watchword.core.watch.watch_errors import not_for_watch, too_many_starts

from ..launch.support import Clock, edit_rows
from .engine_support import WatchOffice, asked, run

REQUEST = Asked(source="test", request="r1", guest="vm1")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def records(tmp_path):
    with Records.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def ledger(records, clock):
    return Ledger(records, clock)


@pytest.fixture
def promises(ledger, clock):
    return Promises(ledger, clock, lambda: clock().timestamp())


def test_a_promise_is_found_by_request_and_by_launch_in_any_process(promises, ledger, clock):
    assert promises.find(request_key(REQUEST)) is None
    promises.promise(REQUEST, "launch-1", "content")
    for known in (promises, Promises(ledger, clock)):
        assert known.find(request_key(REQUEST)).launch_id == "launch-1"
        assert known.of_launch("launch-1").content == "content"
        assert known.starts_in_last_hour("vm1") == 1
        assert known.starts_in_last_hour("vm2") == 0


def test_a_second_promise_takes_no_first_one_s_place(promises):
    promises.promise(REQUEST, "launch-1", "content")
    promises.promise(REQUEST, "launch-2", "content")
    assert promises.find(request_key(REQUEST)).launch_id == "launch-1"


def test_starts_that_lie_in_the_future_by_a_clock_that_was_set_back_count(promises, clock):
    promises.promise(REQUEST, "launch-1", "content")
    clock.time -= timedelta(hours=5)
    assert promises.starts_in_last_hour("vm1") == 1


def test_after_an_hour_starts_count_no_more(promises, ledger, clock):
    promises.promise(REQUEST, "launch-1", "content")
    clock.time += timedelta(minutes=59)
    assert [one.starts_in_last_hour("vm1") for one in (promises, Promises(ledger, clock))] == [1, 1]
    clock.time += timedelta(minutes=2)
    assert [one.starts_in_last_hour("vm1") for one in (promises, Promises(ledger, clock))] == [0, 0]


@pytest.mark.parametrize("hours", [5, -5])
def test_a_clock_that_is_set_opens_no_limit_while_a_watch_runs(ledger, clock, hours):
    up = [1000.0]
    promises = Promises(ledger, clock, lambda: up[0])
    promises.promise(REQUEST, "launch-1", "content")
    assert promises.starts_in_last_hour("vm1") == 1
    clock.time += timedelta(hours=hours)
    up[0] += 3000
    assert promises.starts_in_last_hour("vm1") == 1
    clock.time -= timedelta(hours=hours)
    assert promises.starts_in_last_hour("vm1") == 1
    up[0] += 700
    assert promises.starts_in_last_hour("vm1") == 0


def test_what_another_process_appends_in_between_counts_once(promises, ledger, monkeypatch):
    other = Asked(source="test", request="r2", guest="vm1")
    real = ledger.last_sequence

    def last_sequence():
        found = real()
        if found and promises._index.of_launch("launch-2") is None:
            promises.promise(other, "launch-2", "content")
        return found

    promises.promise(REQUEST, "launch-1", "content")
    monkeypatch.setattr(ledger, "last_sequence", last_sequence)
    assert promises.starts_in_last_hour("vm1") == 2
    assert promises.starts_in_last_hour("vm1") == 2


def test_what_there_was_no_room_for_is_heard_of_once_there_is(promises, monkeypatch):
    for number in range(4):
        request = Asked(source="test", request=f"r{number}", guest="vm1")
        promises.promise(request, f"launch-{number}", "content")
    real, calls = promises._index.add, []

    def add(*words):
        calls.append(words)
        if len(calls) == 3:
            raise BadInput("records-not-written", "the index", "No room.", "Make room.")
        real(*words)

    monkeypatch.setattr(promises._index, "add", add)
    with pytest.raises(BadInput):
        promises.starts_in_last_hour("vm1")
    assert promises.starts_in_last_hour("vm1") == 4
    assert promises.find(request_key(request)).launch_id == "launch-3"


def test_every_part_of_a_request_counts():
    def content(**values):
        asked_for = Asked(**{"source": "s", "request": "r", "guest": "g", **values})
        return request_content(asked_for, asked_for.host)

    variants = [
        {},
        {"guest": "h"},
        {"host": "qmp+unix:///x"},
        {"firmware_sha256": "ab" * 32},
        {"certificates": (("a", b"x"),)},
        {"certificates": (("a", b"xy"),)},
        {"certificates": (("a", b"x"), ("b", b"y"))},
    ]
    assert len({content(**values) for values in variants}) == len(variants)
    assert content(request="other", source="other") == content()


def test_the_same_refusal_is_recorded_once_an_hour(promises, ledger, clock):
    error = too_many_starts("vm1", 1)
    about = {"guest": "vm1", "host": None, "source": "test"}
    told = [promises.note_refusal(EntryKind.WATCH_REFUSED, error, about) for _ in "123"]
    assert told == [True, False, False]
    again = Promises(ledger, clock, lambda: clock().timestamp())
    assert not again.note_refusal(EntryKind.WATCH_REFUSED, error, about)
    assert again.note_refusal(EntryKind.WATCH_REFUSED, error, {**about, "guest": "vm2"})
    assert again.note_refusal(EntryKind.WATCH_REFUSED, not_for_watch("x"), about)
    clock.time += timedelta(hours=2)
    assert again.note_refusal(EntryKind.WATCH_REFUSED, error, about)


def sealed(ledger, firmware, **values):
    ledger.append(EntryKind.PACKET_SEALED, "launch-1", {"firmware_sha256": firmware}, **values)


def test_refusals_of_a_launch_are_counted_without_reading_the_ledger_again(
    promises, ledger, monkeypatch
):
    for launch in ("launch-1", "launch-2", "launch-1"):
        ledger.append(EntryKind.LAUNCH_REFUSED, launch, {"error": "x"})
    ledger.append(EntryKind.PLATFORM_REFUSED, "launch-1", {"error": "x"})
    assert promises.times_refused("launch-1") == 3
    monkeypatch.setattr(ledger, "entries", lambda **_: pytest.fail("the ledger was read"))
    assert promises.times_refused("launch-1") == 3
    assert promises.times_refused("launch-3") == 0


def test_firmware_counts_as_verified_only_where_it_is_known_which_one_it_was(promises, ledger):
    sealed(ledger, ["aa", "bb"])
    sealed(ledger, ["cc"], simulated=True)
    sealed(ledger, "dd")
    kind = EntryKind.MEASUREMENT_VERIFIED
    ledger.append(kind, "launch-1", {"firmware_sha256": ["ee"]})
    assert not any(promises.has_verified(one) for one in ("aa", "bb", "cc", "dd", "d", "ee"))
    sealed(ledger, ["ff"])
    assert promises.has_verified("ff")
    assert promises.matched_firmware("launch-1") == ("ee",)


def test_with_a_damaged_ledger_nothing_is_given_away(tmp_path):
    keys = PlatformKeys.generate(2048)
    office = WatchOffice(tmp_path, keys)

    async def scenario():
        with office.watch() as watch:
            await watch.take(asked(keys))
        change = (
            "update ledger set record = cast(replace(cast(record as text), 'test', 'tset') as blob)"
            " where sequence = 2"
        )
        edit_rows(office.home, (change, ()))
        with contextlib.suppress(VerificationRefused), office.watch() as watch:
            replies.append(await watch.take(asked(keys, "r2")))

    replies = []
    run(scenario)
    assert len(office.states()) == 1
    assert isinstance(replies[0], Refusal)
    assert replies[0].error.code == "ledger-broken"
