# SPDX-License-Identifier: Apache-2.0
"""A mismatch in a recorded launch leads to another launch; what it approves is agreed to first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.launch.record import LaunchState
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.policy import parse_policy
from watchword.core.simulator import build_firmware
from watchword.gui.wizard.again import differences, in_words
from watchword.gui.wizard.remedy_panel import RemedyPanel

from ...core.launch.support import SECRET, cek_of, make_profile, state_of
from ..widgets.looks import cut_off, nameless
from .support import accept, begin, find_vm

ES = "nodbg,noks,es,nosend,sev,min-api=0.17"
ES_GUEST = {"technology": "sev-es", "policy": ES, "vcpus": 2, "cpu": "EPYC-Milan"}
STARTED = {"policy": parse_policy(ES).value, "cpu_signature": 0xA00F11}


def kept():
    return ProfileStore(profiles_folder()).load("vm1").profile


def keep(profile):
    store = ProfileStore(profiles_folder())
    store.remove("vm1")
    store.add(profile)


@pytest.fixture
def es_guest(office):
    keep(make_profile(office.firmware, **ES_GUEST))


@pytest.fixture
def refuse(make_wizard, host):
    """A launch of which the VM was started otherwise than ordered: it ends at its measurement."""

    def launch(firmware=None, **otherwise):
        person = make_wizard()
        begin(person, host.url)
        accept(person)
        find_vm(person, host.start(person.wizard.run.material, firmware, **otherwise))
        person.rest_on("measurement")
        return person

    return launch


def buttons(person):
    (panel,) = person.frame.page.findChildren(RemedyPanel)
    return panel.buttons


def dialog_of(person):
    person.until(lambda: person.wizard.again.dialog is not None)
    return person.wizard.again.dialog


def words_in(widget):
    return "\n".join(one.accessibleName() for one in widget.findChildren(object) if named(one))


def named(one):
    return hasattr(one, "accessibleName") and one.accessibleName()


def next_launch(person, first):
    """Until another launch than the first has its launch blob, on the machine that was accepted."""
    person.until(lambda: person.launch.id not in ("", "new", first))
    person.rest_on("session")
    return person.launch.id


@pytest.mark.usefixtures("es_guest")
def test_another_number_of_vcpus_is_shown_agreed_to_and_launched(refuse, office, host):
    person = refuse(**STARTED, vcpus=3)
    first = person.launch.id
    assert buttons(person)[0].text() == "Start a new launch with 3 vCPUs…"
    person.click(buttons(person)[0])
    dialog = dialog_of(person)
    assert kept().vcpus == (2,)
    for words in ("vCPUs", "Until now", "2", "From now on", "3", "stays refused"):
        assert words in words_in(dialog)
    person.click(dialog.agreeing)
    second = next_launch(person, first)
    assert kept().vcpus == (3,)
    assert state_of(office, first) is LaunchState.REFUSED
    find_vm(person, host.start(person.wizard.run.material, **STARTED, vcpus=3))
    person.rest_on("secret")
    assert host.packets == ()
    person.go_on()
    person.rest_on("run")
    assert state_of(office, second) is LaunchState.RUNNING
    assert state_of(office, first) is LaunchState.REFUSED
    assert host.machine.memory.holds(SECRET)


@pytest.mark.usefixtures("es_guest")
def test_who_does_not_agree_changes_nothing(qtbot, refuse, office, service):
    person = refuse(**STARTED, vcpus=3)
    person.click(buttons(person)[0])
    dialog = dialog_of(person)
    assert nameless(dialog) == []
    assert cut_off(dialog) == []
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    person.until(lambda: person.wizard.again.dialog is None)
    assert person.page == "measurement"
    assert kept().vcpus == (2,)
    assert len(service.summaries()) == 1
    assert state_of(office, person.launch.id) is LaunchState.REFUSED


@pytest.mark.usefixtures("es_guest")
def test_what_the_host_has_to_change_is_copied_and_the_same_is_launched_again(
    refuse, office, host, service
):
    person = refuse(**STARTED, vcpus=3)
    first, before = person.launch.id, kept()
    person.click(buttons(person)[1])
    second = next_launch(person, first)
    assert QGuiApplication.clipboard().text() == "Start the VM with 2 vCPUs (-smp 2)."
    assert kept() == before
    old, new = (service.record(one) for one in (first, second))
    assert new.order == old.order
    assert new.accepted_platform == cek_of(office.keys)
    find_vm(person, host.start(person.wizard.run.material, **STARTED, vcpus=2))
    person.rest_on("secret")


@pytest.mark.usefixtures("es_guest")
def test_a_refused_launch_that_is_taken_up_again_offers_the_same(
    qtbot, bridge, refuse, make_wizard, service, host
):
    person = refuse(**STARTED, vcpus=3)
    first = person.launch.id
    person.wizard.close_launch()
    qtbot.waitUntil(lambda: not bridge.busy)
    (summary,) = service.summaries()
    person = make_wizard(summary=summary)
    person.rest_on("measurement")
    person.click(buttons(person)[0])
    person.click(dialog_of(person).agreeing)
    next_launch(person, first)
    assert kept().vcpus == (3,)


@pytest.mark.usefixtures("es_guest")
def test_what_changed_in_the_profile_meanwhile_is_shown_as_well(refuse, office):
    person = refuse(**STARTED, vcpus=3)
    keep(make_profile(office.firmware, **{**ES_GUEST, "cpu": "EPYC-Rome"}))
    person.click(buttons(person)[1])
    dialog = dialog_of(person)
    assert "EPYC-Milan" in words_in(dialog)
    assert "EPYC-Rome" in words_in(dialog)
    person.click(dialog.refusing)


@pytest.mark.usefixtures("es_guest")
def test_a_profile_that_somebody_changes_while_it_is_looked_at_is_not_overwritten(refuse, office):
    person = refuse(**STARTED, vcpus=3)
    person.click(buttons(person)[0])
    dialog = dialog_of(person)
    keep(make_profile(office.firmware, **{**ES_GUEST, "description": "another hand"}))
    person.click(dialog.agreeing)
    person.until(dialog.banner.isVisible)
    assert "guest-changed-meanwhile" in dialog.banner.report
    assert kept().vcpus == (2,)
    person.click(dialog.refusing)
    assert person.page == "measurement"


LINE = "console=ttyS0 root=/dev/vda1"


def test_the_hosts_spelling_of_the_command_line_is_shown_with_every_blank(refuse, office):
    kernel = office.home / "vmlinuz"
    kernel.write_bytes(b"a kernel, as far as its hash goes")
    guest = {"kernel": [{"path": str(kernel)}], "cmdline": LINE}
    keep(make_profile(office.firmware, **guest))
    person = refuse(kernel=kernel.read_bytes(), command_line=LINE + "\n")
    first = person.launch.id
    person.click(buttons(person)[0])
    dialog = dialog_of(person)
    assert f'"{LINE}\\n"' in words_in(dialog).replace("\u200b", "")
    person.click(dialog.agreeing)
    next_launch(person, first)
    assert [line.text for line in kept().cmdline] == [LINE + "\n"]


def test_another_firmware_at_hand_is_named_and_approved_with_an_alarm_alone(
    refuse, office, service
):
    data = bytearray(build_firmware())
    data[0] ^= 1
    other = office.home / "other.fd"
    other.write_bytes(data)
    image = FirmwareImage.from_bytes(bytes(data))
    real = service.surroundings
    service.surroundings = lambda **words: replace(
        real(**words), other_firmware=lambda: ((str(other), image),)
    )
    person = refuse(bytes(data))
    first = person.launch.id
    assert "other.fd" in buttons(person)[0].text()
    person.click(buttons(person)[0])
    dialog = dialog_of(person)
    assert "Other code runs in the VM then" in words_in(dialog)
    assert image.sha256.hex()[:16] in words_in(dialog).replace("\u200b", "")
    person.click(dialog.agreeing)
    next_launch(person, first)
    assert [one.sha256 for one in kept().firmware] == [image.sha256.hex()]


def test_a_change_that_the_profile_can_not_take_is_told_and_no_launch_begins(
    refuse, office, service
):
    other = office.home / "gone.fd"
    data = bytearray(build_firmware())
    data[0] ^= 1
    image = FirmwareImage.from_bytes(bytes(data))
    real = service.surroundings
    service.surroundings = lambda **words: replace(
        real(**words), other_firmware=lambda: ((str(other), image),)
    )
    person = refuse(bytes(data))
    person.click(buttons(person)[0])
    person.until(person.frame.problem.isVisible)
    assert person.wizard.again.dialog is None
    assert len(service.summaries()) == 1


def test_what_nothing_explains_offers_a_new_launch_and_no_more(refuse, office):
    firmware = bytearray(office.firmware.read_bytes())
    firmware[0] ^= 1
    person = refuse(bytes(firmware))
    assert person.frame.page.findChildren(RemedyPanel) == []
    assert person.row.primary.text().replace("&", "") == "Start a new launch"


def test_profiles_are_compared_field_by_field(office):
    old = make_profile(office.firmware)
    new = make_profile(office.firmware, description="mine", host="qmp+unix:///b.sock")
    assert [(one.key, one.after) for one in differences(old, new)] == [
        ("description", "mine"),
        ("host", "qmp+unix:///b.sock"),
    ]
    assert in_words(None) == "—"
