# SPDX-License-Identifier: Apache-2.0
"""A diagnosis tells mistakes from alarms, and names every way in which one may have come about."""

from __future__ import annotations

import pytest

from watchword.core.sev.diagnosis import diagnose
from watchword.core.simulator import FirmwareVersion as SimulatedVersion

from .measured_vm import (
    CMDLINE,
    DEFAULT,
    INIT2,
    OTHER_FIRMWARE,
    TEK,
    MeasuredVm,
    codes,
    image,
    question,
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"policy": 0x1},
        {"policy": DEFAULT & ~4},
        {"firmware": OTHER_FIRMWARE},
        {"kernel_hashes": False},
        {"cmdline": ""},
        {"initrd": b""},
        {"version": SimulatedVersion(0, 16, 0)},
        {"version": SimulatedVersion(1, 54, 24)},
        {"vcpus_measured": False},
        {"vcpus": 4, "policy": 0x5},
    ],
)
def test_less_protection_or_other_code_is_an_alarm(wrong):
    diagnosis = diagnose(question(MeasuredVm(**wrong)))
    assert diagnosis.alarm
    assert any(line.startswith("- ALARM: ") for line in diagnosis.lines())


@pytest.mark.parametrize(
    "wrong",
    [
        {"vcpus": 4},
        {"kind": INIT2},
        {"key": TEK},
        {"cmdline": CMDLINE + "\n"},
        {"version": SimulatedVersion(1, 55, 36)},
        {"policy": 0x3101002F},
    ],
)
def test_a_mere_mistake_is_no_alarm(wrong):
    diagnosis = diagnose(question(MeasuredVm(**wrong)))
    assert diagnosis.explained
    assert not diagnosis.alarm


def test_a_weaker_policy_is_not_to_be_approved_and_its_losses_are_named():
    (match,) = diagnose(question(MeasuredVm(policy=0x21))).matches
    assert "gives up NOKS, ES, NOSEND, the minimum API 0.17" in match[0].text
    assert match[0].remedy.startswith("Do not approve the weaker policy")


def test_swapped_keys_and_a_weaker_policy_are_both_said():
    diagnosis = diagnose(question(MeasuredVm(key=TEK, policy=0x5)))
    assert codes(diagnosis) == {"tek-tik-swapped", "policy-weaker"}
    assert diagnosis.alarm


def test_a_policy_that_two_tools_could_have_made_is_explained_by_both():
    diagnosis = diagnose(question(MeasuredVm(policy=0x2F)))
    assert [match[0].code for match in diagnosis.matches] == [
        "policy-cut-to-8-bits",
        "policy-nibbles-split",
    ]
    assert "Or:" in diagnosis.lines()


def test_equal_images_are_named_by_each_of_their_names():
    others = (("a.fd", image(OTHER_FIRMWARE)), ("b.fd", image(OTHER_FIRMWARE)))
    diagnosis = diagnose(question(MeasuredVm(firmware=OTHER_FIRMWARE), other_firmware=others))
    assert ["a.fd" in match[0].text for match in diagnosis.matches] == [True, False]
    assert len(diagnosis.matches) == 2
