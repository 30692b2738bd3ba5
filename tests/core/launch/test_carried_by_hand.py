# SPDX-License-Identifier: Apache-2.0
"""A recorded launch whose host is a folder: each turn in a process of its own."""

from __future__ import annotations

import asyncio

import pytest

from watchword.core.errors import AnswerPending, VerificationRefused
from watchword.core.hosts.exchange import ExchangeHost
from watchword.core.hosts.urls import ExchangeAddress
from watchword.core.launch.record import LaunchState
from watchword.core.launch.surroundings import connector
from watchword.core.simulator import SimulatedHost

from ..hosts.exchange_people import Operator
from .support import SECRET, outcome_of, state_of


class Carried:
    """The owner's side: each turn is a process of its own."""

    def __init__(self, office) -> None:
        self.office = office
        self.folder = office.home / "carried"
        self.launch_id = None

    async def run(self):
        """Take the launch on, and note its id."""
        with self.office.desk(connect=connector()) as desk:
            if self.launch_id is None:
                run = desk.new(self.office.order(host=f"exchange://{self.folder}"))
            else:
                run = desk.open(self.launch_id)
            self.launch_id = run.id
            return await run.run()

    async def waits_at(self, turn: int) -> None:
        with pytest.raises(AnswerPending) as waits:
            await self.run()
        assert waits.value.details["turn"] == turn
        with self.office.desk(connect=connector()) as desk:
            assert desk.list()[0].waits_for == waits.value.title

    async def up_to_measurement(self, operator: Operator) -> None:
        """The platform is known, the VM started, and the answer of turn 3 still to come."""
        await self.waits_at(1)
        operator.file("1", "qmp.txt").write_text(await operator.capabilities())
        address = ExchangeAddress(str(self.folder))
        assert ExchangeHost(address, self.launch_id).awaited_turn() is None
        await self.waits_at(3)
        await operator.start_vm()


def test_a_launch_that_is_carried_by_hand_waits_at_each_turn_and_is_confirmed(office, keys):
    carried = Carried(office)

    async def scenario():
        async with SimulatedHost(keys) as host:
            operator = Operator(host, carried.folder)
            await carried.up_to_measurement(operator)
            operator.file("3", "qmp.txt").write_text(await operator.send("2", "ask.qmp"))
            await carried.waits_at(5)
            await carried.waits_at(5)
            assert state_of(office, carried.launch_id) is LaunchState.HANDED_OVER
            predicate = outcome_of(office, carried.launch_id).predicate
            assert predicate.outcome == "handed-over-not-confirmed"
            await operator.send("4", "inject.qmp")
            operator.file("5", "qmp.txt").write_text(await operator.send("4", "run.qmp"))
            assert (await carried.run()).complete
            assert operator.machine.machine.memory.holds(SECRET)
            assert len(host.processor.packets) == 1

    asyncio.run(scenario())
    assert state_of(office, carried.launch_id) is LaunchState.RUNNING
    predicate = outcome_of(office, carried.launch_id).predicate
    assert predicate.outcome == "running"
    assert predicate.report is not None
    kinds = office.ledger_kinds(carried.launch_id)
    assert kinds.count("handed-over-not-confirmed") == 1
    assert kinds.count("packet-sealed") == 1


def test_an_answer_that_was_misdelivered_says_nothing_about_this_launch(office, keys):
    carried = Carried(office)

    async def scenario():
        async with SimulatedHost(keys) as host:
            operator = Operator(host, carried.folder)
            await carried.up_to_measurement(operator)
            answer = operator.file("3", "answer.txt")
            answer.write_text("launch: vm9-20260101-000000\nmeasurement: AAAA\n")
            before = state_of(office, carried.launch_id), office.ledger_kinds(carried.launch_id)
            with pytest.raises(VerificationRefused) as refused:
                await carried.run()
            assert refused.value.code == "reply-of-another-launch"
            after = state_of(office, carried.launch_id), office.ledger_kinds(carried.launch_id)
            assert after == before
            answer.unlink()
            operator.file("3", "qmp.txt").write_text(await operator.send("2", "ask.qmp"))
            await carried.waits_at(5)

    asyncio.run(scenario())


def test_a_packet_that_a_clone_refused_is_a_refusal_by_hand_too(office, keys):
    carried = Carried(office)

    async def scenario():
        async with SimulatedHost(keys) as host:
            operator = Operator(host, carried.folder)
            await carried.up_to_measurement(operator)
            operator.file("3", "qmp.txt").write_text(await operator.send("2", "ask.qmp"))
            await carried.waits_at(5)
            await operator.start_vm()
            refusal = await operator.send("4", "inject.qmp")
            operator.file("5", "qmp.txt").write_text(refusal)
            with pytest.raises(VerificationRefused) as refused:
                await carried.run()
            assert refused.value.code == "packet-refused"
            assert not operator.machine.machine.memory.holds(SECRET)

    asyncio.run(scenario())
    assert state_of(office, carried.launch_id) is LaunchState.REFUSED
