# SPDX-License-Identifier: Apache-2.0
"""A recorded launch from the first page to the last, by mouse, on a host over real sockets."""

from __future__ import annotations

import pytest

from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.launch.record import LaunchState

from ...core.launch.support import SECRET, cek_of, make_profile, state_of
from .support import accept, begin, find_vm


def test_a_launch_from_choosing_the_guest_to_the_running_vm(make_wizard, office, host):
    person = make_wizard()
    begin(person, host.url)
    person.rest_on("platform")
    panel = person.wizard.platform.accept
    assert panel.isVisible()
    assert panel.digits.digits == cek_of(office.keys)
    accept(person)
    launch_id = person.launch.id
    assert state_of(office, launch_id) is LaunchState.PREPARED
    url = host.start(person.wizard.run.material)
    person.go_on()
    person.until(lambda: person.page == "start" and person.waits_for_vm)
    assert person.frame.conductor_at_work
    person.click(person.row.other)
    person.rest_on("start")
    find_vm(person, url)
    person.rest_on("secret")
    assert host.packets == ()
    person.go_on()
    person.rest_on("run")
    assert person.launch.complete
    assert len(host.packets) == 1
    assert host.machine.memory.holds(SECRET)
    assert state_of(office, launch_id) is LaunchState.RUNNING


def test_nothing_is_made_for_a_platform_that_nobody_has_accepted(make_wizard, office, host):
    person = make_wizard()
    begin(person, host.url)
    person.rest_on("platform")
    person.go_on()
    person.rest_on("platform")
    assert person.wizard.run.material is None
    assert state_of(office, person.launch.id) is LaunchState.PREPARING


def test_a_vm_that_comes_while_it_is_waited_for_is_measured_by_itself(make_wizard, office, host):
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    place = host.home / "later.sock"
    find_vm(person, f"qmp+unix://{place}")
    person.until(lambda: person.page == "start" and person.waits_for_vm)
    host.start(person.wizard.run.material, place=place)
    person.rest_on("secret")
    assert host.packets == ()


def test_a_vm_with_another_firmware_ends_on_a_page_that_refuses(make_wizard, office, host):
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    firmware = bytearray(office.firmware.read_bytes())
    firmware[0] ^= 1
    find_vm(person, host.start(person.wizard.run.material, bytes(firmware)))
    person.rest_on("measurement")
    page = person.frame.page
    assert page.banner.isVisible()
    assert page.assurance.isVisible()
    assert person.launch.marks["measurement"].reason["exit_status"] == 3
    assert person.row.primary.text().replace("&", "") == "Start a new launch"
    assert host.packets == ()
    assert state_of(office, person.launch.id) is LaunchState.REFUSED


def test_after_a_refusal_a_new_launch_begins_with_what_was_chosen(make_wizard, office, host):
    person = make_wizard()
    begin(person, "qmp+unix:///nowhere/vm1.sock")
    person.rest_on("platform")
    assert person.launch.marks
    person.click(person.row.other)
    person.rest_on("guest")
    assert person.wizard.choices.isVisible()
    assert person.wizard.choices.host.text() == "qmp+unix:///nowhere/vm1.sock"


@pytest.fixture
def pinned(office):
    """A profile as one has it once the first launch went well: machine and host are in it."""

    def pin(url):
        folder = ProfileStore(profiles_folder())
        folder.remove("vm1")
        cek = {"sha256": cek_of(office.keys)}
        folder.add(make_profile(office.firmware, host=url, ceks=[cek]))

    return pin


def test_three_actions_lead_to_a_running_vm(make_wizard, host, pinned):
    pinned(host.url)
    person = make_wizard(guest="vm1", at_once=True)
    launching = 1
    person.rest_on("session")
    host.start_in_place(person.wizard.run.material)
    person.go_on()
    person.rest_on("secret")
    person.go_on()
    person.rest_on("run")
    assert launching + person.clicks == 3
    assert person.launch.complete
    assert host.machine.memory.holds(SECRET)
