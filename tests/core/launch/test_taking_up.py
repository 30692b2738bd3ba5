# SPDX-License-Identifier: Apache-2.0
"""Launches that are taken up again: after any step, and where another VM answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from watchword.core.errors import BadInput, VerificationRefused
from watchword.core.hosts.protocol import SevState
from watchword.core.launch.record import LaunchState
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records

from .support import (
    ENTRY,
    SECRET,
    Stage,
    amd_like_roots,
    open_vault,
    outcome_of,
    prepared,
)

STEPS = ("guest", "platform", "session", "start", "measurement", "secret", "run")


# -- after each step ------------------------------------------------------------------


@pytest.mark.parametrize("last", STEPS)
def test_a_launch_goes_on_in_another_process_after_any_step(office, keys, last):
    async def scenario():
        async with Stage(keys) as stage:
            started = False
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                for step in STEPS[: STEPS.index(last) + 1]:
                    if step == "start":
                        await stage.start(run.material)
                        started = True
                    await run.run(until=step)
            packets = len(stage.packets)
            with office.desk(stage) as desk:
                run = desk.open(run.id)
                if not started:
                    await run.run(until="session")
                    await stage.start(run.material)
                assert (await run.run()).complete
                assert run.record.state is LaunchState.RUNNING
            assert stage.holds(SECRET)
            assert len({packet.packet_sha256 for packet in stage.packets}) == 1
            # The secret step was over: the VM waits for no secret any more, or gets the same.
            assert len(stage.packets) == packets + (last != "run")

    asyncio.run(scenario())


def test_what_is_restored_is_the_very_session_and_no_new_one(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage, start=False)
            blobs = set()
            for _ in range(3):
                with office.desk(stage) as desk:
                    run = desk.open(launch_id)
                    await run.run(until="session")
                    blobs.add(run.material.blob.build())
            assert len(blobs) == 1

    asyncio.run(scenario())


def test_a_running_launch_that_is_taken_up_is_confirmed_anew_and_nothing_is_sent(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run()
            with office.desk(stage) as desk:
                launch = await desk.open(launch_id).run()
                assert "runs already" in str(launch.facts["secret"].record["injected"])
                assert "confirmed" in str(launch.facts["run"].record["running"])
            assert len(stage.packets) == 1
            return launch_id

    assert office.ledger_kinds(asyncio.run(scenario()))[-1] == "report-verified"


def test_secrets_that_left_the_vault_after_sealing_are_not_missed(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run(until="secret")
            with open_vault(office.home) as vault:
                vault.remove(ENTRY)
            with office.desk(stage) as desk:
                assert (await desk.open(launch_id).run()).complete

    asyncio.run(scenario())


def test_a_firmware_file_that_changed_since_is_loud(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            data = office.firmware.read_bytes()
            office.firmware.write_bytes(data[:-1] + b"x")
            with office.desk(stage) as desk, pytest.raises(BadInput) as error:
                desk.open(launch_id)
            assert error.value.code == "approved-file-changed"
            assert f"launch abandon {launch_id}" in error.value.remedy
            office.firmware.write_bytes(data)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run()
            assert stage.holds(SECRET)

    asyncio.run(scenario())


def test_what_became_known_against_a_platform_meanwhile_counts(office, keys):
    """The chain is judged with today's roots: without this one it does not hold any more."""

    async def scenario():
        async with Stage(keys) as stage:
            office.roots = amd_like_roots(keys)
            launch_id = await prepared(office, stage, accept_platform=None)
            office.roots = ()
            with office.desk(stage) as desk, pytest.raises(VerificationRefused) as error:
                await desk.open(launch_id).run()
            assert error.value.code == "chain-refused"
            assert stage.packets == ()

    asyncio.run(scenario())


def test_a_firmware_file_that_changed_after_sealing_is_no_news_about_what_runs(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run(until="secret")
            office.firmware.write_bytes(b"a newer firmware" * 4096)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                assert (await run.run()).complete
                (warning,) = run.launch.facts["guest"].record["warnings"][-1:]
            assert "FILES ARE NOT USED" in warning
            assert str(office.firmware) in warning
            return launch_id

    launch_id = asyncio.run(scenario())
    predicate = outcome_of(office, launch_id).predicate
    assert predicate.outcome == "running"
    assert predicate.contents.launch_digest == predicate.approved.launch_digests[0]
    with Records.open(office.home) as records:
        (entry,) = Ledger(records).entries(kinds=[EntryKind.LAUNCH_RUNNING])
    assert entry.body["firmware_sha256"] == [office.profile.firmware[0].sha256]


# -- another VM -----------------------------------------------------------------------


def test_a_vm_that_was_started_anew_after_sealing_gets_nothing(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                await run.run(until="secret")
                material = run.material
            await stage.start(material)
            with office.desk(stage) as desk, pytest.raises(VerificationRefused) as error:
                await desk.open(launch_id).run()
            assert error.value.code == "another-vm"
            assert len(stage.packets) == 1
            assert not stage.holds(SECRET)
            del stage.servers[-1]  # the first one is back
            with office.desk(stage) as desk:
                assert (await desk.open(launch_id).run()).complete

    asyncio.run(scenario())


def test_an_answer_of_another_launch_is_named(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            first = await prepared(office, stage)
            second = await prepared(office, stage)
            del stage.servers[-1]  # what is shown now is the first one's VM
            with office.desk(stage) as desk, pytest.raises(VerificationRefused) as error:
                await desk.open(second).run()
            assert error.value.code == "measurement-of-another-launch"
            assert error.value.details["launch"] == first
            assert first in error.value.message
            assert stage.packets == ()
            # The VM repeats its nonce for ever: that it was shown for another launch is no harm.
            with office.desk(stage) as desk:
                assert (await desk.open(first).run()).complete
            assert stage.holds(SECRET)
            stage.wrap = AlwaysPaused
            with office.desk(stage) as desk, pytest.raises(VerificationRefused) as error:
                await desk.open(second).run()
            assert error.value.code == "measurement-replayed"
            assert error.value.details["launch"] == first

    asyncio.run(scenario())


def test_a_measurement_of_an_earlier_launch_is_a_replay(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            first = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(first).run()
            second = await prepared(office, stage)
            stage.servers.pop()
            stage.wrap = AlwaysPaused
            with office.desk(stage) as desk, pytest.raises(VerificationRefused) as error:
                await desk.open(second).run()
            assert error.value.code == "measurement-replayed"
            assert error.value.details["launch"] == first

    asyncio.run(scenario())


class AlwaysPaused:
    """A host that says that its VM waits for a secret."""

    def __init__(self, host):
        self._host = host

    def __getattr__(self, name):
        return getattr(self._host, name)

    async def state(self):
        return replace(await self._host.state(), state=SevState.LAUNCH_SECRET, running=False)
