# SPDX-License-Identifier: Apache-2.0
"""Jobs that were given up, and people at a worker: nothing false is signed, no key stays."""

from __future__ import annotations

import asyncio

from watchword.core.workers.by_hand_guard import by_hand_guard
from watchword.core.workers.giving_up import give_up, sealing_of
from watchword.core.workers.lending import lend
from watchword.core.workers.signed_result import Sealed

from ..launch.support import NOW, Stage, open_vault
from ..launch.test_one_packet import killed_at
from .test_jobs_done import (  # noqa: F401 - fixtures
    _no_waiting_for_the_disk,
    keys,
    owner,
    rack,
    vault_of,
)


def test_a_packet_that_was_sealed_for_a_job_may_be_sent_again_by_hand(rack, keys):  # noqa: F811 - as pytest has it
    one = rack()

    async def scenario():
        async with Stage(keys) as stage:
            job = one.job(one.signed())
            with killed_at("packet-stored"):
                await one.launch(job, stage)
            by_hand = by_hand_guard(one.office.home)
            with one.office.desk(stage, before_sealing=by_hand) as desk:
                launch_id = desk.newest("vm1", job.job.host).id
                await desk.open(launch_id).run()
            assert one.store.claimed_by(job) == launch_id
            assert len({packet.packet_sha256 for packet in stage.packets}) == 1

    asyncio.run(scenario())


def test_never_is_not_signed_once_a_packet_is_there_though_the_job_was_given_up(rack, keys):  # noqa: F811 - as pytest has it
    one = rack()

    async def scenario():
        async with Stage(keys) as stage:
            signed = one.signed()
            job = one.job(signed)
            with killed_at("measurement-verified"):
                await one.launch(job, stage)
            one.store.give_up(job, None, NOW)  # and then it died, before the keys went
            with open_vault(one.office.home) as vault:
                lend(job, one.worker.key, vault, one.store)
            with one.office.desk(stage) as desk:  # with a program that asks nobody
                await desk.open(desk.newest("vm1", job.job.host).id).run()
            heard = one.heard(signed, await one.come_again(job, stage))
            assert heard.sealed is Sealed.SEALED
            assert heard.packet == stage.packets[0].packet_sha256
            assert not heard.closes

    asyncio.run(scenario())


def test_a_job_that_was_given_up_halfway_loses_its_keys_when_it_comes_again(rack, keys):  # noqa: F811 - as pytest has it
    one = rack()

    async def scenario():
        async with Stage(keys) as stage:
            signed = one.signed()
            job = one.job(signed)
            with killed_at("measurement-verified"):
                await one.launch(job, stage)
            one.store.give_up(job, None, NOW)  # and then it died, before the keys went
            assert any(name.endswith(("tek", "tik")) for name in vault_of(one))
            heard = one.heard(signed, await one.come_again(job, stage))
            assert heard.sealed is Sealed.NEVER
            assert stage.packets == ()

    asyncio.run(scenario())
    assert not any(name.endswith(("tek", "tik")) for name in vault_of(one))


def test_what_was_launched_for_other_turns_says_nothing_of_a_job_that_was_given_up(rack, keys):  # noqa: F811 - as pytest has it
    one = rack()

    async def scenario():
        async with Stage(keys) as stage, Stage(keys) as later:
            await one.launch(one.job(one.signed()), stage)
            second = one.job(one.signed(2))
            for _ in range(2):  # it may come twice
                with one.desk(stage) as desk:
                    give_up(second, desk, one.store, "no", NOW)
                    found = sealing_of(second, None, desk, one.store)
                    assert found == (Sealed.NEVER, None)
            await one.launch(one.job(one.signed(3)), later)
            with one.desk(later) as desk:
                give_up(second, desk, one.store, "no", NOW)
                assert sealing_of(second, None, desk, one.store) == (Sealed.NEVER, None)

    asyncio.run(scenario())


def test_giving_up_twice_leaves_the_launches_of_other_turns_alone(rack, keys):  # noqa: F811 - as above
    one = rack()

    async def scenario():
        async with Stage(keys) as stage:
            job, second = one.job(one.signed()), one.job(one.signed(2))
            with killed_at("measurement-verified"):
                await one.launch(job, stage)
            for _ in range(2):
                with one.desk(stage) as desk:
                    earlier = desk.newest("vm1", job.job.host).id
                    give_up(second, desk, one.store, "no", NOW)
                    assert not desk.checked(earlier).is_abandoned

    asyncio.run(scenario())
