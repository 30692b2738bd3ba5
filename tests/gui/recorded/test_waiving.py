# SPDX-License-Identifier: Apache-2.0
"""A weak policy, or a platform that does not verify, is waived for one launch and no other."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel

from watchword.core.errors import ExitStatus
from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.launch.engine import StepState
from watchword.core.launch.record import LaunchState
from watchword.core.launch.store import LaunchStore
from watchword.core.records.database import Records
from watchword.core.sev.policy import parse_policy
from watchword.gui.widgets.tones import Tone
from watchword.gui.wizard.flow import exit_status

from ...core.launch.support import SECRET, make_profile, outcome_of, state_of
from ...core.sev import firmware_maker as make
from .support import accept, begin, find_vm, ledger_entries

REASON = "a bench machine without an AMD root"


@pytest.fixture
def refused(office, make_wizard, host):
    """A launch on a machine whose root is nobody's."""
    office.roots = ()
    person = make_wizard()
    begin(person, host.url)
    person.rest_on("platform")
    assert state_of(office, person.launch.id) is LaunchState.REFUSED
    return person


def test_without_a_reason_that_says_something_nothing_is_waived(qtbot, refused):
    panel = refused.wizard.platform.waiver
    assert panel.isVisible()
    assert not panel.opened
    refused.click(panel.button)
    assert not panel.start.isEnabled()
    qtbot.keyClicks(panel.reason, "ok")
    assert not panel.start.isEnabled()


def test_a_waiver_begins_another_launch_and_is_gone_after_it(qtbot, office, refused):
    first = refused.launch.id
    panel = refused.wizard.platform.waiver
    refused.click(panel.button)
    qtbot.keyClicks(panel.reason, REASON)
    refused.click(panel.start)
    refused.rest_on("session")
    assert refused.launch.id != first
    assert refused.launch.status("platform").state is StepState.WAIVED
    assert refused.launch.waivers == {"platform": REASON}
    assert refused.wizard.choices.wanted().platform_waiver == ""
    assert state_of(office, first) is LaunchState.REFUSED


WEAK = "noks,nosend,sev,min-api=0.17"


@pytest.fixture
def weak(office):
    """The guest's profile without NODBG: the host may decrypt the guest's memory at will."""
    store = ProfileStore(profiles_folder())
    store.remove("vm1")
    store.add(make_profile(office.firmware, policy=WEAK))


@pytest.fixture
def refused_policy(weak, make_wizard, host):
    person = make_wizard()
    begin(person, host.url)
    person.until(person.frame.problem.isVisible)
    person.rest_on("guest")
    return person


def waive(qtbot, person, panel, reason=REASON):
    person.click(panel.button)
    qtbot.keyClicks(panel.reason, reason)
    person.click(panel.start)


def test_a_weak_policy_is_refused_before_anything_is_recorded(refused_policy, service):
    assert "policy-refused" in refused_policy.frame.problem.report
    assert "Without NODBG" in refused_policy.frame.problem.report
    assert service.summaries() == ()
    panel = refused_policy.wizard.guest.waiver
    assert panel.isVisible()
    assert not panel.opened
    refused_policy.click(panel.button)
    assert not panel.start.isEnabled()
    refused_policy.qtbot.keyClicks(panel.reason, "  ok  ")
    assert not panel.start.isEnabled()


def test_no_other_problem_than_a_weak_policy_can_be_waived_there(office, make_wizard, host):
    office.firmware.write_bytes(office.firmware.read_bytes() + bytes(4096))
    person = make_wizard()
    begin(person, host.url)
    person.until(person.frame.problem.isVisible)
    assert "approved-file-changed" in person.frame.problem.report
    assert not person.wizard.guest.waiver.isVisible()


def test_a_waived_policy_is_loud_from_the_first_page_to_the_last(
    qtbot, office, refused_policy, host
):
    person = refused_policy
    waive(qtbot, person, person.wizard.guest.waiver)
    accept(person)
    assert not person.wizard.guest.waiver.isVisible()
    assert person.launch.status("guest").state is StepState.WAIVED
    assert person.launch.waivers == {"guest": REASON}
    find_vm(person, host.start(person.wizard.run.material, policy=parse_policy(WEAK).value))
    person.rest_on("secret")
    assert "Not everything was verified" in person.frame.page.banner.accessibleName()
    assert host.packets == ()
    person.go_on()
    person.rest_on("run")
    assert host.machine.memory.holds(SECRET)
    assert exit_status(person.launch) is ExitStatus.WAIVED
    words = [label.accessibleName() for label in person.frame.page.findChildren(QLabel)]
    assert f"Waived, not verified: the weak policy, because: {REASON}" in words
    banner = person.frame.page.banner
    assert banner.tone is Tone.WARN
    assert "not everything was verified" in banner.accessibleName()
    launch_id = person.launch.id
    told = [entry.body.get("waivers") for entry in ledger_entries(office.home)]
    assert {"guest": REASON} in told
    assert REASON in repr(outcome_of(office, launch_id).predicate)
    with Records.open(office.home) as records:
        assert LaunchStore(records).load(launch_id).record.order.policy_waiver == REASON


def test_the_next_launch_of_the_same_guest_is_refused_again(qtbot, refused_policy, host):
    person = refused_policy
    waive(qtbot, person, person.wizard.guest.waiver)
    accept(person)
    person.wizard._start_over()
    person.until(person.wizard.choices.isVisible)
    assert not person.wizard.guest.waiver.isVisible()
    begin(person, host.url)
    person.until(person.frame.problem.isVisible)
    assert "policy-refused" in person.frame.problem.report
    assert person.wizard.guest.waiver.isVisible()
    assert person.wizard.guest.waiver.reason.text() == ""


def test_a_refused_platform_is_waived_too_after_the_window_was_closed(
    qtbot, bridge, refused, make_wizard, service
):
    first = refused.launch.id
    refused.wizard.close_launch()
    qtbot.waitUntil(lambda: not bridge.busy)
    (summary,) = service.summaries()
    person = make_wizard(summary=summary)
    person.rest_on("platform")
    waive(qtbot, person, person.wizard.platform.waiver)
    person.until(lambda: person.launch.id not in ("", "new", first))
    person.rest_on("session")
    assert person.launch.waivers == {"platform": REASON}


def test_firmware_that_lets_the_host_in_and_a_weak_policy_are_waived_one_by_one(
    qtbot, office, make_wizard, host
):
    data = make.image(make.new_loader(), make.grub(make.PROMPTING))
    office.firmware.write_bytes(data)
    store = ProfileStore(profiles_folder())
    store.remove("vm1")
    store.add(make_profile(office.firmware, policy=WEAK))
    person = make_wizard()
    begin(person, host.url)
    page = person.wizard.guest
    for code, reason in (("policy-refused", REASON), ("firmware-refused", "to be moved off")):
        person.until(lambda code=code: code in person.frame.problem.report)
        person.until(page.waiver.isVisible)
        assert page.waiver.reason.text() == ""
        waive(qtbot, person, page.waiver, reason)
    accept(person)
    assert person.launch.facts["guest"].record["waivers"] == {
        "policy": REASON,
        "firmware": "to be moved off",
    }
    find_vm(person, host.start(person.wizard.run.material, data, policy=parse_policy(WEAK).value))
    person.rest_on("secret")
    words = [label.accessibleName() for label in person.frame.page.findChildren(QLabel)]
    for what in (f"the weak policy, because: {REASON}", "the firmware, because: to be moved off"):
        assert f"Waived, not verified: {what}" in words
