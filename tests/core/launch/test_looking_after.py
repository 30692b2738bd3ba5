# SPDX-License-Identifier: Apache-2.0
"""Guests that run are looked at and stopped; launches are given up."""

from __future__ import annotations

import asyncio

import pytest

from watchword.core.errors import (
    HostError,
    UsageError,
    VerificationRefused,
)
from watchword.core.launch.deny_list import DenyList
from watchword.core.launch.record import LaunchState
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records

from .support import (
    LosesTheAnswer,
    Stage,
    cek_of,
    prepared,
)


@pytest.fixture
def running(office, keys):
    """Runs ``act(stage, desk, launch_id)`` with a launch whose guest runs."""

    def play(act):
        async def scenario():
            async with Stage(keys) as stage:
                launch_id = await prepared(office, stage)
                with office.desk(stage) as desk:
                    run = desk.open(launch_id)
                    await run.run()
                    run.close()
                with office.desk(stage) as desk:
                    await act(stage, desk, launch_id)

        asyncio.run(scenario())

    return play


def test_the_status_of_a_running_guest_is_a_fresh_report(office, running):
    nonces = []

    async def act(stage, desk, launch_id):
        for _ in range(2):
            status = await desk.status(launch_id)
            assert status.confirmed
            assert status.recomputed
            assert status.state.running
            assert status.as_json()["launch_digest"]
            nonces.append(status.confirmation.nonce)
        assert office.ledger_kinds(launch_id)[-2:] == ["report-verified"] * 2

    running(act)
    assert nonces[0] != nonces[1]


def test_a_status_after_an_update_of_the_firmwares_file_compares_with_what_was_recorded(
    office, running
):
    async def act(stage, desk, launch_id):
        office.firmware.write_bytes(b"a newer firmware" * 4096)
        status = await desk.status(launch_id)
        assert status.confirmed
        assert not status.recomputed

    running(act)


def test_a_report_about_another_guest_is_refused_and_recorded(office, keys, running):
    async def act(stage, desk, launch_id):
        other = office.firmware.read_bytes()
        material = desk.show(launch_id).session.material()
        (await stage.start(material, bytes([other[0] ^ 1]) + other[1:])).resume()
        with pytest.raises(VerificationRefused) as error:
            await desk.status(launch_id)
        assert error.value.code == "report-digest"
        assert office.ledger_kinds(launch_id)[-1] == "report-refused"

    running(act)


def test_a_guest_is_stopped_and_its_status_says_so(office, running):
    async def act(stage, desk, launch_id):
        await desk.stop(launch_id)
        assert stage.machine.run_state == "paused"
        assert desk.show(launch_id).state is LaunchState.STOPPED
        status = await desk.status(launch_id)
        assert not status.state.running
        assert not status.confirmed
        assert status.note
        assert office.ledger_kinds(launch_id)[-1] == "guest-stopped"

    running(act)


def test_the_guest_of_a_platform_that_is_denied_today_has_no_status_and_is_stopped(office, keys):
    denied = DenyList(ceks={cek_of(keys): "glitched"})

    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run()
            with office.desk(stage, deny_list=denied) as desk:
                with pytest.raises(VerificationRefused) as error:
                    await desk.status(launch_id)
                assert error.value.code == "platform-denied"
                await desk.stop(launch_id)
            assert stage.machine.run_state == "paused"
            return launch_id

    kinds = office.ledger_kinds(asyncio.run(scenario()))
    assert kinds[-2:] == ["report-refused", "guest-stopped"]


def test_a_launch_without_a_blob_has_no_guest_to_look_at(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                run.close()
                for act in (desk.status, desk.stop):
                    with pytest.raises(UsageError) as error:
                        await act(run.id)
                    assert error.value.code == "launch-not-started"

    asyncio.run(scenario())


def test_an_abandoned_launch_has_no_keys_and_is_not_taken_up_again(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                desk.abandon(launch_id, "the host was reinstalled")
                with pytest.raises(UsageError) as error:
                    desk.open(launch_id)
                assert error.value.code == "launch-abandoned"
            assert stage.packets == ()
            return launch_id

    launch_id = asyncio.run(scenario())
    assert office.ledger_kinds(launch_id)[-1] == "launch-abandoned"
    assert not [name for name in office.vault_entries() if name.startswith("launch/")]
    assert not any(summary.is_open for summary in _list(office))


def _list(office):
    with office.desk() as desk:
        return desk.list()


def test_the_waivers_of_a_launch_stand_in_every_later_entry_about_it(office, keys):
    waived = {"trusted_roots": (), "platform_waiver": "lab machine"}

    async def scenario():
        async with Stage(keys) as stage:
            first = await prepared(office, stage, **waived)
            with office.desk(stage) as desk:
                await desk.open(first).run()
            with office.desk(stage) as desk:
                await desk.status(first)
                await desk.stop(first)
            second = await prepared(office, stage, **waived)
            with office.desk(stage) as desk:
                desk.abandon(second, "the host was reinstalled")

    asyncio.run(scenario())
    with Records.open(office.home) as records:
        later = ("report-verified", "guest-stopped", "launch-abandoned")
        bodies = [entry.body for entry in Ledger(records).entries() if entry.kind.value in later]
    assert [body["waivers"] for body in bodies] == [{"platform": "lab machine"}] * 3


def test_a_sealed_packet_of_an_abandoned_launch_is_never_sent_again(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            stage.wrap = LosesTheAnswer
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                with pytest.raises(HostError):
                    await run.run()
                run.close()
                desk.abandon(launch_id, "enough")
                with pytest.raises(UsageError):
                    desk.open(launch_id)
            assert len(stage.packets) == 1

    asyncio.run(scenario())


def test_a_launch_that_runs_is_stopped_and_not_abandoned(running):
    async def act(stage, desk, launch_id):
        with pytest.raises(UsageError) as error:
            desk.abandon(launch_id, "no more of it")
        assert error.value.code == "launch-running"

    running(act)


@pytest.mark.parametrize("reason", ["", "  ", "a\nb", "x" * 501])
def test_giving_up_takes_a_reason_in_words(office, keys, reason):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage, start=False)
            with office.desk(stage) as desk, pytest.raises(UsageError) as error:
                desk.abandon(launch_id, reason)
            assert error.value.code == "bad-reason"

    asyncio.run(scenario())


def test_a_closed_run_is_not_driven_any_further(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                run.close()
                with pytest.raises(UsageError) as error:
                    await run.run()
                assert error.value.code == "launch-closed"

    asyncio.run(scenario())
