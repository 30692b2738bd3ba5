# SPDX-License-Identifier: Apache-2.0
"""Hosts that are down, wait for somebody, or lose an answer."""

from __future__ import annotations

import asyncio

import pytest

from watchword.core.errors import (
    AnswerPending,
    HostError,
)
from watchword.core.launch.engine import StepState
from watchword.core.launch.record import LaunchState

from .support import (
    ENTRY,
    SECRET,
    LosesTheAnswer,
    Stage,
    outcome_of,
    prepared,
    state_of,
)


def test_a_host_that_is_down_costs_nothing_and_the_launch_is_tried_again(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)

            def down():
                raise HostError("host-unreachable", "Down", "It is down.", "Wait.")

            stage.before_connecting = down
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                with pytest.raises(HostError):
                    await run.run()
                assert run.record.state is LaunchState.PREPARED
                stage.before_connecting = lambda: None
                await run.run()
            assert stage.holds(SECRET)

    asyncio.run(scenario())


def test_waiting_for_somebody_is_recorded_and_keeps_everything(office, keys):
    def nobody_there():
        raise AnswerPending("waiting-for-platform", "Waiting for it", "The operator …", "Wait.")

    async def scenario():
        async with Stage(keys) as stage:
            stage.before_connecting = nobody_there
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                with pytest.raises(AnswerPending):
                    await run.run(until="session")
            with office.desk() as desk:
                assert desk.list()[0].waits_for == "Waiting for it"
                record = desk.show(run.id)
                assert record.launch().status("platform").state is StepState.WAITING
            stage.before_connecting = lambda: None
            with office.desk(stage) as desk:
                again = desk.open(run.id)
                await again.run(until="session")
                assert desk.list()[0].waits_for == ""
                await stage.start(again.material)
                await again.run()
            assert stage.holds(SECRET)

    asyncio.run(scenario())


def test_a_vm_that_runs_already_is_not_sealed_for(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            stage.machine.resume()
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                with pytest.raises(HostError) as error:
                    await run.run()
                assert error.value.code == "guest-state-forbids"
                assert run.record.packet is None
            assert f"launch/{launch_id}/tik" in office.vault_entries()

    asyncio.run(scenario())


def test_a_packet_of_which_nobody_knows_is_told_so_and_the_same_bytes_go_out_again(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            stage.wrap = LosesTheAnswer
            with office.desk(stage) as desk, pytest.raises(HostError):
                await desk.open(launch_id).run()
            assert state_of(office, launch_id) is LaunchState.SEALED
            document = outcome_of(office, launch_id).predicate
            assert document.outcome == "handed-over-not-confirmed"
            assert [secret.entry for secret in document.secrets] == [ENTRY]
            with office.desk(stage) as desk, pytest.raises(HostError):
                await desk.open(launch_id).run()
            stage.wrap = lambda host: host
            with office.desk(stage) as desk:
                assert (await desk.open(launch_id).run()).complete
            assert len({packet.packet_sha256 for packet in stage.packets}) == 1
            assert len(stage.packets) == 3
            assert stage.holds(SECRET)
            return launch_id

    kinds = office.ledger_kinds(asyncio.run(scenario()))
    assert kinds.count("handed-over-not-confirmed") == 1
    assert kinds[-2:] == ["launch-running", "evidence-made"]
