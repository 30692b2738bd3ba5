# SPDX-License-Identifier: Apache-2.0
"""libvirt's virt-qemu-sev-validate judges what our simulator measures: right guests, wrong ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from watchword.core.sev.cpu_models import QEMU_MODELS
from watchword.core.simulator import FirmwareVersion

from .claims import Claim, Guest, validator_words
from .desk import CURRENT, Desk
from .peer_validator import Validator
from .table import Counts
from .verdicts import Verdict

SEV = 0x1100002B  # NODBG, NOKS, NOSEND, SEV, API 0.17
ES = SEV | 4
BOOT = ("kernel", "initrd", "root=/dev/mapper/root quiet")

PLAIN = [
    (Guest(firmware), policy)
    for firmware in ("firmware", "other-reset", "no-hash-area", "no-table", "large-area")
    for policy in (SEV, 0x1, 0x3, 0x31010001)
]
WITH_KERNEL = [
    Guest(kernel="kernel", initrd=initrd, cmdline=cmdline)
    for initrd in (None, "initrd", "empty")
    for cmdline in (None, "", "quiet", "quiet ", " quiet", "a\tb", "utf8=éü漢", "x" * 2048)
]
BY_CPU = [
    Guest(vcpus=vcpus, cpu=cpu)
    for cpu in sorted({(cpu.family, cpu.model, cpu.stepping) for cpu in QEMU_MODELS.values()})
    for vcpus in (1, 2, 3, 17)
] + [
    Guest(firmware="other-reset", vcpus=2),
    Guest(vcpus=255),
    Guest(*("firmware", *BOOT), vcpus=4),
]
BY_PAGES = [
    Guest(vcpus=vcpus, init2=init2, features=features)
    for vcpus in (2, 3, 64)
    for init2, features in ((False, 0), (False, 0x20), (True, 0), (True, 0x21))
]


def verdicts(
    desk: Desk, validator: Validator, guests: list[tuple[Guest, int]], *, pages: bool = False
) -> list[Verdict]:
    """Start each guest under its policy, and have the truth about it judged."""
    answers = []
    for guest, policy in guests:
        claim = desk.claim(desk.start(guest, policy), guest)
        answers.append(validator(*validator_words(replace(claim, pages=pages))).verdict)
    return answers


def accepts_all(answers: list[Verdict]) -> bool:
    return set(answers) == {Verdict.ACCEPTED}


def test_it_runs_the_same_as_a_process_of_its_own(desk: Desk, validator: Validator) -> None:
    guest = Guest(*("firmware", *BOOT), vcpus=2)
    claim = desk.claim(desk.start(guest, ES), guest)
    wrong = replace(claim, build=claim.build + 1)
    unusable = replace(claim, guest=replace(guest, vcpus=None))
    for case, status in ((claim, 0), (wrong, 1), (unusable, 2)):
        words = validator_words(case)
        assert validator(*words) == validator.as_process(*words)
        assert validator(*words).status == status


def test_plain_sev(desk: Desk, validator: Validator, compared: Counts) -> None:
    assert accepts_all(verdicts(desk, validator, PLAIN))
    compared.agree("validate-sev", len(PLAIN))


def test_kernel_hashes(desk: Desk, validator: Validator, compared: Counts) -> None:
    assert accepts_all(verdicts(desk, validator, [(guest, SEV) for guest in WITH_KERNEL]))
    compared.agree("validate-kernel", len(WITH_KERNEL))


def test_sev_es_by_the_cpus_numbers(desk: Desk, validator: Validator, compared: Counts) -> None:
    assert accepts_all(verdicts(desk, validator, [(guest, ES) for guest in BY_CPU]))
    compared.agree("validate-es", len(BY_CPU))


def test_sev_es_by_pages_that_we_make(desk: Desk, validator: Validator, compared: Counts) -> None:
    answers = verdicts(desk, validator, [(guest, ES) for guest in BY_PAGES], pages=True)
    assert accepts_all(answers)
    compared.agree("validate-es-pages", len(BY_PAGES))


def test_sev_es_by_pages_that_sevctl_made(
    desk: Desk, validator: Validator, vectors: Path, compared: Counts
) -> None:
    """Three programs at once: sevctl's pages, libvirt's verdict, our simulator's measurement."""
    known = json.loads((vectors / "sevctl.json").read_text())["measurements"]
    pairs = {tuple(row["vmsa"]): (row["cpu"], row["firmware"]) for row in known if row["vmsa"]}
    answers = []
    for (first, other), (cpu, name) in pairs.items():
        path = vectors / name.replace("bookworm:", "firmware/")
        if not path.is_file():
            continue
        numbers = (cpu["family"], cpu["model"], cpu["stepping"])
        guest = Guest(desk.take(path), vcpus=3, cpu=numbers)
        claim = desk.claim(desk.start(guest, ES), guest)
        words = [word for word in validator_words(claim) if not word.startswith("--cpu-")]
        pages = [
            f"--vmsa-cpu{n}={vectors / 'vmsa' / page}" for n, page in enumerate((first, other))
        ]
        answers.append(validator(*words, *pages).verdict)
    assert accepts_all(answers)
    compared.agree("validate-es-sevctl", len(answers))


