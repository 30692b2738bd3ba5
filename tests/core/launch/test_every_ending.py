# SPDX-License-Identifier: Apache-2.0
"""However a launch ends, what its owner signed of it holds together, and says no more than true."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from watchword.core.errors import HostError, VerificationRefused
from watchword.core.evidence.facts import HandedOver, LaunchEnd
from watchword.core.launch import recording
from watchword.core.launch.deny_list import DenyList
from watchword.core.launch.sev_steps import LAUNCH_STEPS

from .support import (
    SECRET,
    LosesTheAnswer,
    Stage,
    cek_of,
    outcome_of,
    prepared,
    state_of,
)
from .test_sending_again import known_bad, sealed

STEPS = [step.id for step in LAUNCH_STEPS]


class KilledError(Exception):
    """Stands for a process that ends at once."""


def die():
    raise KilledError


def die_at(point):
    def passed(name):
        if name == point:
            raise KilledError

    return passed


async def prepared_only(office, stage):
    return await prepared(office, stage)


async def verified(office, stage):
    """The measurement matched in an earlier process; nothing is sealed."""
    launch_id = await prepared(office, stage)
    with office.desk(stage) as desk:
        await desk.open(launch_id).run(until="measurement")
    return launch_id


async def stored(office, stage):
    """The process ended as soon as the packet was stored: nobody has seen it."""
    launch_id = await prepared(office, stage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "fault_point", die_at("packet-stored"))
        with office.desk(stage) as desk, pytest.raises(KilledError):
            await desk.open(launch_id).run()
    assert stage.packets == ()
    return launch_id


async def sent(office, stage):
    """The process ended as soon as the host had injected the packet."""
    launch_id = await prepared(office, stage)
    with office.desk(stage) as desk:
        run = desk.open(launch_id)
        run._recorder.handed_over = die
        with pytest.raises(KilledError):
            await run.run()
    assert stage.holds(SECRET)
    return launch_id


async def handed_over(office, stage):
    launch_id = await prepared(office, stage)
    with office.desk(stage) as desk:
        await desk.open(launch_id).run(until="secret")
    return launch_id


async def completed(office, stage):
    launch_id = await prepared(office, stage)
    with office.desk(stage) as desk:
        await desk.open(launch_id).run()
    return launch_id


NONE, MAYBE, YES = None, HandedOver.MAYBE, HandedOver.YES
BEFORE = {
    "prepared": (prepared_only, NONE),
    "verified": (verified, NONE),
    "stored": (stored, MAYBE),
    "sent": (sent, MAYBE),
    "unconfirmed": (sealed, MAYBE),
    "handed over": (handed_over, YES),
    "completed": (completed, YES),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("before", "released"), BEFORE.values(), ids=BEFORE)
def test_a_refusal_at_any_step_is_told_in_a_document_that_holds(
    office, keys, before, released, step
):
    async def refuse():
        raise VerificationRefused("made-up", "Title", "Message.", "Remedy.")

    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await before(office, stage)
            sealed_before = len(stage.packets)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                run._driver = run._begin()
                run._driver._work[step] = refuse
                with pytest.raises(VerificationRefused):
                    await run.run()
            return launch_id, YES if len(stage.packets) > sealed_before else released

    launch_id, went_out = asyncio.run(scenario())
    predicate = outcome_of(office, launch_id).predicate
    assert (predicate.outcome, predicate.error.code) == (LaunchEnd.REFUSED, "made-up")
    told = None if predicate.packet is None else predicate.packet.handed_over
    assert told == went_out
    assert predicate.matched == (before is not prepared_only or step in ("secret", "run"))


def test_a_denied_platform_after_sealing(office, keys):
    denied = {"deny_list": DenyList(ceks={cek_of(keys): ""})}
    predicate = refused_later(office, keys, sealed, "platform-denied", **denied)
    assert predicate.packet.handed_over is HandedOver.MAYBE
    assert predicate.platform.kind == "refused"


def test_firmware_that_became_known_as_bad_after_the_secret_was_sent(office, keys):
    predicate = refused_later(office, keys, sent, "firmware-known-bad", **known_bad(office))
    assert predicate.packet.handed_over is HandedOver.MAYBE


def test_a_packet_that_nobody_ever_saw_is_not_said_to_be_out(office, keys):
    predicate = refused_later(office, keys, stored, "firmware-known-bad", **known_bad(office))
    assert predicate.packet.handed_over is HandedOver.MAYBE


def refused_later(office, keys, before, code, **change):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await before(office, stage)
            with office.desk(stage, **change) as desk, pytest.raises(VerificationRefused) as error:
                await desk.open(launch_id).run()
            assert error.value.code == code
            return launch_id

    return outcome_of(office, asyncio.run(scenario())).predicate


def test_another_vm_after_sealing_is_told_with_the_measurement_that_matched(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await sent(office, stage)
            with office.desk(stage) as desk:
                measured = desk.show(launch_id).measured.value()
                material = desk.show(launch_id).session.material()
            await stage.start(material)
            with office.desk(stage) as desk, pytest.raises(VerificationRefused) as error:
                await desk.open(launch_id).run()
            assert error.value.code == "another-vm"
            return launch_id, measured

    launch_id, measured = asyncio.run(scenario())
    predicate = outcome_of(office, launch_id).predicate
    assert predicate.measurement.matched
    assert predicate.measurement.value == measured.measurement.hex()


def test_a_guest_that_runs_already_after_a_crash(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await sent(office, stage)
            host = await stage.connect("", launch_id)
            await host.resume()
            await host.close()
            with office.desk(stage) as desk:
                await desk.open(launch_id).run()
            return launch_id

    predicate = outcome_of(office, asyncio.run(scenario())).predicate
    assert predicate.outcome is LaunchEnd.RUNNING
    assert predicate.packet.handed_over is HandedOver.MAYBE


class SaysOlder:
    """A host that names an old firmware as soon as it has what it wants."""

    def __init__(self, host):
        self._host = host

    def __getattr__(self, name):
        return getattr(self._host, name)

    async def state(self):
        return replace(await self._host.state(), api_major=0, api_minor=1, build=1)


def test_the_version_that_is_told_is_the_one_that_the_measurement_vouches_for(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await sealed(office, stage)
            stage.wrap = SaysOlder
            with office.desk(stage) as desk:
                await desk.open(launch_id).run()
            return launch_id

    predicate = outcome_of(office, asyncio.run(scenario())).predicate
    assert predicate.outcome is LaunchEnd.RUNNING
    assert predicate.processor.api_major == 1


def test_nobody_knows_whether_it_was_handed_over(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            return await sealed(office, stage)

    predicate = outcome_of(office, asyncio.run(scenario())).predicate
    assert predicate.outcome is LaunchEnd.NOT_CONFIRMED
    assert predicate.packet.handed_over is HandedOver.MAYBE


@pytest.mark.parametrize("before", [prepared_only, verified, stored, sent, sealed, handed_over])
def test_what_was_signed_before_a_launch_was_abandoned_still_holds(office, keys, before):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await before(office, stage)
            other = office.firmware.read_bytes()
            stage.wrap = LosesTheAnswer
            await stage.start(shown(office, launch_id), other[:-1] + bytes([other[-1] ^ 1]))
            with office.desk(stage) as desk, pytest.raises((VerificationRefused, HostError)):
                await desk.open(launch_id).run()
            with office.desk(stage) as desk:
                desk.abandon(launch_id, "no use any more")
            return launch_id

    launch_id = asyncio.run(scenario())
    assert outcome_of(office, launch_id)
    assert state_of(office, launch_id) == "abandoned"


def shown(office, launch_id):
    with office.desk() as desk:
        return desk.show(launch_id).session.material()
