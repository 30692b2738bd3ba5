# SPDX-License-Identifier: Apache-2.0
"""A VM that libvirt has: its profile filled in, its XML compared, and started on request."""

from __future__ import annotations

import threading

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from watchword.core.errors import HostError
from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.handover.profile_from_domain import profile_from_domain
from watchword.gui.host_look import HostDraft
from watchword.gui.pages.check_page import CheckPage
from watchword.gui.pages.guests_page import GuestsPage
from watchword.gui.pages.guests_service import GuestService

from ..widgets.looks import cut_off, nameless
from .libvirt_like import FIRMWARE, URL, Daemon, defined
from .support import accept, begin
from .test_wizard_looks import SMALLEST, settled

ALL = {
    "kernel": "/boot/vmlinuz",
    "initrd": "/boot/initrd",
    "cmdline": "console=ttyS0",
    "vcpus": 4,
    "cpu": "EPYC-Milan",
}


@pytest.fixture
def daemon(host, service):
    return Daemon(host).at(service)


@pytest.fixture
def page(qtbot, bridge, theme, service, office):
    """The form for a new guest."""
    made = GuestsPage(bridge, GuestService(), lambda: service)
    qtbot.addWidget(made)
    made.resize(*SMALLEST)
    with qtbot.waitExposed(made):
        made.show()
    made.refresh()
    qtbot.waitUntil(lambda: not made.work.busy)
    made.list.new.click()
    qtbot.waitUntil(lambda: not made.work.busy)
    yield made
    qtbot.waitUntil(lambda: not bridge.busy)


def look(qtbot, holder, url=URL):
    """Fill the URL in, and test the connection."""
    panel = holder.connection
    holder.url.edit.setText(url)
    panel.test.click()
    rest(qtbot, panel)
    return panel


def rest(qtbot, panel):
    qtbot.waitUntil(lambda: panel.test.isEnabled() and not panel.line.isVisible())


def fill_in(qtbot, page):
    panel = look(qtbot, page.form.host)
    panel.drafting.setFocus()
    qtbot.keyClick(panel.drafting, Qt.Key.Key_Space)
    rest(qtbot, panel)


# -- a profile from the XML --------------------------------------------------------------


def test_the_form_is_filled_in_and_files_stay_the_owners(qtbot, page, daemon, office):
    daemon.xml = defined(**ALL)
    fill_in(qtbot, page)
    form = page.form
    document = form.document()
    assert (document["name"], document["vcpus"]) == ("vm1", "4")
    assert (document["cpu"], document["cmdline"]) == (["EPYC-Milan"], ["console=ttyS0"])
    assert document["host"] == URL
    assert not {"firmware", "kernel", "initrd"} & document.keys()
    assert form.boot.opened
    assert "host's word" in form.host.banner.report
    told = "\n".join(form.host.findings.sentences)
    for path in (FIRMWARE, ALL["kernel"], ALL["initrd"]):
        assert path in told
    assert ProfileStore(profiles_folder()).names() == ("vm1",)  # the office's, and no other
    assert settled(page, nameless) == settled(page, cut_off) == []


def test_nothing_is_saved_before_the_owners_own_files_are_named(qtbot, page, daemon, office):
    daemon.xml = defined(vcpus=2, cpu="EPYC-Milan")
    fill_in(qtbot, page)
    form = page.form
    form.fields["name"].widget.setText("other")
    form.saving.click()
    assert form.fields["firmware"].problem
    form.files["firmware"].add_paths([str(office.firmware)])
    form.saving.click()
    qtbot.waitUntil(lambda: page.view.guest is not None and not page.work.busy)
    kept = ProfileStore(profiles_folder()).load("other").profile
    assert kept.firmware[0].path == str(office.firmware)
    assert (kept.host, tuple(kept.vcpus)) == (URL, (2,))


def test_what_the_xml_does_not_say_stays_as_it_was_typed(qtbot, page, daemon):
    daemon.xml = "<domain><os><type machine='q35'>hvm</type></os></domain>"
    QTest.keyClicks(page.form.fields["name"].widget, "mine")
    QTest.keyClicks(page.form.fields["vcpus"].widget, "1-8")
    before = page.form.policy.policy
    fill_in(qtbot, page)
    assert page.form.document()["name"] == "mine"
    assert page.form.document()["vcpus"] == "1-8"
    assert page.form.policy.policy == before


def test_a_draft_from_elsewhere_goes_into_the_new_guest_that_is_being_filled_in(
    qtbot, page, daemon
):
    QTest.keyClicks(page.form.fields["description"].widget, "The shop")
    draft = profile_from_domain(defined(vcpus=2, cpu="EPYC-Milan"), "test")
    page.new_from(HostDraft(URL, "vm1", draft))
    document = page.form.document()
    assert (document["description"], document["host"]) == ("The shop", URL)
    assert document["vcpus"] == "2"


def test_xml_that_is_none_is_refused_in_words(qtbot, page, daemon):
    daemon.xml = "<!DOCTYPE domain><domain/>"
    fill_in(qtbot, page)
    assert "document type declaration" in page.form.host.connection.banner.report
    assert "name" not in page.form.document()


