# SPDX-License-Identifier: Apache-2.0
"""The files with which a host starts a prepared launch's VM, in each of their forms."""

from __future__ import annotations

import pytest

from watchword.core.errors import BadInput, UsageError
from watchword.core.handover.requirements import Form
from watchword.core.hosts.protocol import StartOrder
from watchword.core.launch.handing_over import Placement
from watchword.core.launch.start_files import StartForm, start_files
from watchword.core.simulator import build_firmware

from .support import make_profile

HOST = "qmp+unix:///run/vm1.sock"
START = StartOrder(b"g" * 2084, b"b" * 128, 1)
OWN = {"godh.b64", "session.b64"}


@pytest.fixture
def make(tmp_path):
    """``make(form, …)``: the files for a guest of this name, at this host."""
    firmware = tmp_path / "OVMF.fd"
    firmware.write_bytes(build_firmware())

    def made(form, *, name="vm1", host=HOST, **more):
        profile = make_profile(firmware, name=name)
        return start_files(profile, START, host, Placement(), StartForm(form=form, **more))

    return made


def test_qemu_is_given_a_script_and_an_options_file(make):
    made = make(Form.QEMU)
    assert set(made.texts) == OWN | {"start.sh", "qemu.cfg"}
    assert made.main == "start.sh"
    assert "unix:/run/vm1.sock" in made.texts[made.main]
    assert made.must


def test_libvirt_is_given_a_domain_of_its_own_or_its_own_with_what_it_lacks(make):
    new = make(Form.LIBVIRT)
    assert (set(new.texts), new.changes) == ({"vm1.xml"}, ())
    old = b"<domain type='kvm'><name>old</name><os><nvram>/n</nvram></os></domain>"
    merged = make(Form.LIBVIRT, merge=(old, "old.xml"))
    assert "<name>old</name>" in merged.texts[merged.main]
    assert any("nvram" in change for change in merged.changes)
    with pytest.raises(BadInput) as caught:
        make(Form.LIBVIRT, merge=(b"nothing", "old.xml"))
    assert caught.value.details["field"] == "old.xml"


def test_kubevirt_is_given_a_manifest_without_a_path_of_the_owners(make, tmp_path):
    made = make(Form.KUBEVIRT, claim="disk", node="node1")
    assert set(made.texts) == OWN | {"vm1.yaml"}
    assert str(tmp_path) not in "".join(made.texts.values())
    assert not any(str(tmp_path) in sentence for sentence in made.must)
    with pytest.raises(UsageError) as caught:
        make(Form.KUBEVIRT)
    assert caught.value.code == "no-volume-claim"


def test_a_vm_of_a_cluster_keeps_the_name_that_the_launch_knows_it_by(make):
    made = make(Form.KUBEVIRT, name="Web_1", host="kubevirt://prod/web-1", claim="disk")
    assert made.main == "web-1.yaml"
    assert '"name": "web-1"' in made.texts[made.main]
    with pytest.raises(BadInput) as caught:
        make(Form.KUBEVIRT, name="Web_1", claim="disk")
    assert caught.value.code == "name-not-for-kubevirt"
