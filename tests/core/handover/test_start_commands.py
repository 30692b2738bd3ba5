# SPDX-License-Identifier: Apache-2.0
"""What a host is given to start a VM: QEMU's own parser, libvirt's schema and a shell accept it."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
from dataclasses import replace

import pytest

from watchword.core.errors import BadInput
from watchword.core.handover.domain_differences import domain_differences
from watchword.core.handover.domain_xml import LARGEST_DOMAIN, parse_domain
from watchword.core.handover.kubevirt import kubevirt_manifest
from watchword.core.handover.libvirt_domain import merged_domain, new_domain
from watchword.core.handover.qemu_command import qemu_arguments, qemu_config, qemu_script
from watchword.core.handover.requirements import Form, requirements
from watchword.core.handover.vm_order import VmOrder

ORDER = VmOrder(
    name="web1",
    godh=bytes(range(256)) * 8 + bytes(36),
    blob=bytes(range(128)),
    policy=0x1100002F,
    firmware="/usr/share/ovmf/OVMF.amdsev.fd",
    kernel="/boot/vmlinuz",
    initrd="/boot/initrd.img",
    cmdline="console=ttyS0 quiet, root=/dev/vda2",
    cbitpos=51,
    reduced_phys_bits=5,
    vcpus=4,
    cpu="EPYC-Milan",
    disk="/srv/web1, old.qcow2",
    monitor="/run/web1.sock",
)
PLAIN = replace(ORDER, policy=0x1, kernel=None, initrd=None, cmdline=None, cbitpos=None)

EXISTING = """\
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <!-- the owner's own note -->
  <name>old</name>
  <memory unit='GiB'>8</memory>
  <vcpu placement='static' current='1'>2</vcpu>
  <os firmware='efi'>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <nvram>/var/lib/libvirt/qemu/nvram/old_VARS.fd</nvram>
  </os>
  <cpu mode='host-passthrough'><topology sockets='1' dies='1' cores='2' threads='1'/></cpu>
  <on_reboot>restart</on_reboot>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='/srv/old.img'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'><source network='default'/><model type='virtio'/></interface>
  </devices>
  <qemu:commandline><qemu:arg value='-snapshot'/></qemu:commandline>
