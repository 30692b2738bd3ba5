# SPDX-License-Identifier: Apache-2.0
"""Domain events of a real libvirtd: each one told, and what happened while nobody listened."""

from __future__ import annotations

import asyncio

import pytest

from watchword.core.errors import HostError
from watchword.core.hosts.libvirt_domains import DomainState
from watchword.core.hosts.libvirt_events import DomainEvents, ListenTimes
from watchword.core.hosts.urls import parse_host_url

from .libvirt_domain import Domain, virshes

pytestmark = pytest.mark.slow

TIMES = ListenTimes(quiet=2, settled=0.5, between=0.05)
UUID = "3064b1c0-c005-40ff-8185-50046e924ec1"


async def _listening(domain: Domain, known=None) -> DomainEvents:
    address = parse_host_url(domain.daemon.url())
    return await DomainEvents.connect(address, known=known or {}, times=TIMES)


async def _until(events: DomainEvents, change: str, *, listed: bool) -> list[str]:
    """All that is told until there is this, by an event or by a listing."""
    found = []
    async with asyncio.timeout(30):
        while True:
            event = await anext(events)
            assert event.uuid in (UUID, None)
            found.append(event.change.value)
            if (event.change.value, event.listed) == (change, listed):
                return found


def test_a_domains_life_is_told_as_it_happens(domain: Domain) -> None:
    async def life() -> list[str]:
        async with await _listening(domain) as events:
            await _until(events, "defined", listed=True)
            await asyncio.to_thread(domain.define)
            await _until(events, "defined", listed=False)
            found = []
            for words, change in (
                (("start", "--paused", "vm1"), "suspended"),
                (("resume", "vm1"), "resumed"),
                (("suspend", "vm1"), "suspended"),
                (("destroy", "vm1"), "stopped"),
                (("undefine", "vm1"), "undefined"),
            ):
                await asyncio.to_thread(domain.virsh, *words)
                found += await _until(events, change, listed=False)
            assert not events.known
            return found

    told = asyncio.run(life())
    assert [one for one in told if one != "shutdown"] == [
        *("started", "suspended", "resumed", "suspended", "stopped", "undefined")
    ]
    assert not virshes(domain.daemon)


def test_what_happened_while_the_daemon_was_away_is_told_first(domain: Domain) -> None:
    async def known_before() -> dict:
        async with await _listening(domain) as events:
            await _until(events, "defined", listed=True)
            domain.daemon.kill()
            with pytest.raises(HostError) as caught:
                await _until(events, "stopped", listed=False)
            assert caught.value.code in ("libvirt-unreachable", "libvirt-connection-lost")
            return dict(events.known)

    async def afterwards(known: dict) -> tuple[list[str], DomainState]:
        async with await _listening(domain, known) as events:
            found = await _until(events, "suspended", listed=True)
            return found, events.known[UUID].state

    known = asyncio.run(known_before())
    domain.daemon.start()
    domain.virsh("start", "--paused", "vm1")
    assert asyncio.run(afterwards(known)) == (["suspended"], DomainState.PAUSED)
    domain.virsh("destroy", "vm1")
    assert not virshes(domain.daemon)
