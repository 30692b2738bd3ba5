# SPDX-License-Identifier: Apache-2.0
"""Launches with firmware that a host could turn against its guest: refused, or waived loudly."""

from __future__ import annotations

import asyncio

import pytest

from watchword.core.errors import VerificationRefused
from watchword.core.launch.sev_steps import is_waived
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records

from ..sev import firmware_maker as make
from .support import ENTRY, SECRET, Stage, make_profile, outcome_of, prepared

REASON = "this one VM must be moved off"
WEAK = {"policy": "nodbg,noks,sev,min-api=0.16"}


@pytest.fixture
def prompting(office):
    """The owner's firmware has a GRUB that asks at the console."""
    data = make.image(make.new_loader(), make.grub(make.PROMPTING))
    office.firmware.write_bytes(data)
    office.profile = make_profile(office.firmware)
    return data


def launched(office, keys, firmware, **order):
    """A launch from beginning to end, prepared by one process and completed by another."""

    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage, firmware=firmware, **order)
            with office.desk(stage) as desk:
                launch = await desk.open(launch_id).run()
            assert stage.holds(SECRET)
            return launch_id, launch

    return asyncio.run(scenario())


def refusal(office, keys, **order):
    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk, pytest.raises(VerificationRefused) as caught:
                desk.new(office.order(**order))
            assert (stage.connections, stage.packets) == (0, ())
        return caught.value

    return asyncio.run(scenario())


def test_a_prompting_grub_is_refused_before_anything_is_asked_or_recorded(office, keys, prompting):
    error = refusal(office, keys)
    assert (error.code, error.details["findings"]) == ("firmware-refused", ["grub-prompts"])
    with office.desk() as desk:
        assert desk.list() == ()


def test_a_kernel_is_not_measured_for_firmware_that_goes_on_with_another_one(
    office, keys, tmp_path
):
    office.firmware.write_bytes(make.image(make.old_loader(), make.grub(make.SILENT)))
    (tmp_path / "vmlinuz").write_bytes(b"a kernel")
    office.profile = make_profile(office.firmware, kernel=[{"path": str(tmp_path / "vmlinuz")}])
    error = refusal(office, keys)
    assert error.details["findings"] == ["hash-mismatch-falls-through"]
    office.profile = make_profile(office.firmware)
    launched(office, keys, office.firmware.read_bytes())


def test_a_waiver_stands_in_the_record_in_the_ledger_and_in_the_evidence(office, keys, prompting):
    launch_id, launch = launched(office, keys, prompting, firmware_waiver=REASON)
    assert is_waived(launch)
    assert launch.waivers == {"guest": f"firmware: {REASON}"}
    record = launch.facts["guest"].record
    assert record["waivers"] == {"firmware": REASON}
    assert any("a disk of its own" in warning for warning in record["warnings"])
    predicate = outcome_of(office, launch_id).predicate
    assert predicate.waivers == {"firmware": REASON}
    assert any("a disk of its own" in warning for warning in predicate.warnings)
    with Records.open(office.home) as records:
        bodies = [entry.body for entry in Ledger(records).entries(launch_id=launch_id)]
    told = [body["waivers"] for body in bodies if "waivers" in body]
    assert {"guest": f"firmware: {REASON}"} in told


def test_firmware_and_policy_are_waived_each_for_its_own_reason(office, keys, prompting):
    office.profile = make_profile(office.firmware, **WEAK)
    assert refusal(office, keys, firmware_waiver=REASON).code == "policy-refused"
    assert refusal(office, keys, policy_waiver="old host").code == "firmware-refused"
    waived = {"policy": "old host", "firmware": REASON}

    async def scenario():
        async with Stage(keys) as stage:
            order = {f"{what}_waiver": reason for what, reason in waived.items()}
            with office.desk(stage) as desk:
                return await desk.new(office.order(**order)).run(until="session")

    launch = asyncio.run(scenario())
    assert launch.waivers == {"guest": f"policy: old host; firmware: {REASON}"}
    assert launch.facts["guest"].record["waivers"] == waived


def test_a_waiver_that_nothing_needs_is_not_told(office, keys):
    _, launch = launched(office, keys, None, firmware_waiver=REASON)
    assert not is_waived(launch)


def test_a_launch_without_its_waiver_is_not_taken_up_once_its_firmware_is_a_no_go(
    office, keys, prompting, monkeypatch
):
    async def scenario():
        async with Stage(keys) as stage:
            with monkeypatch.context() as blind:
                blind.setattr("watchword.core.guest.firmware_findings._seen_in", lambda file: None)
                launch_id = await prepared(office, stage, firmware=prompting)
            with office.desk(stage) as desk, pytest.raises(VerificationRefused) as caught:
                await desk.open(launch_id).run()
            assert caught.value.code == "firmware-refused"
            assert stage.packets == ()
            assert ENTRY in office.vault_entries()

    asyncio.run(scenario())


@pytest.mark.parametrize("now", ["gone", "another"])
def test_a_waiver_stays_told_after_the_image_that_it_was_for(office, keys, prompting, now):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage, firmware=prompting, firmware_waiver=REASON)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run(until="secret")
            office.firmware.unlink()
            if now == "another":
                office.firmware.write_bytes(make.image(make.new_loader(), make.grub(make.SILENT)))
            with office.desk(stage) as desk:
                return launch_id, await desk.open(launch_id).run()

    launch_id, launch = asyncio.run(scenario())
    assert is_waived(launch)
    assert outcome_of(office, launch_id).predicate.waivers == {"firmware": REASON}


def test_a_sealed_launch_is_not_judged_by_the_image_that_came_after_its_own(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run(until="secret")
            office.firmware.write_bytes(make.image(make.new_loader(), make.grub(make.PROMPTING)))
            with office.desk(stage) as desk:
                await desk.open(launch_id).run()
            assert stage.holds(SECRET)

    asyncio.run(scenario())
