# SPDX-License-Identifier: Apache-2.0
"""A diagnosis is text and no more: bounded, the same each time, without keys or digests."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import fields, replace

import pytest

from watchword.core.errors import BadInput, UsageError
from watchword.core.secret import Secret
from watchword.core.sev import diagnosis_search, digest
from watchword.core.sev.diagnosis import Diagnosis, DirectBoot, diagnose
from watchword.core.sev.diagnosis_search import MACS_MOST, PAGES_MOST, Search
from watchword.core.sev.vmsa import build_vmsa
from watchword.core.simulator import FirmwareRecipe, build_firmware

from .measured_vm import (
    APPROVED,
    BOOT,
    CMDLINE,
    TEK,
    TIK,
    VCPUS,
    MeasuredVm,
    image,
    question,
)

UNEXPLAINED = MeasuredVm(kernel=b"a kernel that nobody approved")


@pytest.fixture(scope="module")
def unexplained():
    return diagnose(question(UNEXPLAINED))


def many_images(number):
    recipes = (FirmwareRecipe(size=4096, seed=str(seed)) for seed in range(number))
    return tuple((f"{recipe.seed}.fd", image(build_firmware(recipe))) for recipe in recipes)


def test_without_a_match_it_says_what_was_tried_and_what_was_not(unexplained):
    assert not unexplained.explained
    assert unexplained.matches == ()
    assert unexplained.complete
    assert not unexplained.alarm
    text = "\n".join(unexplained.lines())
    for words in (
        f"None of {unexplained.variants_tried} usual mistakes explains it",
        "OVMF_CODE.fd",
        "1 to 512 vCPUs",
        "kernel hashes off",
        "spellings of the command line",
        "TEK and TIK swapped",
        "other policies",
        "firmware versions",
        "another launch blob",
    ):
        assert words in text


def test_what_cannot_be_tried_is_named_with_the_reason():
    asked = question(UNEXPLAINED, bytes(32), tek=None, other_firmware=())
    not_tried = " ".join(diagnose(asked).not_tried)
    for words in ("only the launch digest is known", "no other image", "TEK is not at hand"):
        assert words in not_tried
    boot_unknown = question(UNEXPLAINED, replace(APPROVED, boot=None))
    assert "no kernel is given" in " ".join(diagnose(boot_unknown).not_tried)


def test_thousands_of_variants_are_tried_within_the_bound(unexplained):
    assert 10_000 < unexplained.variants_tried <= MACS_MOST


def test_the_same_question_has_the_same_answer(unexplained):
    assert diagnose(question(UNEXPLAINED)) == unexplained
    vm = MeasuredVm(vcpus=4, policy=0x2F)
    assert diagnose(question(vm)) == diagnose(question(vm))


def test_the_largest_question_stays_within_the_bounds():
    approved = replace(APPROVED, vcpus=replace(VCPUS, count=255))
    asked = question(UNEXPLAINED, approved, other_firmware=many_images(80))
    search = Search(asked)
    assert search.run() == ()
    assert search.tried <= MACS_MOST
    assert not search.complete
    assert search.pages_hashed <= PAGES_MOST


def test_images_beyond_the_limit_are_said_not_to_be_tried():
    diagnosis = diagnose(question(UNEXPLAINED, bytes(32), other_firmware=many_images(65)))
    assert any("64" in words for words in diagnosis.not_tried)
    assert not any("64.fd" in words for words in diagnosis.tried)


def test_a_search_that_ends_at_its_bound_says_so(monkeypatch):
    monkeypatch.setattr(diagnosis_search, "MACS_MOST", 5_000)
    diagnosis = diagnose(question(UNEXPLAINED))
    assert diagnosis.variants_tried <= 5_000
    assert not diagnosis.complete
    assert "The search reached its bounds: there was more to try." in diagnosis.lines()


def test_pages_are_built_once_and_the_firmware_is_never_hashed_again(monkeypatch):
    built = []

    def counted(*arguments, **options):
        built.append(arguments)
        return build_vmsa(*arguments, **options)

    monkeypatch.setattr(digest, "build_vmsa", counted)
    search = Search(question(UNEXPLAINED))
    search.run()
    # Two pages for each CPU, generation and set of features, however many vCPUs and files.
    assert len(built) < 250
    assert search.pages_hashed < search.tried / 2


def test_a_firmware_without_reset_block_is_tried_with_one_vcpu():
    lone = build_firmware(FirmwareRecipe(seed="lone", reset_address=None))
    vm = MeasuredVm(firmware=lone, vcpus=1)
    diagnosis = diagnose(question(vm, other_firmware=(("lone.fd", image(lone)),)))
    (match,) = diagnosis.matches
    assert [deviation.code for deviation in match] == ["vcpu-count", "other-firmware"]


def test_a_measurement_that_was_refused_for_another_reason_is_said_to_be_as_expected():
    diagnosis = diagnose(question(MeasuredVm()))
    ((deviation,),) = diagnosis.matches
    assert deviation.code == "no-difference"
    assert diagnosis.variants_tried == 1
    assert diagnosis.lines()[-1] == "This explains the refusal. It does not lift it."


@pytest.mark.parametrize(
    "wrong", [{"vcpus": 4}, {"policy": 0x1}, {"cmdline": ""}, {"kernel": b"other"}, {"key": TEK}]
)
def test_nothing_in_it_can_be_fed_back_or_is_secret(wrong):
    vm = MeasuredVm(**wrong)
    asked = question(vm)
    diagnosis = diagnose(asked)
    said = "\n".join(
        (json.dumps(diagnosis.as_json()), repr(diagnosis), *diagnosis.lines(), repr(asked.tik))
    )
    assert not re.search(r"[0-9a-fA-F]{24}", said)
    for key in (TEK, TIK):
        for form in (key.decode(), key.hex(), base64.b64encode(key).decode()):
            assert form not in said
            assert form not in repr(asked)
    assert CMDLINE not in said
    assert CMDLINE not in repr(asked)


def test_it_consists_of_text_numbers_and_truth_alone():
    diagnosis = diagnose(question(MeasuredVm(vcpus=4)))
    assert json.loads(json.dumps(diagnosis.as_json())) == diagnosis.as_json()
    assert [field.name for field in fields(Diagnosis)] == [
        "matches",
        "variants_tried",
        "tried",
        "not_tried",
        "complete",
    ]
    assert diagnosis.as_json()["matches"] == [
        [
            {
                "code": "vcpu-count",
                "text": "The VM has 4 vCPUs, not 2.",
                "remedy": "Have it started with 2 vCPUs (QEMU's -smp), or expect 4 (--vcpus 4).",
                "alarm": False,
                "profile": {"vcpus": 4},
                "on_host": "Start the VM with 2 vCPUs (-smp 2).",
            }
        ]
    ]


def test_the_keys_are_left_as_they_were():
    asked = question(MeasuredVm(vcpus=4))
    diagnose(asked)
    for secret, value in ((asked.tik, TIK), (asked.tek, TEK)):
        with secret.reveal() as data:
            assert bytes(data) == value


def test_wiped_keys_are_an_error_and_no_diagnosis():
    asked = question(MeasuredVm(vcpus=4), tik=Secret(TIK))
    asked.tik.wipe()
    with pytest.raises(UsageError) as caught:
        diagnose(asked)
    assert caught.value.code == "secret-wiped"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"approved": bytes(31)}, "bad-launch-digest"),
        ({"policy": 1 << 32}, "bad-policy"),
        ({"policy": -1}, "bad-policy"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(change, code):
    with pytest.raises(UsageError) as caught:
        replace(question(MeasuredVm()), **change)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "parts",
    [
        {"kernel": b"short"},
        {"kernel": bytes(32), "cmdline": b"short"},
        {"kernel": bytes(32), "cmdline": "\udcff"},
    ],
)
def test_boot_files_that_make_no_sense_are_refused(parts):
    with pytest.raises(BadInput):
        DirectBoot(**parts)


def test_a_table_that_is_not_measured_is_empty():
    assert len(BOOT.table()) == 176
    assert replace(BOOT, measured=False).table() == b""