</domain>
"""


def run(*words, **options):
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


@pytest.mark.parametrize("order", [ORDER, PLAIN], ids=["kernel", "grub"])
def test_the_shell_reads_the_script_as_the_arguments(order):
    script = qemu_script(order)
    command = script[script.index("exec ") + 5 :].replace("\\\n", " ")
    assert tuple(shlex.split(command)) == qemu_arguments(order)
    told = run("sh", "-n", "-c", script)
    assert (told.returncode, told.stderr) == (0, "")
    assert all(line in script for line in requirements(order, Form.QEMU))


def test_the_script_starts_in_its_own_folder_whatever_the_shell_searches(tmp_path):
    programs, own, other = (tmp_path / name for name in ("bin", "vm", "other"))
    for folder in (programs, own, other / "vm"):
        folder.mkdir(parents=True)
    qemu = programs / "qemu-system-x86_64"
    qemu.write_text("#!/bin/sh\npwd\n")
    qemu.chmod(0o700)
    (own / "start.sh").write_text(qemu_script(ORDER))
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "CDPATH": str(other)}
    done = run("sh", "vm/start.sh", cwd=tmp_path, env=environment)
    assert done.stdout.split() == [str(own)]


def test_values_with_commas_are_doubled_where_qemu_reads_options():
    (drive,) = [word for word in qemu_arguments(ORDER) if "id=disk0" in word]
    assert drive.endswith("file=/srv/web1,, old.qcow2")
    assert "console=ttyS0 quiet, root=/dev/vda2" in qemu_arguments(ORDER)


def test_a_bit_that_nobody_named_stands_out_and_is_explained():
    assert "cbitpos=CBITPOS" in " ".join(qemu_arguments(PLAIN))
    assert any("CBITPOS" in line for line in requirements(PLAIN, Form.QEMU))
    assert not any("CBITPOS" in line for line in requirements(ORDER, Form.QEMU))


@pytest.fixture
def host_files(tmp_path):
    """A folder with everything that the start command names, as an operator would have it."""
    firmware, disk = tmp_path / "code.fd", tmp_path / "disk.raw"
    firmware.write_bytes(bytes(1 << 20))
    disk.write_bytes(bytes(1 << 20))
    (tmp_path / "godh.b64").write_text(ORDER.sev.godh_base64)
    (tmp_path / "session.b64").write_text(ORDER.sev.session_base64)
    return replace(
        PLAIN,
        firmware=str(firmware),
        disk=str(disk),
        disk_format="raw",
        cbitpos=51,
        monitor=str(tmp_path / "q.sock"),
    )


def without_sev(words):
    """The same for a machine without KVM and SEV, where QEMU can go no further."""
    swapped = {"accel=kvm": "accel=tcg", ",confidential-guest-support=sev0": ""}
    for old, new in swapped.items():
        words = [word.replace(old, new) for word in words]
    return words


def test_qemus_own_parser_takes_every_option_up_to_sev_itself(program, host_files, tmp_path):
    qemu = program("qemu-system-x86_64", "qemu-system-x86")
    words = [str(qemu), *qemu_arguments(replace(host_files, cpu="qemu64"))[1:]]
    words = [word for word in without_sev(words) if word != "-S"]
    # Asked for its version of everything, QEMU reads all options and then leaves at once.
    process = subprocess.Popen(
        [*words, "-S", "-monitor", "stdio"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    out, err = process.communicate("info block\nquit\n", timeout=60)
    assert process.returncode == 0, err
    assert "disk0" in out


def test_the_options_file_says_the_same_to_qemu(program, host_files, tmp_path):
    qemu = program("qemu-system-x86_64", "qemu-system-x86")
    text = qemu_config(replace(host_files, cpu="qemu64"))
    first, rest = text.split("\n", 1)
    rest = rest.replace('accel = "kvm"', 'accel = "tcg"')
    rest = rest.replace('  confidential-guest-support = "sev0"\n', "")
    (tmp_path / "qemu.cfg").write_text(rest)
    words = shlex.split(first.removeprefix("# "))
    process = subprocess.Popen(
        [str(qemu), *words[1:], "-monitor", "stdio"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    out, err = process.communicate("info block\ninfo qom-tree /objects\nquit\n", timeout=60)
    assert process.returncode == 0, err
    assert "disk0" in out
    assert "sev0" in out


def test_an_options_file_cannot_hold_a_quotation_mark_and_says_so():
    with pytest.raises(BadInput) as caught:
        qemu_config(replace(ORDER, disk='/srv/a"b'))
    assert caught.value.code == "not-for-options-file"


def test_the_longest_line_that_is_written_is_one_that_qemu_reads_whole(
    program, host_files, tmp_path
):
    qemu = program("qemu-system-x86_64", "qemu-system-x86")
    line = '  file = ""\n'
    folder = tmp_path
    while len(bytes(folder)) < 1023 - len(line) - 202:
        folder /= "d" * 100
    disk = folder / ("x" * (1023 - len(line) - len(bytes(folder)) - 1))
    folder.mkdir(parents=True)
    disk.write_bytes(bytes(1 << 20))
    order = replace(host_files, cpu="qemu64", disk=str(disk))
    text = qemu_config(order)
    assert max(len(one.encode()) + 1 for one in text.splitlines()) == 1023
    (tmp_path / "qemu.cfg").write_text(
        text.replace('accel = "kvm"', 'accel = "tcg"').replace(
            '  confidential-guest-support = "sev0"\n', ""
        )
    )
    words = shlex.split(text.splitlines()[0].removeprefix("# "))
    told = run(qemu, *words[1:], "-monitor", "stdio", cwd=tmp_path, input="info block\nquit\n")
    assert told.returncode == 0, told.stderr
    assert "x" * 40 in told.stdout
    with pytest.raises(BadInput) as caught:
        qemu_config(replace(order, disk=f"{disk}x"))
    assert (caught.value.code, caught.value.details["field"]) == ("not-for-options-file", "file")
    assert "1023 bytes" in caught.value.message


def test_options_that_are_too_long_for_a_comment_are_left_to_the_script():
    order = replace(ORDER, cmdline="quiet " + "x" * 2000)
    text = qemu_config(order)
    assert all(len(line.encode()) < 1023 for line in text.splitlines())
    assert text.startswith("# The options of start.sh")
    assert "x" * 2000 in qemu_script(order)


@pytest.mark.parametrize("order", [ORDER, PLAIN], ids=["kernel", "grub"])
@pytest.mark.parametrize("kind", ["new", "merged"])
def test_libvirts_schema_accepts_the_domain(program, tmp_path, order, kind):
    validate = program("virt-xml-validate", "libvirt-clients")
    program("xmllint", "libxml2-utils")
    text = new_domain(order) if kind == "new" else merged_domain(order, EXISTING, "old.xml")[0]
    (tmp_path / "web1.xml").write_text(text)
    told = run(validate, tmp_path / "web1.xml", "domain")
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("order", [ORDER, PLAIN], ids=["kernel", "grub"])
def test_what_is_written_has_no_difference_from_what_is_needed(order):
    assert domain_differences(parse_domain(new_domain(order), "new"), order) == ()
    merged, _ = merged_domain(order, EXISTING, "old.xml")
    assert domain_differences(parse_domain(merged, "merged"), order) == ()


def test_merging_keeps_what_is_not_the_launchs_and_says_what_it_changed():
    merged, changes = merged_domain(ORDER, EXISTING, "old.xml")
    for kept in ("<name>old</name>", "the owner's own note", 'value="-snapshot"', "/srv/old.img"):
        assert kept in merged
    assert "nvram" not in merged
    assert "firmware=" not in merged
    assert merged.count('iommu="on"') == 2
    assert '<memory unit="GiB">8</memory>' in merged
    assert any("nvram" in change for change in changes)
    assert any("<os>" in change for change in changes)
    again, none = merged_domain(ORDER, merged, "merged.xml")
    assert (again, none) == (merged, ())


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("/boot/vmlinuz", "/boot/other", "os/kernel"),
        ("quiet,", "quiet ,", "os/cmdline"),
        ("OVMF.amdsev.fd", "OVMF.fd", "os/loader"),
        (">4</vcpu>", ">5</vcpu>", "vcpu"),
        ("EPYC-Milan", "EPYC-Rome", "cpu/model"),
        ('mode="custom"', 'mode="host-passthrough"', "cpu/@mode"),
        ("0x1100002f", "0x1", "launchSecurity/policy"),
        ('kernelHashes="yes"', "", "launchSecurity/@kernelHashes"),
        ("<session>AAEC", "<session>AAED", "launchSecurity/session"),
        ("<dhCert>AAEC", "<dhCert>AAED", "launchSecurity/dhCert"),
        ('type="sev"', 'type="s390-pv"', "launchSecurity"),
        ('machine="q35"', 'machine="pc"', "os/type/@machine"),
        ("</os>", "<nvram>/x</nvram></os>", "os/nvram"),
    ],
)
def test_every_difference_is_named(old, new, where):
    text = new_domain(ORDER)
    assert old in text
    (found,) = domain_differences(parse_domain(text.replace(old, new), "host"), ORDER)
    assert found.where == where
    assert found.expected != found.found
    assert found.consequence


def test_a_plain_vm_is_not_encrypted_at_all():
    (found,) = domain_differences(
        parse_domain("<domain><os><type machine='q35'/><loader>/f</loader></os></domain>", "x"),
        replace(PLAIN, firmware="/f"),
    )
    assert found.consequence == "The VM is not encrypted at all."


ENTITIES = """<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><domain>&b;</domain>"""


@pytest.mark.parametrize(
    "text",
    [
        ENTITIES,
        "<domain>",
        "",
        "<other/>",
        "<domain>" + "<a>" * 100 + "</a>" * 100 + "</domain>",
        "<domain>" + " " * LARGEST_DOMAIN + "</domain>",
        "<domain>&undefined;</domain>",
        "<domain a='1' a='2'/>",
        b"\xff\xfe\x00",
        "<?xml version='1.0' encoding='nonsense'?><domain/>",
    ],
)
def test_hostile_xml_is_refused_by_name(text):
    with pytest.raises(BadInput) as caught:
        parse_domain(text, "what the host says")
    assert (caught.value.code, caught.value.field) == ("bad-domain-xml", "what the host says")


def manifest(order):
    lines = kubevirt_manifest(order, "web1-disk").splitlines()
    return json.loads("\n".join(line for line in lines if not line.startswith("#")))


# KubeVirt's API v1 as published: which keys its types have, as far as the manifest uses them.
KUBEVIRT_FIELDS = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "spec": {"runStrategy", "template"},
    "spec.template": {"metadata", "spec"},
    "spec.template.spec": {"domain", "volumes"},
    "spec.template.spec.domain": {
        *("cpu", "memory", "machine", "firmware", "devices", "launchSecurity"),
    },
    "spec.template.spec.domain.cpu": {"model", "sockets", "cores", "threads"},
    "spec.template.spec.domain.memory": {"guest"},
    "spec.template.spec.domain.machine": {"type"},
    "spec.template.spec.domain.firmware": {"bootloader"},
    "spec.template.spec.domain.firmware.bootloader": {"efi"},
    "spec.template.spec.domain.firmware.bootloader.efi": {"secureBoot", "persistent"},
    "spec.template.spec.domain.devices": {"disks", "autoattachMemBalloon"},
    "spec.template.spec.domain.launchSecurity": {"sev"},
    "spec.template.spec.domain.launchSecurity.sev": {
        *("attestation", "policy", "dhCert", "session"),
    },
    "spec.template.spec.domain.launchSecurity.sev.policy": {"encryptedState"},
}


@pytest.mark.parametrize("policy", [0x1, 0x5])
def test_kubevirts_manifest_has_its_fields_and_no_others(policy):
    document = manifest(replace(PLAIN, policy=policy))
    for path, keys in KUBEVIRT_FIELDS.items():
        part = document
        for name in filter(None, path.split(".")):
            part = part[name]
        assert set(part) == keys, path
    sev = document["spec"]["template"]["spec"]["domain"]["launchSecurity"]["sev"]
    assert sev["policy"] == {"encryptedState": policy == 0x5}
    assert base64.b64decode(sev["dhCert"]) == PLAIN.godh
    assert base64.b64decode(sev["session"]) == PLAIN.blob


@pytest.mark.parametrize(
    ("order", "code"),
    [(ORDER, "policy-not-for-kubevirt"), (replace(ORDER, policy=1), "kernel-not-for-kubevirt")],
)
def test_what_kubevirt_cannot_start_is_refused_with_a_way_out(order, code):
    with pytest.raises(BadInput) as caught:
        kubevirt_manifest(order, "disk")
    assert caught.value.code == code
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["Web1", "web_1", "web1-", "web1.", "we..b", "web.-x"])
def test_a_name_that_kubernetes_does_not_take_is_refused_with_a_way_out(name):
    with pytest.raises(BadInput) as caught:
        kubevirt_manifest(replace(PLAIN, name=name), "disk")
    assert caught.value.code == "name-not-for-kubevirt"
    assert name in caught.value.message
    assert "kubevirt://NAMESPACE/VM" in caught.value.remedy


@pytest.mark.parametrize("name", ["w", "web-1", "web.prod-1", "x" * 63])
def test_a_name_that_kubernetes_takes_stays_as_it_is(name):
    assert f'"name": "{name}"' in kubevirt_manifest(replace(PLAIN, name=name), "disk")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "-x"},
        {"name": "a b"},
        {"memory": 0},
        {"vcpus": 0},
        {"disk_format": "vmdk"},
        {"cpu": "EPYC,sev=off"},
        {"firmware": "/a\nb"},
        {"kernel": None},
    ],
)
def test_an_order_that_no_command_can_hold_is_refused_by_name(change):
    with pytest.raises(BadInput) as caught:
        replace(ORDER, **change)
    assert caught.value.code == "bad-vm-order"


def test_neither_order_nor_error_shows_the_blob():
    assert base64.b64encode(ORDER.blob).decode() not in repr(ORDER)
    assert "blob" not in repr(ORDER)


def test_the_monitors_socket_is_where_it_was_asked_for():
    words = qemu_arguments(ORDER)
    assert words[words.index("-qmp") + 1] == "unix:/run/web1.sock,server=on,wait=off"
    assert "-S" in words
    assert os.sep not in words[0]
