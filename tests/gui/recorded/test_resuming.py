# SPDX-License-Identifier: Apache-2.0
"""A launch that is left on any page is taken up again from the list, and verified anew."""

from __future__ import annotations

import pytest

from watchword.core.launch.engine import StepState
from watchword.core.launch.record import LaunchState
from watchword.gui.pages.vault_service import VaultService

from ...core.launch.support import PASSPHRASE, SECRET, state_of
from ..pages.support import CHEAP
from .support import accept, begin, find_vm


@pytest.fixture
def again(make_wizard, service, qtbot, bridge):
    """Leaves the wizard as a window that is closed does, and takes its launch up in another."""

    def leave_and_resume(person):
        launch_id = person.launch.id
        person.wizard.close_launch()
        qtbot.waitUntil(lambda: not bridge.busy)
        (summary,) = service.summaries()
        assert summary.id == launch_id
        return make_wizard(summary=summary)

    return leave_and_resume


def finish(person, host):
    person.rest_on("secret")
    assert host.packets == ()
    person.go_on()
    person.rest_on("run")
    assert person.launch.complete
    assert host.machine.memory.holds(SECRET)


def test_left_where_the_platform_is_to_be_accepted(make_wizard, again, host):
    person = make_wizard()
    begin(person, host.url)
    person.rest_on("platform")
    person = again(person)
    accept(person)
    find_vm(person, host.start(person.wizard.run.material))
    finish(person, host)


def test_left_with_a_launch_blob_it_waits_for_the_vm_that_was_started_with_it(
    make_wizard, again, host
):
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    material = person.wizard.run.material
    person = again(person)
    person.until(lambda: person.page == "start" and person.waits_for_vm)
    assert person.wizard.run.material.session_base64 == material.session_base64
    host.start_in_place(material)
    finish(person, host)


def test_left_while_it_waits_for_the_vm(make_wizard, again, host):
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    person.go_on()
    person.until(lambda: person.page == "start" and person.waits_for_vm)
    material = person.wizard.run.material
    person = again(person)
    host.start_in_place(material)
    finish(person, host)


def test_left_with_the_verdict_everything_is_verified_again(make_wizard, again, office, host):
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    find_vm(person, host.start(person.wizard.run.material))
    person.rest_on("secret")
    assert state_of(office, person.launch.id) is LaunchState.VERIFIED
    person = again(person)
    finish(person, host)


def test_left_after_a_refusal_it_is_refused_again(make_wizard, again, office, host):
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    firmware = bytearray(office.firmware.read_bytes())
    firmware[0] ^= 1
    find_vm(person, host.start(person.wizard.run.material, bytes(firmware)))
    person.rest_on("measurement")
    person = again(person)
    person.rest_on("measurement")
    assert person.launch.marks["measurement"].reason["exit_status"] == 3
    assert host.packets == ()


def test_ill_come_back_later_leaves_the_launch_as_it_is(make_wizard, qtbot, office, host):
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    person.go_on()
    person.until(lambda: person.page == "start" and person.waits_for_vm)
    person.click(person.row.other)
    person.rest_on("start")
    assert "come back" in person.row.other.text()
    with qtbot.waitSignal(person.wizard.left):
        person.click(person.row.other)
    assert state_of(office, person.launch.id) is LaunchState.PREPARED


def test_a_closed_vault_asks_for_its_passphrase_first(
    qtbot, bridge, theme, office, make_wizard, service
):
    service.vaults.close()
    person = make_wizard()
    begin(person, "qmp+unix:///nowhere/vm1.sock")
    gate = person.wizard.gate
    qtbot.waitUntil(lambda: gate.dialog is not None and gate.dialog.isVisible())
    qtbot.keyClicks(gate.dialog.field.edit, "no such passphrase")
    person.click(gate.dialog.agreeing)
    qtbot.waitUntil(lambda: bool(gate.dialog.field.problem))
    qtbot.keyClicks(gate.dialog.field.edit, PASSPHRASE.decode())
    person.click(gate.dialog.agreeing)
    person.rest_on("platform")
    assert gate.dialog is None


def test_without_a_vault_it_is_said_what_to_do(qtbot, tmp_path, make_wizard, service):
    service.vaults.close()
    service.vaults = VaultService(tmp_path / "elsewhere", stretching=CHEAP)
    person = make_wizard()
    person.wizard.gate._service = service.vaults
    begin(person, "qmp+unix:///nowhere/vm1.sock")
    qtbot.waitUntil(person.frame.problem.isVisible)
    assert "Make one on the page Vault" in person.frame.problem.report


def test_what_is_taken_up_again_goes_through_no_page_that_needs_nobody(
    qtbot, make_wizard, again, host
):
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    find_vm(person, host.start(person.wizard.run.material))
    person.rest_on("secret")
    person = again(person)
    person.frame._dwell = 60_000  # a page that it walked through would stay for a minute
    pages = [person.page]
    person.frame._stack.currentChanged.connect(lambda _: pages.append(person.page))
    states = []
    person.frame.conductor.changed.connect(
        lambda: states.append([one.state for one in person.launch.statuses()])
    )
    assert person.frame.conductor_at_work
    assert "Making ready" in person.frame.page.busy.accessibleName()
    assert not person.row.primary.isEnabled()
    person.rest_on("secret")
    assert pages == ["secret"]
    settled = [sum(one is StepState.DONE for one in found) for found in states]
    # The verdicts came in one by one, for all to see in the list of steps.
    assert {1, 2, 3, 4, 5} <= set(settled)
    assert host.packets == ()


def test_a_resuming_that_is_cancelled_before_the_vault_is_open_opens_nothing(
    qtbot, make_wizard, again, host, service
):
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    service.vaults.close()
    person = again(person)
    person.until(lambda: person.wizard.gate.dialog is not None)
    person.frame.conductor.cancel()
    assert not person.frame.conductor_at_work
    dialog = person.wizard.gate.dialog
    qtbot.keyClicks(dialog.field.edit, PASSPHRASE.decode())
    person.click(dialog.agreeing)
    person.until(lambda: person.wizard.gate.dialog is None)
    assert person.wizard.run is None