def test_real_firmware(desk: Desk, validator: Validator, vectors: Path, compared: Counts) -> None:
    amdsev = [path for path in (vectors / "inputs").iterdir() if "amdsev" in path.name.lower()]
    plain = [vectors / "firmware" / "OVMF_CODE.fd", vectors / "firmware" / "OVMF_CODE_4M.fd"]
    guests = []
    for path in (*plain, *amdsev):
        name = desk.take(path)
        guests += [(Guest(name), SEV), (Guest(name, vcpus=1), ES), (Guest(name, vcpus=5), ES)]
    for path in amdsev:
        guests.append((Guest(desk.take(path), *BOOT, vcpus=2), ES))
    assert accepts_all(verdicts(desk, validator, guests))
    compared.agree("validate-real-firmware", len(guests))


@pytest.mark.parametrize(
    "version", [(0, 17, 48), (0, 22, 14), (0, 24, 255), (1, 0, 0), (1, 49, 6), (255, 255, 255)]
)
def test_each_part_of_the_firmwares_version_is_measured(
    desk: Desk, validator: Validator, version: tuple[int, int, int]
) -> None:
    guest = Guest(vcpus=2)
    claim = desk.claim(desk.start(guest, 0x5, FirmwareVersion(*version)), guest)
    assert validator(*validator_words(claim)).verdict is Verdict.ACCEPTED
    major, minor, build = version
    wrong = [((major ^ 1, minor), build), ((major, minor ^ 1), build), ((major, minor), build ^ 1)]
    for api, other_build in wrong:
        words = validator_words(replace(claim, api=api, build=other_build))
        assert validator(*words).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    "change",
    [
        {"cmdline": "root=/dev/sda quiet"},
        {"vcpus": 5},
        {"firmware": "other-firmware"},
        {"kernel": "other-kernel"},
        {"cpu": (25, 1, 0)},
    ],
)
def test_another_guest_is_refused(desk: Desk, validator: Validator, change: dict) -> None:
    guest = Guest(*("firmware", *BOOT), vcpus=4)
    claim = desk.claim(desk.start(guest, ES), guest)
    other = replace(claim, guest=replace(guest, **change))
    assert validator(*validator_words(claim)).status == 0
    assert validator(*validator_words(other)).status == 1


def test_another_policy_is_refused(desk: Desk, validator: Validator) -> None:
    claim = desk.claim(desk.start(Guest(), SEV), Guest())
    words = validator_words(replace(claim, policy=SEV & ~1))
    assert validator(*words).status == 1


def test_it_reads_policies_in_decimal_alone(
    desk: Desk, validator: Validator, compared: Counts
) -> None:
    claim = desk.claim(desk.start(Guest(), SEV), Guest())
    words = validator_words(claim)
    spelled = [f"--policy={SEV:#x}" if word.startswith("--policy") else word for word in words]
    assert (validator(*words).status, validator(*spelled).status) == (0, 2)
    compared.differ("decimal-policy", 1)


def test_a_guest_of_the_other_vmsa_generation_is_refused(desk: Desk, validator: Validator) -> None:
    """It knows the legacy pages alone, which QEMU makes unless told otherwise."""
    guest = Guest(vcpus=2, init2=True)
    claim: Claim = desk.claim(desk.start(guest, ES, CURRENT), guest)
    assert validator(*validator_words(claim)).status == 1
