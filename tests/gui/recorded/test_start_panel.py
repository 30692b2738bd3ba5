# SPDX-License-Identifier: Apache-2.0
"""What a host is given to start the VM with, whole: by QEMU, libvirt and KubeVirt."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from watchword.core.errors import UsageError
from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.handover.requirements import Form
from watchword.core.launch.handing_over import vm_order
from watchword.core.launch.profile_plan import recorded_profile
from watchword.gui.handed_over import made_for_host
from watchword.gui.wizard.start_choices import ROWS

from ...core.launch.support import make_profile
from ..widgets.looks import cut_off, nameless
from .support import accept, begin
from .test_starting_again import ES_GUEST
from .test_wizard_looks import SMALLEST, settled


@pytest.fixture
def person(make_wizard, host):
    """With a prepared launch."""
    made = make_wizard()
    made.wizard.resize(*SMALLEST)
    begin(made, host.url)
    accept(made)
    return made


@pytest.fixture
def panel(person):
    found = person.wizard.session.whole
    found.button.setFocus()
    person.qtbot.keyClick(found.button, Qt.Key.Key_Space)
    assert found.opened
    return found


def choose(panel, form):
    panel.choices.form.setCurrentIndex(panel.choices.form.findData(form))


def make(person, panel):
    panel.making.setFocus()
    person.qtbot.keyClick(panel.making, Qt.Key.Key_Space)
    person.until(lambda: panel.result.isVisible() or panel.banner.isVisible())


def save(person, panel, folder):
    panel.saveWanted.emit(str(folder))
    person.until(lambda: panel.saved.isVisible() or panel.banner.isVisible())


def words_in(widget):
    found = (one.accessibleName() for one in widget.findChildren(object) if hasattr(one, "text"))
    return "\n".join(map(str, found))


def test_it_is_there_once_there_is_a_launch_blob(make_wizard, host):
    person = make_wizard()
    begin(person, host.url)
    person.rest_on("platform")
    person.frame.go("session")
    assert not person.wizard.session.whole.isVisible()
    person.frame.go("platform")
    accept(person)
    assert person.wizard.session.whole.isVisible()


def test_the_script_starts_this_launchs_vm_and_is_saved_for_its_owner_alone(
    person, panel, tmp_path
):
    panel.choices.fields["disk"].setFocus()
    QTest.keyClicks(panel.choices.fields["disk"], "/srv/vm1.qcow2")
    panel.choices.fields["cbitpos"].setValue(51)
    make(person, panel)
    person.qtbot.mouseClick(panel.copying, Qt.MouseButton.LeftButton)
    script = QGuiApplication.clipboard().text()
    assert "/srv/vm1.qcow2" in script
    assert "cbitpos=51" in script
    assert "can be locked in memory" in words_in(panel.result)
    assert "sh start.sh" in words_in(panel.result)
    save(person, panel, tmp_path / "vm1")
    written = {path.name: path for path in (tmp_path / "vm1").iterdir()}
    assert sorted(written) == ["godh.b64", "qemu.cfg", "session.b64", "start.sh"]
    assert {path.stat().st_mode & 0o777 for path in written.values()} == {0o600}
    assert written["start.sh"].read_text() == script
    blob = base64.b64decode(written["session.b64"].read_text())
    assert blob == person.wizard.run.material.blob.build()


def test_a_file_that_is_there_is_never_written_over(person, panel, tmp_path):
    make(person, panel)
    (tmp_path / "start.sh").write_text("mine")
    save(person, panel, tmp_path)
    assert "exists already" in panel.banner.report
    assert (tmp_path / "start.sh").read_text() == "mine"
    assert not (tmp_path / "godh.b64").exists()


def test_a_new_domain_has_what_the_launch_needs(person, panel):
    choose(panel, Form.LIBVIRT)
    make(person, panel)
    assert panel.made.main == "vm1.xml"
    assert "<launchSecurity" in panel.made.text
    assert "virsh create --paused vm1.xml" in words_in(panel.result)


def test_of_a_domain_that_there_is_it_says_what_was_changed(person, panel, tmp_path):
    old = tmp_path / "old.xml"
    old.write_text("<domain type='kvm'><name>web</name><os><nvram>/n</nvram></os></domain>")
    choose(panel, Form.LIBVIRT)
    panel.choices.merge.set_path(str(old))
    make(person, panel)
    assert "<nvram> is gone" in words_in(panel.result)
    assert "<name>web</name>" in panel.made.text


def test_a_file_that_is_no_domain_is_refused_in_words(person, panel, tmp_path):
    (tmp_path / "old.xml").write_text("<!DOCTYPE x><domain/>")
    choose(panel, Form.LIBVIRT)
    panel.choices.merge.set_path(str(tmp_path / "old.xml"))
    make(person, panel)
    assert panel.banner.accessibleName().startswith("Problem")
    assert panel.made is None


def test_kubevirt_refuses_a_policy_that_it_can_not_start(person, panel):
    choose(panel, Form.KUBEVIRT)
    panel.choices.fields["claim"].setText("vm1-disk")
    make(person, panel)
    assert "KubeVirt starts VMs with 0x1 or 0x5 only" in panel.banner.report
    assert not panel.result.isVisible()


def test_kubevirts_manifest_names_the_claim_and_never_a_path_of_the_owners(person, panel, office):
    choose(panel, Form.KUBEVIRT)
    run, wanted = person.wizard.run, panel.choices.wanted()
    weaker = replace(run.start_order, policy=1)
    with pytest.raises(UsageError, match="PersistentVolumeClaim"):
        made_for_host(run.record, weaker, wanted)
    made = made_for_host(run.record, weaker, replace(wanted, claim="vm1-disk", node="node1"))
    assert '"claimName": "vm1-disk"' in made.text
    assert "node1" in made.text
    assert str(office.firmware) not in made.text
    assert not any(str(office.firmware) in sentence for sentence in made.must)


def test_what_was_made_is_forgotten_with_another_choice(person, panel):
    make(person, panel)
    assert panel.result.isVisible()
    panel.choices.fields["memory"].setValue(4096)
    assert not panel.result.isVisible()
    assert panel.made is None


def test_a_number_of_vcpus_that_the_profile_does_not_allow_is_refused(make_wizard, host, office):
    store = ProfileStore(profiles_folder())
    store.remove("vm1")
    store.add(make_profile(office.firmware, **ES_GUEST))
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    panel = person.wizard.session.whole
    panel.set_open(True)
    assert panel.choices.fields["vcpus"].value() == 2
    assert panel.choices.fields["cpu"].currentText() == "EPYC-Milan"
    panel.choices.fields["vcpus"].setValue(3)
    make(person, panel)
    assert "profile doesn't allow 3" in panel.banner.report


def test_it_is_what_the_command_line_makes(person, panel):
    """The same order, from the same fields."""
    make(person, panel)
    run, wanted = person.wizard.run, panel.choices.wanted()
    order = vm_order(recorded_profile(run.record), run.start_order, run.host, wanted.placement)
    assert order.monitor in panel.made.text
    again = made_for_host(run.record, run.start_order, replace(wanted, form=Form.LIBVIRT))
    assert order.sev.session_base64[:60] in again.text.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize("form", Form)
def test_every_form_has_names_and_room(longer_words, person, panel, form):
    choose(panel, form)
    shown = {name for name, field in panel.choices.fields.items() if field.isVisible()}
    assert shown <= set(ROWS[form])
    make(person, panel)
    assert settled(person.wizard, nameless) == []
    assert settled(person.wizard, cut_off) == []
