# SPDX-License-Identifier: Apache-2.0
"""Who may refuse the sealing is asked after everything was verified and before a secret is read."""

from __future__ import annotations

import asyncio

import pytest

from watchword.core.errors import AnswerPending, VerificationRefused
from watchword.core.launch.record import LaunchState
from watchword.core.sev.measurement import ReportedMeasurement

from .support import SECRET, Stage, prepared, refused, state_of
from .test_one_packet import killed_at


class Guard:
    """Remembers what it was asked, and says what it is told to say."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def __call__(self, intent):
        self.asked.append(intent)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer


PENDING = AnswerPending("guard-out-of-reach", "T", "M", "R")
REFUSED = VerificationRefused("sealed-elsewhere", "T", "M", "R")


async def taken_on(office, stage, launch_id, guard):
    with office.desk(stage, before_sealing=guard) as desk:
        return await desk.open(launch_id).run()


def test_the_guard_is_asked_once_with_what_was_verified(office, keys):
    async def scenario():
        guard = Guard()
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            assert (await taken_on(office, stage, launch_id, guard)).complete
            (intent,) = guard.asked
            assert (intent.launch_id, intent.guest) == (launch_id, "vm1")
            assert intent.host == office.profile.host
            with office.desk(stage) as desk:
                assert intent.measurement == desk.show(launch_id).measured.reported
            ReportedMeasurement.parse(intent.measurement)
            assert stage.holds(SECRET)

    asyncio.run(scenario())


@pytest.mark.parametrize("no", [PENDING, REFUSED])
def test_whoever_says_no_is_obeyed_and_nothing_was_read(office, keys, monkeypatch, no):
    async def scenario():
        guard = Guard(no)
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with monkeypatch.context() as patch:
                patch.setattr("watchword.core.launch.sev_steps.prepare_secrets", unread)
                with pytest.raises(type(no)) as caught:
                    await taken_on(office, stage, launch_id, guard)
            assert caught.value.code == no.code
            assert stage.packets == ()
            assert not stage.holds(SECRET)
            # Nothing is lost: asked again, it may say yes.
            assert (await taken_on(office, stage, launch_id, guard)).complete
            assert len(stage.packets) == 1

    asyncio.run(scenario())


def unread(*values):
    raise AssertionError("a secret was about to be read")


def test_a_launch_that_waits_for_the_guard_is_no_refused_one(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with pytest.raises(AnswerPending):
                await taken_on(office, stage, launch_id, Guard(PENDING))
            assert state_of(office, launch_id) is LaunchState.VERIFIED
            with pytest.raises(VerificationRefused):
                await taken_on(office, stage, launch_id, Guard(REFUSED))
            assert state_of(office, launch_id) is LaunchState.REFUSED

    asyncio.run(scenario())


def test_after_a_crash_between_yes_and_sealing_it_is_asked_again(office, keys):
    async def scenario():
        guard = Guard()
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with killed_at("sealing-allowed"):
                await taken_on(office, stage, launch_id, guard)
            assert stage.packets == ()
            assert (await taken_on(office, stage, launch_id, guard)).complete
            assert [one.launch_id for one in guard.asked] == [launch_id] * 2
            assert len(stage.packets) == 1

    asyncio.run(scenario())


def test_the_same_packet_is_sent_again_without_asking(office, keys):
    async def scenario():
        guard = Guard(None, REFUSED)
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with killed_at("packet-stored"):
                await taken_on(office, stage, launch_id, guard)
            assert (await taken_on(office, stage, launch_id, guard)).complete
            assert len(guard.asked) == 1
            assert len(stage.packets) == 1

    asyncio.run(scenario())


def test_a_measurement_that_does_not_match_never_gets_to_the_guard(office, keys):
    guard = Guard()
    surroundings = office.surroundings
    office.surroundings = lambda stage=None, **more: surroundings(
        stage, before_sealing=guard, **more
    )
    other = office.firmware.read_bytes()
    other = bytes([other[0] ^ 1]) + other[1:]
    refused(office, keys, code="measurement-mismatch", firmware=other)
    assert guard.asked == []