def test_a_host_that_is_no_libvirt_offers_no_xml(qtbot, page, host):
    panel = look(qtbot, page.form.host, host.url)
    assert not panel.drafting.isVisible()
    told = "\n".join(panel.findings.sentences)
    assert "This host is this very machine" in told
    assert settled(page, nameless) == settled(page, cut_off) == []


def test_a_url_from_its_parts_is_the_profiles_host(page):
    builder = page.form.host.url.builder
    builder.set_open(True)
    QTest.keyClicks(builder.fields[builder.kind.currentData()]["path"], "/run/vm9.sock")
    assert page.form.document()["host"] == "qmp+unix:///run/vm9.sock"


def test_a_url_that_is_none_is_told_at_the_field_and_nobody_is_asked(qtbot, page):
    host = page.form.host
    host.url.edit.setText("nonsense")
    host.connection.test.click()
    assert page.form.fields["host"].problem
    assert not host.connection.line.isVisible()


def test_another_form_forgets_what_was_found(qtbot, page, daemon):
    fill_in(qtbot, page)
    page.form.cancelling.click()
    qtbot.waitUntil(lambda: not page.work.busy)
    page.list.new.click()
    qtbot.waitUntil(lambda: not page.work.busy)
    assert not page.form.host.banner.isVisible()
    assert not page.form.host.connection.guests.isVisible()
    assert "vcpus" not in page.form.document()


def test_a_platform_is_checked_at_a_host_put_together_and_tested(
    qtbot, bridge, theme, service, daemon
):
    page = CheckPage(bridge, service)
    qtbot.addWidget(page)
    page.resize(*SMALLEST)
    with qtbot.waitExposed(page):
        page.show()
    panel = look(qtbot, page)
    assert panel.guests.currentText() == "vm1"  # which the URL names
    with qtbot.waitSignal(page.profileWanted) as wanted:
        panel.drafting.click()
    assert (wanted.args[0].url, wanted.args[0].name) == (URL, "vm1")
    rest(qtbot, panel)
    page.checking.click()
    qtbot.waitUntil(lambda: page._job is None)
    qtbot.waitUntil(lambda: not bridge.busy)


# -- the wizard -----------------------------------------------------------------------------


@pytest.fixture
def person(make_wizard, daemon):
    made = make_wizard()
    made.wizard.resize(*SMALLEST)
    return made


@pytest.fixture
def waiting(person):
    """A prepared launch that looks for its VM, which is shut off."""
    begin(person, URL)
    accept(person)
    person.go_on()
    person.until(lambda: person.waits_for_vm and person.page == "start")
    person.until(person.wizard.start.domain.again.isEnabled)
    return person


def press(person):
    panel = person.wizard.start.for_me
    panel.start.setFocus()
    person.qtbot.keyClick(panel.start, Qt.Key.Key_Space)


def test_a_profile_is_made_of_a_vm_from_the_wizard(qtbot, person, daemon):
    person.until(lambda: person.wizard.choices.guests.currentText() == "vm1")
    panel = look(qtbot, person.wizard.choices)
    with qtbot.waitSignal(person.wizard.profileWanted) as wanted:
        panel.drafting.click()
    assert wanted.args[0].draft.firmware == FIRMWARE


def test_a_pane_that_opens_while_another_is_asked_for_is_filled_too(waiting, daemon):
    before, after = waiting.wizard.start.domain, waiting.wizard.measurement.domain
    asked = []
    daemon.gate_xml = threading.Event()
    after.wanted.connect(lambda: asked.append(1))
    before.again.click()
    after.show()
    after.set_open(True)
    assert asked == [1]
    daemon.gate_xml.set()
    waiting.until(lambda: not before.banner.isHidden() and not after.banner.isHidden())


def test_nobody_starts_the_vm_before_the_owner_wants_it(waiting, daemon):
    before = daemon.looks
    waiting.until(lambda: daemon.looks > before + 1)
    assert daemon.orders == []
    assert waiting.wizard.start.for_me.start.isEnabled()
    assert settled(waiting.wizard, nameless) == settled(waiting.wizard, cut_off) == []


def test_the_host_starts_it_on_request_and_once(waiting, daemon):
    press(waiting)
    press(waiting)
    waiting.rest_on("secret")
    assert len(daemon.orders) == 1
    assert "measurement" in waiting.launch.facts
    assert daemon.orders[0] == waiting.wizard.run.start_order
    waiting.frame.go("start")
    assert not waiting.wizard.start.for_me.isVisible()


def test_while_it_starts_it_says_so_and_can_not_be_told_again(waiting, daemon):
    daemon.gate = threading.Event()
    press(waiting)
    banner = waiting.wizard.start.banner
    waiting.until(lambda: "is being told to start" in banner.report and bool(daemon.orders))
    assert not waiting.wizard.start.for_me.start.isEnabled()
    daemon.gate.set()
    waiting.rest_on("secret")
    assert len(daemon.orders) == 1


