# SPDX-License-Identifier: Apache-2.0
"""Launches that are carried by hand, and what each trouble on the way leaves of them."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from watchword.core.errors import AnswerPending, HostError, WatchwordError
from watchword.core.launch.record import LaunchState
from watchword.core.simulator import SimulatedHost

from ..hosts.exchange_people import Operator
from .support import SECRET, state_of
from .test_carried_by_hand import Carried


@pytest.fixture
def play(office, keys):
    """``play(scenario)`` with a launch that waits for its measurement; it ends with the secret."""

    def play(scenario):
        async def main():
            async with SimulatedHost(keys) as host:
                carried = Carried(office)
                carried.folder = office.home / "usb" / "vm1"
                carried.folder.parent.mkdir()
                operator = Operator(host, carried.folder)
                await carried.up_to_measurement(operator)
                await scenario(carried, operator)
                await to_the_end(carried, operator)
                assert len({packet.packet_sha256 for packet in host.processor.packets}) == 1

        asyncio.run(main())

    return play


async def to_the_end(carried, operator):
    operator.file("3", "qmp.txt").write_text(await operator.send("2", "ask.qmp"))
    with pytest.raises(AnswerPending):
        await carried.run()
    await operator.send("4", "inject.qmp")
    operator.file("5", "qmp.txt").write_text(await operator.send("4", "run.qmp"))
    assert (await carried.run()).complete
    assert operator.machine.machine.memory.holds(SECRET)


async def fails(carried, code, kind=HostError):
    with pytest.raises(kind) as caught:
        await carried.run()
    assert isinstance(caught.value, WatchwordError)
    assert (caught.value.code, bool(caught.value.remedy)) == (code, True)
    assert state_of(carried.office, carried.launch_id) is LaunchState.PREPARED


def test_a_stick_that_is_not_in_is_waited_for(play):
    async def scenario(carried, operator):
        stick = carried.folder.parent
        away = stick.rename(stick.with_name("away"))
        await fails(carried, "exchange-folder-missing")
        assert not stick.exists()
        away.rename(stick)

    play(scenario)


def test_another_launchs_stick_is_named(play):
    async def scenario(carried, operator):
        mark = carried.folder / "LAUNCH"
        before = mark.read_bytes()
        mark.write_text("launch: vm9-20260101-000000\n")
        with pytest.raises(WatchwordError) as caught:
            await carried.run()
        assert caught.value.code in ("exchange-folder-taken", "reply-of-another-launch")
        mark.write_bytes(before)

    play(scenario)


def test_a_folder_in_which_nothing_can_be_read_costs_nothing(play):
    async def scenario(carried, operator):
        turn = carried.folder / "3-measurement-from-host"
        away = turn.with_name("away")
        turn.rename(away)
        turn.write_text("no folder")
        await fails(carried, "exchange-odd-file")
        turn.unlink()
        away.rename(turn)

    play(scenario)


def test_an_answer_that_was_copied_by_half_is_noticed(play):
    async def scenario(carried, operator):
        whole = await operator.send("2", "ask.qmp")
        answer, sums = operator.file("3", "qmp.txt"), operator.file("3", "SHA256SUMS")
        digest = hashlib.sha256(whole.encode()).hexdigest()
        sums.write_text(f"{digest}  qmp.txt\n")
        answer.write_text(whole[: len(whole) // 2])
        await fails(carried, "exchange-copying-error")
        sums.unlink()
        answer.write_text(whole.rstrip()[:-2])
        await fails(carried, "exchange-reply-unusable")
        answer.unlink()

    play(scenario)


def test_an_operator_who_does_not_answer_is_waited_for(play):
    async def scenario(carried, operator):
        for _ in range(2):
            await carried.waits_at(3)
        assert state_of(carried.office, carried.launch_id) is LaunchState.PREPARED

    play(scenario)


def test_a_second_launch_finds_the_folder_taken(play):
    async def scenario(carried, operator):
        second = Carried(carried.office)
        second.folder = carried.folder
        with pytest.raises(WatchwordError) as caught:
            await second.run()
        assert caught.value.code in ("exchange-folder-taken", "reply-of-another-launch")
        assert caught.value.remedy
        with pytest.raises(AnswerPending):
            await carried.run()

    play(scenario)


def test_a_host_that_was_rebooted_starts_the_vm_from_the_same_files(play):
    async def scenario(carried, operator):
        await operator.machine.stop()
        await carried.waits_at(3)
        await operator.start_vm()

    play(scenario)
