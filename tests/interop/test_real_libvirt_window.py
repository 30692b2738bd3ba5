# SPDX-License-Identifier: Apache-2.0
"""What the window asks of a real libvirtd: its domain's XML, a start on request, and no other."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from watchword.core.launch.domain_comparison import compare_domain
from watchword.core.launch.domain_draft import draft_from_host
from watchword.core.launch.surroundings import connector
from watchword.gui.wizard.recorded_run import NO_VM, RecordedRun

from .libvirt_domain import Domain, asked

pytestmark = pytest.mark.slow


def test_the_xml_that_libvirt_prints_makes_a_draft(domain: Domain) -> None:
    found = asked(domain.url, draft_from_host)
    assert found.firmware == str(domain.daemon.folder / "OVMF.fd")
    assert (found.vcpus, found.cpu) == (1, "qemu64")
    assert any("no launchSecurity" in note for note in found.notes)
    assert not any("left out" in note for note in found.notes)


@contextlib.asynccontextmanager
async def at_work(domain: Domain, launch_id: str):
    """The wizard's run of a prepared launch, as it looks for its VM."""
    with domain.desk() as desk:
        run = RecordedRun(desk, connector(), lambda launch: None)

        async def take_up(desk, observe):
            return desk.open(launch_id, observe)

        await run.begin(take_up)
        taking = asyncio.create_task(run.run("measurement"))
        try:
            yield run, taking
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            run.close()


def waits(run: RecordedRun) -> bool:
    mark = run.launch.marks.get("start")
    return mark is not None and mark.reason.get("code") == NO_VM


async def until(condition, taking: asyncio.Task[object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            if taking.done():
                await taking
            await asyncio.sleep(0.05)


def test_the_wizard_starts_the_domain_when_it_is_told_to_and_once(domain: Domain) -> None:
    launch_id = domain.prepare()
    before = len(domain.machine.guests)

    async def scenario() -> None:
        async with at_work(domain, launch_id) as (run, taking):
            await until(lambda: waits(run), taking)
            await asyncio.sleep(1)  # some of its looks
            assert domain.virsh("domstate", "vm1").strip() == "shut off"
            assert run.can_be_started
            run.start_for_me()
            await asyncio.wait_for(taking, 60)
            assert "measurement" in run.launch.facts

    asyncio.run(scenario())
    assert domain.virsh("domstate", "vm1").strip() == "paused"
    assert len(domain.machine.guests) == before + 1


def test_the_comparison_tells_what_the_start_mends_and_nothing_after_it(domain: Domain) -> None:
    launch_id = domain.prepare()

    def compared():
        with domain.desk() as desk, desk.open(launch_id) as run:
            order, record = run.start_order, run.record
        return asked(domain.url, lambda host: compare_domain(host, record, order))

    before = compared()
    assert [one.where for one in before.that_a_start_mends] == ["launchSecurity"]
    stay = {one.where for one in before.that_stay}
    domain.take_on(launch_id, "measurement")
    after = compared()
    assert after.that_a_start_mends == ()
    assert {one.where for one in after.differences} == stay
