# SPDX-License-Identifier: Apache-2.0
"""Lines of ``virsh event`` read strictly, and what two listings say has happened in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.hosts.libvirt_domains import (
    DomainChange,
    DomainEvent,
    DomainRow,
    DomainState,
    domain_rows,
    read_event,
    what_happened,
)
from watchword.core.hosts.protocol import GuestRow

UUIDS = [f"3064b1c0-c005-40ff-8185-50046e924e{number:02x}" for number in range(4)]
OFF, PAUSED, RUNNING = DomainState.SHUT_OFF, DomainState.PAUSED, DomainState.RUNNING


def rows(**states):
    """Domains ``a`` to ``d``, in the states that are named."""
    return {
        uuid: DomainRow(uuid, name, states[name])
        for uuid, name in zip(UUIDS, "abcd", strict=True)
        if name in states
    }


def changes(events):
    return [(event.change.value, event.name, event.listed) for event in events]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("event 'lifecycle' for domain 'vm1': Defined Added", ("defined", "vm1", "Added")),
        ("event 'lifecycle' for domain 'vm1': Started Booted", ("started", "vm1", "Booted")),
        ("event 'lifecycle' for domain 'a': PMSuspended Disk", ("pmsuspended", "a", "Disk")),
        (
            "event 'lifecycle' for domain 'x': Shutdown Finished after host request",
            ("shutdown", "x", "Finished after host request"),
        ),
        (
            "event 'lifecycle' for domain 'a': Stopped ': Started Booted",
            ("started", "a': Stopped ", "Booted"),
        ),
    ],
)
def test_an_event_is_read_as_virsh_prints_it(line, expected):
    event = read_event(line)
    assert (event.change.value, event.name, event.detail) == (
        expected[0],
        expected[1].strip(),
        expected[2],
    )
    assert event.uuid is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "events received: 10",
        "event 'reboot' for domain 'vm1'",
        "event 'lifecycle' for domain 'vm1': Vanished",
        "event 'lifecycle' for domain '': Started Booted",
        f"event 'lifecycle' for domain '{'x' * 300}': Started Booted",
        "event 'lifecycle' for domain 'vm1': Started \x1b[31mBooted",
        " event 'lifecycle' for domain 'vm1': Started Booted",
        "event 'lifecycle' for domain 'vm1': Started Booted\r",
    ],
)
def test_any_other_line_is_no_event(line):
    assert read_event(line) is None


@given(st.text(max_size=400))
def test_whatever_a_host_prints_is_an_event_of_bounded_words_or_none(text):
    for line in (text, f"event 'lifecycle' for domain '{text}': Started {text}"):
        event = read_event(line)
        assert event is None or (len(event.name) <= 255 and len(event.detail) <= 80)


def test_three_listings_are_one():
    every = [GuestRow(uuid, name) for uuid, name in zip(UUIDS, "abc", strict=False)]
    stranger = GuestRow(UUIDS[3], "d")
    found = domain_rows([every[0], stranger], [every[1]], every)
    assert found == rows(a=RUNNING, b=PAUSED, c=OFF)


def test_the_first_listing_tells_every_domain():
    events = what_happened({}, [], rows(a=OFF, b=PAUSED, c=RUNNING))
    assert changes(events) == [
        ("defined", "a", True),
        ("suspended", "b", True),
        ("started", "c", True),
    ]
    assert [event.uuid for event in events] == UUIDS[:3]


def test_what_nobody_told_is_seen_in_the_listing():
    before = rows(a=OFF, b=PAUSED, c=RUNNING, d=OFF)
    events = what_happened(before, [], rows(a=PAUSED, b=RUNNING, c=OFF))
    assert changes(events) == [
        ("suspended", "a", True),
        ("resumed", "b", True),
        ("stopped", "c", True),
        ("undefined", "d", True),
    ]


def test_what_was_told_is_not_said_again_and_gets_its_uuid():
    told = [
        DomainEvent(DomainChange.STARTED, None, "a", "Booted"),
        DomainEvent(DomainChange.SUSPENDED, None, "a", "Paused"),
        DomainEvent(DomainChange.UNDEFINED, None, "b", "Removed"),
        DomainEvent(DomainChange.DEFINED, None, "c", "Added"),
    ]
    events = what_happened(rows(a=OFF, b=OFF), told, rows(a=PAUSED, c=OFF))
    assert [event.uuid for event in events] == [UUIDS[0], UUIDS[0], UUIDS[1], UUIDS[2]]
    assert not any(event.listed for event in events)


def test_a_domain_that_came_and_went_has_no_uuid():
    told = [
        DomainEvent(DomainChange.DEFINED, None, "a"),
        DomainEvent(DomainChange.STOPPED, None, "a"),
    ]
    assert [event.uuid for event in what_happened({}, told, {})] == [None, None]


def test_a_running_domain_that_is_undefined_is_gone_only_when_it_stops():
    told = [DomainEvent(DomainChange.UNDEFINED, None, "a", "Removed")]
    assert changes(what_happened(rows(a=RUNNING), told, rows(a=RUNNING))) == [
        ("undefined", "a", False)
    ]
    assert changes(what_happened(rows(a=RUNNING), told, {}))[-1] == ("undefined", "a", True)


ENDS_A_PAUSE = (
    DomainChange.STARTED,
    DomainChange.RESUMED,
    DomainChange.STOPPED,
    DomainChange.CRASHED,
)
STATES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(DomainState))
TOLD = st.lists(
    st.builds(DomainEvent, st.sampled_from(DomainChange), st.none(), st.sampled_from("abcd")),
    max_size=6,
)


@given(STATES, TOLD, STATES)
def test_who_follows_the_events_knows_every_paused_domain(before, told, after):
    """Whatever is told in between, and however wrong: the end is that of the listing."""
    followed = {name for name, state in before.items() if state is PAUSED}
    for event in what_happened(rows(**before), told, rows(**after)):
        if event.change is DomainChange.SUSPENDED:
            followed.add(event.name)
        elif event.listed or event.change in ENDS_A_PAUSE:
            followed.discard(event.name)
    paused = {name for name, state in after.items() if state is PAUSED}
    assert followed >= paused