def test_a_start_that_fails_is_told_in_words_and_can_be_tried_again(waiting, daemon):
    daemon.refusal = HostError("libvirt-refused", "No memory", "It is full.", "Free some.")
    press(waiting)
    waiting.rest_on("start")
    assert "It is full." in waiting.wizard.start.banner.report
    waiting.until(waiting.wizard.start.for_me.start.isEnabled)
    daemon.refusal = None
    press(waiting)
    waiting.rest_on("secret")
    assert len(daemon.orders) == 2


def test_trying_again_without_the_button_starts_nothing(waiting, daemon):
    daemon.refusal = HostError("libvirt-refused", "No memory", "It is full.", "Free some.")
    press(waiting)
    waiting.rest_on("start")
    waiting.go_on()
    waiting.until(lambda: waiting.waits_for_vm)
    assert len(daemon.orders) == 1


def test_a_cluster_starts_it_on_request_too(person, daemon):
    daemon.shut_off = "kubevirt-refused"
    begin(person, "kubevirt://default/vm1")
    accept(person)
    person.go_on()
    person.until(lambda: person.waits_for_vm and person.page == "start")
    assert not person.wizard.start.domain.isVisible()
    assert daemon.orders == []
    press(person)
    person.rest_on("secret")
    assert len(daemon.orders) == 1


@pytest.mark.parametrize("code", ["libvirt-unreachable", "host-permission-denied"])
def test_a_host_that_fails_while_it_is_asked_is_told_and_starts_nothing(waiting, daemon, code):
    """Whatever is wrong for a moment, the next step must not be what starts the VM."""
    daemon.shut_off = code
    waiting.rest()
    waiting.until(waiting.frame.problem.isVisible)
    assert "Have it started." in waiting.frame.problem.report
    assert daemon.orders == []


def test_a_host_that_can_not_start_vms_offers_none_of_it(make_wizard, host):
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    person.frame.go("start")
    assert not person.wizard.start.for_me.isVisible()
    assert not person.wizard.start.domain.isVisible()


# -- what is different in the XML ------------------------------------------------------------


def told(pane):
    return "\n".join(pane.findings.sentences)


def test_before_the_start_every_difference_is_shown_and_what_the_start_mends(waiting, daemon):
    pane = waiting.wizard.start.domain
    assert pane.opened
    assert f"Different: Firmware (os/loader): the launch needs “{waiting_firmware(waiting)}”" in (
        told(pane)
    )
    assert f"the domain has “{FIRMWARE}”" in told(pane)
    assert "Put in by the start: Launch security" in told(pane)
    daemon.xml = defined(kernel="/k").replace("</os>", "<nvram>/n\x7f</nvram></os>")
    pane.again.click()
    waiting.until(lambda: "NVRAM" in told(pane))
    assert "Kernel (os/kernel)" in told(pane)
    assert "\x7f" not in told(pane)
    assert settled(waiting.wizard, nameless) == settled(waiting.wizard, cut_off) == []


def waiting_firmware(person):
    return next(one.path for one in person.wizard.run._inner._planned.profile.firmware)


def test_after_a_mismatch_the_differences_stand_beside_it(waiting, daemon):
    daemon.firmware = b"another" + bytes(4096 - 7)
    press(waiting)
    waiting.rest_on("measurement")
    pane = waiting.wizard.measurement.domain
    waiting.until(lambda: pane.opened and "os/loader" in told(pane))
    assert "Put in by the start" not in told(pane)
    assert "launchSecurity" not in told(pane)  # it is this launch's own
    assert settled(waiting.wizard, nameless) == settled(waiting.wizard, cut_off) == []


def test_a_policy_and_a_blob_of_another_launch_are_told_after_a_mismatch(waiting, daemon):
    daemon.firmware = b"another" + bytes(4096 - 7)
    press(waiting)
    waiting.rest_on("measurement")
    pane = waiting.wizard.measurement.domain
    waiting.until(pane.again.isEnabled)
    other = defined().replace(
        "</domain>",
        "<launchSecurity type='sev'><policy>1</policy><dhCert>AAAA</dhCert>"
        "<session>AAAA</session></launchSecurity></domain>",
    )
    daemon.xml = other
    pane.again.click()
    waiting.until(lambda: "Policy (launchSecurity/policy)" in told(pane))
    for words in ("Owner's certificate (GODH)", "Launch blob", "will not start the VM"):
        assert words in told(pane)


def test_a_host_that_does_not_answer_is_told_in_the_pane(waiting, daemon, service):
    def surroundings(*, ask_amd):
        raise HostError("libvirt-unreachable", "Nobody answers", "It is off.", "Turn it on.")

    service.surroundings = surroundings
    pane = waiting.wizard.start.domain
    pane.again.click()
    waiting.until(lambda: "Turn it on." in pane.banner.report)


# -- a host that judges itself ---------------------------------------------------------------


def test_a_local_host_is_shown_as_one_that_judges_itself(make_wizard, host):
    person = make_wizard()
    begin(person, host.url)
    person.rest_on("platform")
    assert person.wizard.platform.local.isVisible()
    assert settled(person.wizard, nameless) == []


def test_a_distant_host_is_not(waiting):
    waiting.frame.go("platform")
    assert not waiting.wizard.platform.local.isVisible()
