# SPDX-License-Identifier: Apache-2.0
"""What people get wrong is named: every kind of deviation, in a VM that was measured with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.sev.diagnosis import diagnose
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.kernel_hashes import KernelHashes
from watchword.core.sev.vmsa import VmsaGeneration
from watchword.core.simulator import FirmwareVersion as SimulatedVersion
from watchword.core.simulator import PlatformKeys, SecureProcessor, StartOrder, VirtualMachine
from watchword.core.simulator.other_owner import make_session

from .measured_vm import (
    APPROVED,
    BOOT,
    CMDLINE,
    DEFAULT,
    FIRMWARE,
    INIT2,
    OTHER_FIRMWARE,
    PLAIN,
    TEK,
    VCPUS,
    MeasuredVm,
    codes,
    question,
    sha256,
)

SINGLE = [
    ({"vcpus": 1}, "vcpu-count"),
    ({"vcpus": 4}, "vcpu-count"),
    ({"vcpus": 512}, "vcpu-count"),
    ({"vcpus_measured": False}, "vcpus-not-measured"),
    ({"kind": INIT2}, "vmsa-generation"),
    ({"signature": 0x830F10}, "cpu-model"),
    ({"signature": 0x800F12}, "cpu-model"),
    ({"signature": 0xA10F10}, "cpu-model"),
    ({"signature": 0xB00F00}, "cpu-model"),
    ({"signature": 0x060FB1}, "cpu-model"),
    ({"signature": 0xA00F12}, "cpu-model"),
    ({"sev_features": 0x20}, "sev-features"),
    ({"sev_features": 0x1}, "sev-features"),
    ({"kernel_hashes": False}, "kernel-hashes-off"),
    ({"cmdline": CMDLINE + "\n"}, "cmdline-newline-added"),
    ({"cmdline": CMDLINE + " "}, "cmdline-blank-added"),
    ({"cmdline": " " + CMDLINE}, "cmdline-blank-first"),
    ({"cmdline": CMDLINE + "\r\n"}, "cmdline-crlf-added"),
    ({"cmdline": f'"{CMDLINE}"'}, "cmdline-quoted"),
    ({"cmdline": CMDLINE + " initrd=initrd"}, "cmdline-initrd-added"),
    ({"cmdline": ""}, "cmdline-absent"),
    ({"raw_cmdline": CMDLINE.encode()}, "cmdline-no-nul"),
    ({"raw_cmdline": CMDLINE.encode() + b"\0\0"}, "cmdline-two-nuls"),
    ({"raw_cmdline": CMDLINE.encode() + b"\n"}, "cmdline-newline-no-nul"),
    ({"initrd": b""}, "initrd-absent"),
    ({"kernel": b"an initrd", "initrd": b"a kernel"}, "kernel-initrd-swapped"),
    ({"firmware": OTHER_FIRMWARE}, "other-firmware"),
    ({"key": TEK}, "tek-tik-swapped"),
    ({"policy": 0x1}, "policy-weaker"),
    ({"policy": 0x5}, "policy-weaker"),
    ({"policy": 0x7}, "policy-weaker"),
    ({"policy": DEFAULT & ~4}, "policy-weaker"),
    ({"policy": 0x3101002F}, "policy-differs"),
    ({"policy": 0x0011002F}, "policy-api-swapped"),
    ({"policy": 0x2F000011}, "policy-bytes-reversed"),
    ({"version": SimulatedVersion(1, 55, 36)}, "build-hex-decimal"),
    ({"version": SimulatedVersion(1, 55, 18)}, "build-hex-decimal"),
    ({"version": SimulatedVersion(1, 37, 24)}, "api-hex-decimal"),
    ({"version": SimulatedVersion(55, 1, 24)}, "api-swapped"),
    ({"version": SimulatedVersion(1, 24, 55)}, "api-build-swapped"),
    ({"version": SimulatedVersion(1, 55, 200)}, "firmware-version"),
    ({"version": SimulatedVersion(0, 22, 13)}, "firmware-version"),
    ({"version": SimulatedVersion(0, 16, 0)}, "api-before-0.17"),
]


@pytest.mark.parametrize(("wrong", "code"), SINGLE)
def test_a_single_deviation_is_named(wrong, code):
    assert codes(diagnose(question(MeasuredVm(**wrong)))) == {code}


PAIRS = [
    ({"vcpus": 4, "kind": INIT2}, {"vcpu-count", "vmsa-generation"}),
    ({"vcpus": 192, "signature": 0xA10F10}, {"vcpu-count", "cpu-model"}),
    ({"vcpus": 8, "cmdline": CMDLINE + "\n"}, {"vcpu-count", "cmdline-newline-added"}),
    ({"vcpus": 3, "policy": 0x5}, {"vcpu-count", "policy-weaker"}),
    ({"vcpus": 4, "key": TEK}, {"vcpu-count", "tek-tik-swapped"}),
    ({"kind": INIT2, "signature": 0x830F10}, {"vmsa-generation", "cpu-model"}),
    ({"kind": INIT2, "sev_features": 0x20}, {"vmsa-generation", "sev-features"}),
    ({"firmware": OTHER_FIRMWARE, "vcpus": 16}, {"other-firmware", "vcpu-count"}),
    ({"firmware": OTHER_FIRMWARE, "kernel_hashes": False}, {"other-firmware", "kernel-hashes-off"}),
    ({"kernel_hashes": False, "policy": 0x1}, {"kernel-hashes-off", "policy-weaker"}),
    (
        {"cmdline": CMDLINE + " ", "version": SimulatedVersion(1, 55, 36)},
        {"cmdline-blank-added", "build-hex-decimal"},
    ),
    ({"key": TEK, "version": SimulatedVersion(0, 16, 0)}, {"tek-tik-swapped", "api-before-0.17"}),
]


@pytest.mark.parametrize(("wrong", "expected"), PAIRS)
def test_two_deviations_are_named_together(wrong, expected):
    assert codes(diagnose(question(MeasuredVm(**wrong)))) == expected


THREES = [
    (
        {"vcpus": 4, "kind": INIT2, "signature": 0x830F10},
        {"vcpu-count", "vmsa-generation", "cpu-model"},
    ),
    (
        {"vcpus": 8, "kernel_hashes": False, "policy": 0x5},
        {"vcpu-count", "kernel-hashes-off", "policy-weaker"},
    ),
    (
        {"cmdline": CMDLINE + "\n", "key": TEK, "version": SimulatedVersion(1, 55, 18)},
        {"cmdline-newline-added", "tek-tik-swapped", "build-hex-decimal"},
    ),
]


@pytest.mark.parametrize(("wrong", "expected"), THREES)
def test_three_likely_deviations_are_named_together(wrong, expected):
    assert codes(diagnose(question(MeasuredVm(**wrong)))) == expected


@pytest.mark.parametrize(
    ("approved", "code"),
    [
        (CMDLINE + "\n", "cmdline-newline-missing"),
        (CMDLINE + "  ", "cmdline-trimmed"),
        ("\t " + CMDLINE, "cmdline-trimmed"),
        (CMDLINE.replace(" ", "  "), "cmdline-blanks-collapsed"),
        (f"'{CMDLINE}'", "cmdline-unquoted"),
        (CMDLINE + " initrd=initrd", "cmdline-initrd-missing"),
        (CMDLINE.replace(" ", "\u00a0"), "cmdline-typography"),
    ],
)
def test_a_command_line_that_is_wrong_on_the_owners_side_is_named(approved, code):
    boot = replace(BOOT, cmdline=approved)
    diagnosis = diagnose(question(MeasuredVm(), replace(APPROVED, boot=boot)))
    assert codes(diagnosis) == {code}


def test_a_command_line_in_another_encoding_is_named():
    boot = replace(BOOT, cmdline="name=K\u00f6ln")
    vm = MeasuredVm(cmdline="name=K\u00f6ln", raw_cmdline=b"name=K\xf6ln\0")
    assert codes(diagnose(question(vm, replace(APPROVED, boot=boot)))) == {"cmdline-latin-1"}


def test_a_command_line_known_by_its_hash_alone_may_still_be_absent():
    approved = replace(APPROVED, boot=replace(BOOT, cmdline=b"h" * 32))
    diagnosis = diagnose(question(MeasuredVm(cmdline=""), approved))
    assert codes(diagnosis) == {"cmdline-absent"}


def test_a_command_line_known_by_its_hash_alone_is_said_not_to_be_respelled():
    approved = replace(APPROVED, boot=replace(BOOT, cmdline=b"h" * 32))
    diagnosis = diagnose(question(MeasuredVm(), approved))
    assert not diagnosis.explained
    assert any("only its hash" in words for words in diagnosis.not_tried)


def test_kernel_hashes_that_nobody_expected_are_named():
    approved = replace(APPROVED, boot=replace(BOOT, measured=False))
    assert codes(diagnose(question(MeasuredVm(), approved))) == {"kernel-hashes-on"}


def test_no_command_line_and_no_initrd_can_be_what_was_approved():
    boot = replace(BOOT, cmdline=None, initrd=KernelHashes.NO_INITRD)
    vm = MeasuredVm(cmdline="\n", initrd=b"")
    diagnosis = diagnose(question(vm, replace(APPROVED, boot=boot)))
    assert codes(diagnosis) == {"cmdline-newline-added"}


@pytest.mark.parametrize(
    ("approved", "vm", "code"),
    [
        (replace(VCPUS, generation=VmsaGeneration.INIT2), MeasuredVm(), "vmsa-generation"),
        (replace(VCPUS, sev_features=0x20), MeasuredVm(), "sev-features"),
        (replace(VCPUS, count=1), MeasuredVm(), "vcpu-count"),
        (replace(VCPUS, count=700), MeasuredVm(vcpus=1), "vcpu-count"),
    ],
)
def test_vcpus_that_are_wrong_on_the_owners_side_are_named(approved, vm, code):
    assert codes(diagnose(question(vm, replace(APPROVED, vcpus=approved)))) == {code}


def test_sentences_name_the_numbers_and_the_models():
    vm = MeasuredVm(vcpus=4, signature=0x830F10)
    text = "\n".join(diagnose(question(vm)).lines())
    assert "The VM has 4 vCPUs, not 2." in text
    assert "The VM's CPU is EPYC-Rome, not EPYC-Milan." in text
    assert "--vcpus 4" in text
    assert "It does not lift it." in text


def test_what_host_passthrough_gives_is_named_by_its_numbers():
    (match,) = diagnose(question(MeasuredVm(signature=0xA00F12))).matches
    assert match[0].text == "The VM's CPU is 25/1/2, as -cpu host gives it, not EPYC-Milan."


# Plain SEV


def plain(**wrong):
    return question(MeasuredVm(kernel_hashes=False, **wrong), PLAIN, policy=0x1100002B)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"policy": 0x11000023}, {"policy-weaker"}),
        ({"policy": 0x1100002B, "firmware": OTHER_FIRMWARE}, {"other-firmware"}),
        ({"policy": 0x1100002B, "vcpus_measured": True}, {"vcpus-measured"}),
        ({"policy": 0x1100002F, "vcpus": 64}, {"vcpus-measured", "policy-differs"}),
        (
            {"policy": 0x1100002B, "vcpus_measured": True, "sev_features": 0x20},
            {"vcpus-measured"},
        ),
    ],
)
def test_deviations_of_plain_sev_are_named(wrong, expected):
    assert codes(diagnose(plain(**wrong))) == expected


def test_measured_vcpus_that_nobody_expected_are_described():
    vm = MeasuredVm(vcpus=3, signature=0x800F12, kind=INIT2, kernel_hashes=False)
    (match,) = diagnose(question(vm, PLAIN)).matches
    assert "3 vCPUs" in match[0].text
    assert "EPYC, init2 pages" in match[0].text
    assert "--vcpus 3 --cpu EPYC --vmsa init2" in match[0].remedy


# Where only the launch digest is known


def test_a_launch_digest_in_reverse_byte_order_is_named():
    vm = MeasuredVm()
    assert codes(diagnose(question(vm, vm.digest()[::-1]))) == {"launch-digest-reversed"}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"key": TEK}, "tek-tik-swapped"),
        ({"policy": 0x1}, "policy-weaker"),
        ({"version": SimulatedVersion(1, 55, 36)}, "build-hex-decimal"),
    ],
)
def test_with_a_launch_digest_alone_the_rest_is_still_searched(wrong, code):
    vm = MeasuredVm(vcpus_measured=True, **wrong)
    assert codes(diagnose(question(vm, vm.digest()))) == {code}


def test_other_firmware_is_tried_against_a_launch_digest():
    vm = MeasuredVm(firmware=OTHER_FIRMWARE, kernel_hashes=False, policy=0x1100002B)
    diagnosis = diagnose(question(vm, sha256(FIRMWARE), policy=0x1100002B))
    assert codes(diagnosis) == {"other-firmware"}
    vm = replace(vm, policy=DEFAULT, vcpus=4)
    diagnosis = diagnose(question(vm, sha256(FIRMWARE)))
    assert codes(diagnosis) == {"other-firmware", "vcpus-measured"}


# A VM on the simulated secure processor


def test_a_vm_on_the_simulated_processor_is_explained():
    processor = SecureProcessor(PlatformKeys.generate(2048))
    owner = make_session(processor.keys.pdh_key.public_key(), DEFAULT)
    order = StartOrder(
        FIRMWARE,
        policy=DEFAULT,
        dh_cert=owner.dh_cert_file,
        session=owner.session_file,
        kernel=b"a kernel",
        initrd=b"an initrd",
        command_line=CMDLINE + "\n",
        vcpus=3,
    )
    machine = VirtualMachine(order, processor)
    asked = question(MeasuredVm())
    reported = type(asked.reported).from_base64(machine.measurement)
    asked = replace(
        asked,
        reported=reported,
        version=FirmwareVersion(*processor.version.api, processor.version.build),
        tik=owner.keys.tik,
        tek=owner.keys.tek,
    )
    assert codes(diagnose(asked)) == {"vcpu-count", "cmdline-newline-added"}
    machine.shut_down()


# Whatever is changed


MUTATIONS = st.one_of(
    st.tuples(st.just("vcpus"), st.integers(1, 600)),
    st.tuples(st.just("signature"), st.sampled_from([0x800F12, 0xA00F10, 0xB20F40, 0x600])),
    st.tuples(st.just("kind"), st.just(INIT2)),
    st.tuples(st.just("sev_features"), st.sampled_from([0x20, 0x1, 0x40])),
    st.tuples(st.just("policy"), st.integers(0, 0x3F) | st.integers(0, (1 << 32) - 1)),
    st.tuples(
        st.just("version"),
        st.builds(SimulatedVersion, st.integers(0, 1), st.integers(0, 60), st.integers(0, 80)),
    ),
    st.tuples(st.just("firmware"), st.sampled_from([OTHER_FIRMWARE, bytes(4096)])),
    st.tuples(st.just("kernel"), st.binary(max_size=4)),
    st.tuples(st.just("initrd"), st.binary(max_size=4)),
    st.tuples(st.just("cmdline"), st.text(" \nab", max_size=2).map(CMDLINE.__add__)),
    st.tuples(st.just("kernel_hashes"), st.just(False)),
    st.tuples(st.just("key"), st.sampled_from([TEK, b"another blob's k"])),
)
FIELDS = {
    "vcpus": ("vcpu-count",),
    "signature": ("cpu-model",),
    "kind": ("vmsa-generation",),
    "sev_features": ("sev-features",),
    "policy": ("policy-",),
    "version": ("build-", "api-", "firmware-version"),
    "firmware": ("other-firmware",),
    "kernel": (),
    "initrd": ("initrd-absent",),
    "cmdline": ("cmdline-",),
    "kernel_hashes": ("kernel-hashes-off",),
    "key": ("tek-tik-swapped",),
}


@settings(max_examples=15, deadline=None)
@given(MUTATIONS)
def test_one_changed_field_is_named_or_nothing_is(mutation):
    name, value = mutation
    vm = replace(MeasuredVm(), **{name: value})
    diagnosis = diagnose(question(vm))
    for match in diagnosis.matches:
        (deviation,) = match
        same = vm.reported() == MeasuredVm().reported()
        wanted = ("no-difference",) if same else FIELDS[name]
        assert deviation.code.startswith(wanted)
