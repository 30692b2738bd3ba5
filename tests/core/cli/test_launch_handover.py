# SPDX-License-Identifier: Apache-2.0
"""``launch handover`` and ``launch compare``: what a host starts a VM with, and what it has."""

from __future__ import annotations

import base64
import subprocess

import pytest

from .support import modes


@pytest.fixture
def prepared(launches):
    return launches.prepare()


def written(launches, name):
    return (launches.folder / "vm" / name).read_text()


def hand_over(launches, launch, form, *more):
    return launches("handover", launch, "--form", form, "--out", launches.folder / "vm", *more)


def test_qemus_command_starts_this_launchs_vm_where_the_launch_looks_for_it(launches, prepared):
    shown = hand_over(launches, prepared, "qemu", "--disk", "/srv/d.qcow2", "--cbitpos", "51")
    assert shown.status == 0, shown.out + shown.err
    script = written(launches, "start.sh")
    assert f"unix:{launches.folder}/vm.sock,server=on,wait=off" in script
    assert "policy=0x1100002f" in script
    assert "-smp 2" in script
    assert str(launches.home.firmware) in script
    # What it names is beside it, and is what `prepare` gave out.
    for name in ("godh.b64", "session.b64"):
        assert f"={name}" in script
        given = base64.b64decode((launches.folder / "give" / name).read_text())
        assert base64.b64decode(written(launches, name)) == given
    assert set(modes(launches.folder / "vm").values()) == {0o600}
    assert any("locked" in line for line in shown.json["requirements"])


def test_libvirts_domain_is_one_that_compare_finds_nothing_wrong_with(launches, prepared):
    assert hand_over(launches, prepared, "libvirt").status == 0
    xml = launches.folder / "vm" / "web.xml"
    same = launches("compare", prepared, "--domain", xml)
    assert (same.status, same.json["differences"]) == (0, [])
    xml.write_text(xml.read_text().replace("0x1100002f", "0x0001"))
    other = launches("compare", prepared, "--domain", xml)
    assert (other.status, other.code) == (3, "domain-differs")
    (difference,) = other.json["differences"]
    assert difference["where"] == "launchSecurity/policy"
    assert "0x1100002f" in launches.say("compare", prepared, "--domain", xml).out


def test_what_a_domain_has_is_quoted_with_nothing_hidden_in_it(launches, prepared):
    assert hand_over(launches, prepared, "libvirt").status == 0
    xml = launches.folder / "vm" / "web.xml"
    text = xml.read_text().replace("</loader>", "\u202e'\n</loader>")
    xml.write_text(text, encoding="utf-8")
    told = launches.say("compare", prepared, "--domain", xml)
    assert "\\u202e" in told.out
    assert "\u202e" not in told.out
    assert "needed “" in told.out
    assert "needed '" not in told.out
    (line,) = [one for one in told.out.splitlines() if one.startswith("os/loader")]
    assert line.endswith("will not match.")


def test_a_domain_that_there_is_gets_what_it_lacks_and_the_words_say_what(launches, prepared):
    old = launches.folder / "old.xml"
    old.write_text("<domain type='kvm'><name>web</name><os><nvram>/n</nvram></os></domain>")
    shown = hand_over(launches, prepared, "libvirt", "--merge", old)
    assert shown.status == 0, shown.out
    assert any("nvram" in change for change in shown.json["changes"])
    assert "launchSecurity" in written(launches, "web.xml")
    assert "launchSecurity" not in old.read_text()


def test_kubevirt_cannot_start_the_default_policy_and_nothing_is_written(launches, prepared):
    shown = hand_over(launches, prepared, "kubevirt", "--claim", "web-disk")
    assert (shown.status, shown.code) == (6, "policy-not-for-kubevirt")
    assert not (launches.folder / "vm").exists()


@pytest.mark.parametrize(
    ("form", "more", "code"),
    [
        ("qemu", ("--merge", "x.xml"), "options-do-not-fit"),
        ("kubevirt", (), "options-do-not-fit"),
        ("libvirt", ("--claim", "c"), "options-do-not-fit"),
        ("qemu", ("--vcpus", "3"), "not-allowed-by-profile"),
        ("qemu", ("--kernel", "/boot/k"), "not-allowed-by-profile"),
        ("qemu", ("--memory", "0"), "bad-vm-order"),
        ("libvirt", ("--merge", "/nonexistent"), "file-not-found"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(launches, prepared, form, more, code):
    shown = hand_over(launches, prepared, form, *more)
    assert shown.status in (2, 6), shown.out
    if code != "file-not-found":
        assert shown.code == code
    assert not (launches.folder / "vm").exists()


def test_files_of_another_handing_over_are_not_overwritten(launches, prepared):
    assert hand_over(launches, prepared, "libvirt").status == 0
    again = hand_over(launches, prepared, "libvirt")
    assert (again.status, again.code) == (6, "file-exists")


def test_the_script_is_one_that_a_shell_can_read(launches, prepared):
    hand_over(launches, prepared, "qemu")
    told = subprocess.run(
        ["sh", "-n", launches.folder / "vm" / "start.sh"], capture_output=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, b"")
