# SPDX-License-Identifier: Apache-2.0
"""Firmware that is a NO-GO is waived for one launch, with a typed reason, before it begins."""

from __future__ import annotations

import pytest

from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.launch.engine import StepState

from ...core.launch.support import SECRET, make_profile
from ...core.sev import firmware_maker as make
from .support import accept, begin, find_vm

REASON = "the last guest with this image"


@pytest.fixture
def prompting(office):
    """The guest's firmware has a GRUB that asks at the console."""
    data = make.image(make.new_loader(), make.grub(make.PROMPTING))
    office.firmware.write_bytes(data)
    store = ProfileStore(profiles_folder())
    store.remove("vm1")
    store.add(make_profile(office.firmware))
    return data


@pytest.fixture
def refused(prompting, make_wizard, host):
    person = make_wizard()
    begin(person, host.url)
    person.until(person.frame.problem.isVisible)
    person.rest_on("guest")
    return person


def test_a_prompting_grub_is_refused_before_anything_is_recorded(refused, service):
    assert "firmware-refused" in refused.frame.problem.report
    assert "a disk of its own" in refused.frame.problem.report
    assert service.summaries() == ()
    assert refused.wizard.guest.waiver.isVisible()


def test_a_typed_reason_lets_the_launch_begin_and_is_shown(qtbot, refused, prompting, host):
    panel = refused.wizard.guest.waiver
    refused.click(panel.button)
    assert not panel.start.isEnabled()
    qtbot.keyClicks(panel.reason, REASON)
    refused.click(panel.start)
    accept(refused)
    assert refused.launch.status("guest").state is StepState.WAIVED
    assert refused.launch.waivers == {"guest": f"firmware: {REASON}"}
    find_vm(refused, host.start(refused.wizard.run.material, firmware=prompting))
    refused.rest_on("secret")
    assert "Not everything was verified" in refused.frame.page.banner.accessibleName()
    assert host.packets == ()
    refused.go_on()
    refused.rest_on("run")
    assert host.machine.memory.holds(SECRET)


def test_a_reason_that_was_typed_beforehand_is_for_that_launch_alone(
    qtbot, prompting, make_wizard, host
):
    person = make_wizard()
    person.wizard.choices.firmware_waiver.setText(REASON)
    begin(person, host.url)
    accept(person)
    assert person.launch.waivers == {"guest": f"firmware: {REASON}"}
    assert person.wizard.choices.wanted().firmware_waiver == ""
