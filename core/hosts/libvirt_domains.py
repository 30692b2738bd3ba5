# SPDX-License-Identifier: Apache-2.0
"""What a libvirt daemon has domains for, what happens to them, and how a listing tells it.

Pure functions over virsh's words, all of them the host's: each is a hint, and proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from .protocol import GuestRow

NAME_CHARACTERS: Final = 255
_LONGEST_DETAIL: Final = 80


class DomainState(StrEnum):
    """Where a domain is; one that is neither running nor paused has no vCPUs to speak of."""

    SHUT_OFF = "shut-off"
    PAUSED = "paused"
    RUNNING = "running"


class DomainChange(StrEnum):
    """What happened to a domain. Source: libvirt, virDomainEventType."""

    DEFINED = "defined"
    UNDEFINED = "undefined"
    STARTED = "started"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    STOPPED = "stopped"
    SHUTDOWN = "shutdown"
    PM_SUSPENDED = "pmsuspended"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class DomainRow:
    """A domain of a listing; ``name`` is the host's word, 255 characters at most."""

    uuid: str
    name: str
    state: DomainState


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Something happened to a domain.

    ``uuid``    None where the domain came and went between two listings
    ``name``    the host's word, 255 characters at most
    ``detail``  libvirt's reason, such as ``Booted``; empty where it was seen in a listing
    ``listed``  whether a listing told it, and no event: it may have happened a while ago
    """

    change: DomainChange
    uuid: str | None
    name: str
    detail: str = ""
    listed: bool = False


_LINE: Final = re.compile(
    r"event 'lifecycle' for domain '(?P<name>.{1,255})': (?P<change>[A-Za-z]{1,20})"
    r"(?: (?P<detail>[A-Za-z][A-Za-z /()-]*))?"
)
_LEADS_TO: Final[Mapping[DomainChange, DomainState]] = MappingProxyType(
    {
        DomainChange.STARTED: DomainState.RUNNING,
        DomainChange.RESUMED: DomainState.RUNNING,
        DomainChange.SUSPENDED: DomainState.PAUSED,
        DomainChange.STOPPED: DomainState.SHUT_OFF,
        DomainChange.CRASHED: DomainState.SHUT_OFF,
    }
)


def read_event(line: str) -> DomainEvent | None:
    """An event as ``virsh event`` prints it; None for a line that it never prints.

    It names no UUID.
    """
    match = _LINE.fullmatch(line)
    if match is None or match["change"].lower() not in DomainChange.__members__.values():
        return None
    detail = (match["detail"] or "")[:_LONGEST_DETAIL]
    return DomainEvent(DomainChange(match["change"].lower()), None, match["name"].strip(), detail)


def domain_rows(
    running: Iterable[GuestRow], paused: Iterable[GuestRow], every: Iterable[GuestRow]
) -> dict[str, DomainRow]:
    """Three listings, one after the other, as one; the later one counts, where it tells more."""
    rows = {row.uuid: DomainRow(row.uuid, row.name, DomainState.SHUT_OFF) for row in every}
    for listed, state in ((running, DomainState.RUNNING), (paused, DomainState.PAUSED)):
        for row in listed:
            if row.uuid in rows:
                rows[row.uuid] = DomainRow(row.uuid, row.name, state)
    return rows


def what_happened(
    before: Mapping[str, DomainRow],
    told: Sequence[DomainEvent],
    after: Mapping[str, DomainRow],
) -> tuple[DomainEvent, ...]:
    """The events that were told, with UUIDs, and what else has changed between two listings.

    Nothing that a listing shows is left out. Something may be said twice: an event that was
    told between a listing and its end.
    """
    uuids = {row.name: row.uuid for row in (*before.values(), *after.values())}
    events = [
        DomainEvent(one.change, uuids.get(one.name), one.name, one.detail, one.listed)
        for one in told
    ]
    states: dict[str, DomainState | None] = {uuid: row.state for uuid, row in before.items()}
    for event in events:
        if event.uuid is not None:
            states[event.uuid] = _state_after(event.change, states.get(event.uuid))
    return (*events, *_unsaid(states, before, after))


def _state_after(change: DomainChange, state: DomainState | None) -> DomainState | None:
    """Where an event leaves a domain; None: there is none any more."""
    if change is DomainChange.UNDEFINED:
        # One that runs on is only gone when it stops.
        return state if state in (DomainState.RUNNING, DomainState.PAUSED) else None
    if change is DomainChange.DEFINED and state is None:
        return DomainState.SHUT_OFF
    return _LEADS_TO.get(change, state)


def _unsaid(
    states: Mapping[str, DomainState | None],
    before: Mapping[str, DomainRow],
    after: Mapping[str, DomainRow],
) -> Iterator[DomainEvent]:
    for uuid, row in after.items():
        state = states.get(uuid)
        if state is not row.state:
            yield DomainEvent(_change(state, row.state), uuid, row.name, listed=True)
    for uuid, row in before.items():
        if uuid not in after and states.get(uuid) is not None:
            yield DomainEvent(DomainChange.UNDEFINED, uuid, row.name, listed=True)


def _change(old: DomainState | None, new: DomainState) -> DomainChange:
    if new is DomainState.PAUSED:
        return DomainChange.SUSPENDED
    if new is DomainState.RUNNING:
        return DomainChange.RESUMED if old is DomainState.PAUSED else DomainChange.STARTED
    return DomainChange.DEFINED if old is None else DomainChange.STOPPED
