# SPDX-License-Identifier: Apache-2.0
"""A stored packet goes out again only where it would still be sealed today, and keys are gone."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from watchword.core.amd.advisories import published_advisories
from watchword.core.errors import BadInput, HostError, VaultError, VerificationRefused
from watchword.core.launch.deny_list import DenyList
from watchword.core.launch.record import LaunchState
from watchword.core.records.database import Records
from watchword.core.sev.advisories import Advisory

from .support import (
    SECRET,
    LosesTheAnswer,
    Stage,
    cek_of,
    prepared,
)


async def sealed(office, stage, **order):
    """A launch whose packet went out once; nobody knows what became of it."""
    launch_id = await prepared(office, stage, **order)
    stage.wrap = LosesTheAnswer
    with office.desk(stage) as desk, pytest.raises(HostError):
        await desk.open(launch_id).run()
    stage.wrap = lambda host: host
    return launch_id


def refused_the_second_time(office, keys, code, change, **order):
    """Seal, change the world, and see the same bytes stay where they are."""

    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await sealed(office, stage, **order)
            with office.desk(stage, **change(office)) as desk:
                with pytest.raises(VerificationRefused) as error:
                    await desk.open(launch_id).run()
                assert error.value.code == code
            assert len(stage.packets) == 1

    asyncio.run(scenario())


def known_bad(office):
    entry = Advisory(
        "A new one",
        "2026-11-22",
        "this firmware is broken",
        "nowhere",
        api_major=1,
        api_minor=55,
        first_good_build=200,
    )
    known = published_advisories()
    return {"advisories": replace(known, entries=(*known.entries, entry))}


def test_not_to_firmware_that_became_known_as_broken(office, keys):
    refused_the_second_time(office, keys, "firmware-known-bad", known_bad)


def test_not_to_a_platform_that_was_denied_since(office, keys):
    def denied(_):
        return {"deny_list": DenyList(ceks={cek_of(keys): ""})}

    refused_the_second_time(office, keys, "platform-denied", denied)


def test_not_a_real_secret_to_a_platform_that_only_a_waiver_lets_pass_today(amd_like, keys):
    def root_gone(office):
        return {"roots": ()}

    refused_the_second_time(
        amd_like,
        keys,
        "platform-not-proven",
        root_gone,
        accept_platform=cek_of(keys),
        platform_waiver="lab machine",
    )


def test_no_second_packet_is_made_whatever_the_host_answers(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await sealed(office, stage)
            for _ in range(3):
                stage.wrap = LosesTheAnswer
                with office.desk(stage) as desk, pytest.raises(HostError):
                    await desk.open(launch_id).run()
            assert len(stage.packets) == 4
            assert len({packet.packet_sha256 for packet in stage.packets}) == 1

    asyncio.run(scenario())


def test_where_the_packet_can_not_take_the_place_of_the_keys_nothing_is_sent(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                with pytest.MonkeyPatch.context() as patch:

                    def busy(*arguments, **options):
                        raise VaultError("vault-busy", "Busy", "The vault is in use.", "Wait.")

                    patch.setattr(desk._archive.vault, "exchange", busy)
                    with pytest.raises(VaultError):
                        await run.run()
                    with pytest.raises(VaultError):
                        await run.run()
                assert stage.packets == ()
                assert f"launch/{launch_id}/tik" in office.vault_entries()
                await run.run()
                assert run.record.state is LaunchState.RUNNING
            assert stage.holds(SECRET)
            assert not [name for name in office.vault_entries() if name.startswith("launch/")]

    asyncio.run(scenario())


def test_a_commit_whose_success_was_not_heard_of_counts(office, keys, monkeypatch):
    """The disk took the packet, and the answer was an error: that one packet is the one."""

    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                monkeypatch.setattr(Records, "writing", unheard_of_once(Records.writing))
                with pytest.raises(BadInput):
                    await run.run()
                assert stage.packets == ()
                assert (await run.run()).complete
            assert stage.holds(SECRET)
            with Records.open(office.home) as records, records.reading() as connection:
                (count,) = connection.execute("select count(*) from packets").fetchone()
            assert count == 1

    asyncio.run(scenario())


def unheard_of_once(writing):
    """The first transaction that stores a packet comes through, and is said to have failed."""
    told = []

    @contextlib.contextmanager
    def lying(records, *, lasting=True):
        nested = records._connection.in_transaction
        with writing(records, lasting=lasting) as connection:
            yield connection
        query = "select count(*) from packets"
        if not nested and not told and records._connection.execute(query).fetchone()[0]:
            told.append(True)
            raise BadInput("records-not-written", "the records", "The disk said no.", "…")

    return lying
