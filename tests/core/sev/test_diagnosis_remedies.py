# SPDX-License-Identifier: Apache-2.0
"""What a diagnosis proposes to approve is what the VM really has; nothing weaker is proposed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from watchword.core.sev.cpu_models import parse_cpu
from watchword.core.sev.diagnosis import diagnose
from watchword.core.sev.diagnosis_contents import respelled
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.vmsa import VmsaGeneration

from .measured_vm import (
    APPROVED,
    BOOT,
    CMDLINE,
    INIT2,
    OTHER_FIRMWARE,
    VCPUS,
    MeasuredVm,
    question,
    sha256,
)

SPELLINGS = [CMDLINE + "\n", CMDLINE + " ", f'"{CMDLINE}"', CMDLINE + " initrd=initrd"]


def only_deviation(diagnosis):
    ((deviation,),) = diagnosis.matches
    return deviation


def proposed(vm, approved=APPROVED):
    deviation = only_deviation(diagnose(question(vm, approved)))
    return deviation.profile


def test_the_vcpus_that_are_proposed_explain_the_measurement():
    vm = MeasuredVm(vcpus=5)
    key, count = proposed(vm)
    assert key == "vcpus"
    approved = replace(APPROVED, vcpus=replace(VCPUS, count=count))
    assert only_deviation(diagnose(question(vm, approved))).code == "no-difference"


def test_the_generation_that_is_proposed_explains_the_measurement():
    vm = MeasuredVm(kind=INIT2)
    key, value = proposed(vm)
    assert key == "vmsa"
    approved = replace(APPROVED, vcpus=replace(VCPUS, generation=VmsaGeneration(value)))
    assert only_deviation(diagnose(question(vm, approved))).code == "no-difference"


def test_the_cpu_that_is_proposed_explains_the_measurement():
    vm = MeasuredVm(signature=parse_cpu("EPYC-Genoa").value)
    key, value = proposed(vm)
    assert key == "cpu"
    approved = replace(APPROVED, vcpus=replace(VCPUS, cpu=parse_cpu(value)))
    assert only_deviation(diagnose(question(vm, approved))).code == "no-difference"


@pytest.mark.parametrize("line", SPELLINGS)
def test_the_spelling_that_is_proposed_explains_the_measurement(line):
    vm = MeasuredVm(cmdline=line)
    key, number = proposed(vm)
    assert key == "cmdline"
    assert respelled(CMDLINE, number) == line
    approved = replace(APPROVED, boot=replace(BOOT, cmdline=respelled(CMDLINE, number)))
    assert only_deviation(diagnose(question(vm, approved))).code == "no-difference"


def test_a_spelling_that_no_text_has_is_proposed_by_its_hash():
    vm = MeasuredVm(raw_cmdline=CMDLINE.encode())
    key, number = proposed(vm)
    assert key == "cmdline"
    assert respelled(CMDLINE, number) == sha256(CMDLINE.encode())


def test_other_firmware_is_proposed_by_its_name():
    other = (("/fw/other.fd", FirmwareImage.from_bytes(OTHER_FIRMWARE)),)
    vm = MeasuredVm(firmware=OTHER_FIRMWARE)
    deviation = only_deviation(diagnose(question(vm, other_firmware=other)))
    assert deviation.profile == ("firmware", "/fw/other.fd")
    assert deviation.alarm


@pytest.mark.parametrize(
    "weaker",
    [{"kernel_hashes": False}, {"cmdline": ""}, {"initrd": b""}, {"policy": 0x1}],
)
def test_what_gives_up_protection_is_never_proposed(weaker):
    diagnosis = diagnose(question(MeasuredVm(**weaker)))
    assert diagnosis.alarm
    for deviation in (one for match in diagnosis.matches for one in match):
        assert deviation.profile is None or not deviation.alarm
        assert deviation.on_host
