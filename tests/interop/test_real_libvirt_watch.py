# SPDX-License-Identifier: Apache-2.0
"""A watch over a real libvirtd: defined, answered, started paused, verified, and let run."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from watchword.core.handover.domain_xml import NAMESPACE
from watchword.core.handover.watched_domain import read_watched
from watchword.core.hosts.libvirt_events import ListenTimes
from watchword.core.launch.desk import LaunchDesk
from watchword.core.launch.surroundings import connector
from watchword.core.records.database import Records
from watchword.core.watch.libvirt_source import LibvirtSource
from watchword.core.watch.platforms import Platform, WithPlatforms
from watchword.core.watch.rules import WatchRules
from watchword.core.watch.settings_values import domains_of
from watchword.core.watch.watch import Pace, Watch

from ..core.launch.support import amd_like_roots, make_profile, open_vault
from .libvirt_domain import Domain, virshes

pytestmark = pytest.mark.slow

TIMES = ListenTimes(quiet=1, settled=0.3, between=0.05)
PACE = Pace(tick=0.1, retry=0.5, grace=5)
SECONDS = 30


class Watched:
    """A domain whose guest ``web`` is watched; ``events`` is all that the watch tells."""

    def __init__(self, domain: Domain, **limits: object) -> None:
        self.domain = domain
        office = domain.office
        office.roots = amd_like_roots(office.keys)
        watch = {"instances_at_most": 1, "first_firmware": "allow", **limits}
        pin = hashlib.sha256(office.keys.cek[:0x414]).hexdigest()
        self.profile = make_profile(office.firmware, name="web", ceks=[pin], watch=watch)
        self.events: list[dict] = []
        self.patterns = [("vm*", "web")]

    def run(self, story) -> None:
        """Run a watch for as long as the story goes; nothing is left of it."""
        try:
            asyncio.run(asyncio.wait_for(self._run(story), SECONDS))
        except TimeoutError:
            pytest.fail(f"it came no further than {self.events}")
        assert not virshes(self.domain.daemon)

    async def _run(self, story) -> None:
        office, url = self.domain.office, self.domain.daemon.url()
        surroundings = office.surroundings(connect=connector(), lock_seconds=0)
        rules = WatchRules(guests={"web": self.profile}, hosts=(domains_of(url),))
        with (
            Records.open(office.home) as records,
            open_vault(office.home) as vault,
            LaunchDesk(records, vault, surroundings) as desk,
        ):
            watch = Watch(desk, records, surroundings, rules, self.events.append, pace=PACE)
            source = LibvirtSource(
                url, self.patterns, self.events.append, times=TIMES, retry_seconds=0.5
            )
            # A simulated machine's CEK is not to be had from AMD: the owner has its chain.
            chain = Platform(domains_of(url), (("export", office.keys.full_chain),))
            stop = asyncio.Event()
            sources = [WithPlatforms(source, lambda: [chain])]
            running = asyncio.create_task(watch.run(sources, stop))
            try:
                await story()
            finally:
                stop.set()
                await running

    async def until(self, event: str, times: int = 1, **values: object) -> None:
        # The run has a limit of its own.
        while sum(_is(one, event, values) for one in self.events) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def virsh(self, *words: str) -> str:
        return await asyncio.to_thread(self.domain.virsh, *words)

    async def until_prepared(self) -> None:
        words = ("dumpxml", "vm1", "--inactive", "--security-info")
        while not read_watched(await self.virsh(*words)).prepared:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.1)


def _is(event: dict, name: str, values: dict) -> bool:
    return event["event"] == name and all(event.get(key) == one for key, one in values.items())


def test_a_domain_is_defined_gets_its_blob_starts_paused_and_has_its_secret(
    domain: Domain,
) -> None:
    watched = Watched(domain)

    async def story() -> None:
        await watched.until_prepared()
        await watched.virsh("start", "--paused", "vm1")
        await watched.until("launched", guest="web")
        assert domain.has_the_secret
        assert (await watched.virsh("domstate", "vm1")).strip() == "running"

    packets = len(domain.machine.processor.packets)
    watched.run(story)
    assert len(domain.machine.processor.packets) == packets + 1


def test_a_domain_whose_metadata_name_its_guest_is_served_as_well(domain: Domain) -> None:
    watched = Watched(domain)
    watched.patterns = []
    own = (
        f"<metadata><watchword:watchword xmlns:watchword='{NAMESPACE}'>"
        "<watchword:guest>web</watchword:guest></watchword:watchword></metadata>"
    )

    async def story() -> None:
        await watched.until("started")
        await asyncio.to_thread(domain.define, ("<memory", f"{own}<memory"))
        await watched.until_prepared()
        await watched.virsh("start", "--paused", "vm1")
        await watched.until("launched", guest="web")

    watched.run(story)
    assert domain.has_the_secret
    assert [one["event"] for one in watched.events].count("asked") == 1


def test_a_vm_that_ended_makes_room_for_the_next_start(domain: Domain) -> None:
    watched = Watched(domain)

    async def story() -> None:
        for number in (1, 2):
            await watched.until_prepared()
            await watched.virsh("start", "--paused", "vm1")
            await watched.until("launched", number)
            await watched.virsh("destroy", "vm1")
            await watched.until("gone", number)
            await asyncio.to_thread(domain.define)  # without a blob: ask for the next one

    watched.run(story)
    answered = [one["launch"] for one in watched.events if one["event"] == "answered"]
    assert len(set(answered)) == len(answered) >= 2


def test_a_second_vm_from_the_same_blob_is_refused_and_gets_nothing(domain: Domain) -> None:
    watched = Watched(domain)

    async def story() -> None:
        await watched.until_prepared()
        await watched.virsh("start", "--paused", "vm1")
        await watched.until("launched")
        await watched.virsh("destroy", "vm1")
        await watched.until("gone")
        await watched.virsh("start", "--paused", "vm1")  # its XML has the old blob
        await watched.until("refused", about="paused")
        assert (await watched.virsh("domstate", "vm1")).strip() == "paused"
        assert not domain.has_the_secret

    packets = len(domain.machine.processor.packets)
    watched.run(story)
    assert len(domain.machine.processor.packets) == packets + 1


def test_a_changed_vm_is_refused_and_stays_paused(domain: Domain) -> None:
    watched = Watched(domain)

    async def story() -> None:
        await watched.until_prepared()
        loader = domain.daemon.folder / "OVMF.fd"
        data = bytearray(loader.read_bytes())
        data[100] ^= 1
        loader.write_bytes(data)
        await watched.virsh("start", "--paused", "vm1")
        await watched.until("refused", code="measurement-mismatch")
        assert (await watched.virsh("domstate", "vm1")).strip() == "paused"

    packets = len(domain.machine.processor.packets)
    watched.run(story)
    assert len(domain.machine.processor.packets) == packets
    assert not domain.has_the_secret


def test_the_daemon_goes_away_and_comes_back(domain: Domain) -> None:
    watched = Watched(domain)

    async def story() -> None:
        await watched.until_prepared()
        domain.daemon.kill()
        await watched.until("source-failed")
        await asyncio.to_thread(domain.daemon.start)
        await watched.virsh("start", "--paused", "vm1")
        await watched.until("launched")

    watched.run(story)
    assert domain.has_the_secret
