# SPDX-License-Identifier: Apache-2.0
"""The steps of a launch fit a host that answers by hand: they wait at three turns, and go on."""

from __future__ import annotations

import asyncio
import os

import pytest

from watchword.core.amd.advisories import published_advisories
from watchword.core.amd.roots import amd_roots
from watchword.core.errors import AnswerPending
from watchword.core.hosts.exchange_secret import report_nonce
from watchword.core.launch.engine import Launch, StepState
from watchword.core.launch.sev_plan import SecretOrder, SevPlan, SevWorld
from watchword.core.launch.sev_steps import LAUNCH_STEPS, SevLaunch
from watchword.core.launch.worlds import opener
from watchword.core.secret import Secret
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.sev.digest import launch_digest
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.measurement import FirmwareRequirements
from watchword.core.sev.secret_table import DISK_PASSPHRASE
from watchword.core.simulator import PlatformKeys

from .exchange_people import FIRMWARE, LAUNCH, POLICY, SECRET, people


def plan_of(keys):
    return SevPlan(
        digests=(launch_digest(FirmwareImage.from_bytes(FIRMWARE)),),
        secret_area=0xC00,
        policy=POLICY,
        requirements=FirmwareRequirements((0, 17), 0, published_advisories()),
        secrets=(SecretOrder("disk", DISK_PASSPHRASE, lambda: Secret(SECRET), test=True),),
        certificate_files=(("the operator's export", keys.full_chain),),
        trusted_roots=(AmdCertificate.parse(keys.root.ark),),
    )


def world_of(owner):
    async def connect():
        return owner.host

    return SevWorld(
        open_platform=opener(connect),
        open_guest=opener(connect),
        random=os.urandom,
        roots=amd_roots(),
        advisories=published_advisories(),
        report_nonce=lambda packet: report_nonce(LAUNCH, packet),
    )


def test_a_launch_waits_for_the_operator_three_times_and_is_confirmed(tmp_path):
    keys = PlatformKeys.generate(2048)

    async def main():
        async with people(keys, tmp_path / "vm1") as (owner, operator):
            launch = Launch(LAUNCH, "sev", LAUNCH_STEPS)
            for name in ("contents", "policy", "certificates", "secrets"):
                launch = launch.answer(name, name)
            driver = SevLaunch(launch, plan_of(keys), world_of(owner))

            await waits_at("platform", 1, driver)
            operator.file("1", "qmp.txt").write_text(await operator.capabilities())
            await waits_at("start", 3, driver)
            await operator.start_vm()
            operator.file("3", "qmp.txt").write_text(await operator.send("2", "ask.qmp"))
            await waits_at("run", 5, driver)
            assert driver.launch.status("secret").state is StepState.DONE
            await operator.send("4", "inject.qmp")
            operator.file("5", "qmp.txt").write_text(await operator.send("4", "run.qmp"))
            await driver.run()
            assert driver.launch.complete
            assert "PEK" in str(driver.launch.facts["run"].record["running"])
            assert operator.guest_has_the_secret

    asyncio.run(main())


async def waits_at(step, turn, driver):
    with pytest.raises(AnswerPending) as caught:
        await driver.run()
    assert caught.value.details["turn"] == turn
    assert driver.launch.status(step).state is StepState.WAITING
