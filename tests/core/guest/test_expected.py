# SPDX-License-Identifier: Apache-2.0
"""The launch digests that a profile allows: against plain SHA-256 and the simulated QEMU."""

from __future__ import annotations

import base64

import pytest

from watchword.core.errors import BadInput
from watchword.core.guest import expected as expected_module
from watchword.core.guest.expected import MOST_DIGESTS, count_combinations, expected_launch
from watchword.core.sev.digest import launch_digest
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement import compute_measurement
from watchword.core.simulator import (
    FirmwareRecipe,
    PlatformKeys,
    SaveAreaKind,
    SecureProcessor,
    StartOrder,
    VirtualMachine,
    build_firmware,
)
from watchword.core.simulator.other_owner import make_session

from .support import NOW, RESET, digest_of, kernel_table, sha256

FIRMWARE = build_firmware()


def values(profile):
    return [expected.digest.value for expected in profile.to_expected().digests]


def test_plain_sev_is_the_hash_of_the_firmware(make):
    [expected] = make().to_expected().digests
    assert expected.digest.value == sha256(FIRMWARE)
    assert expected.description.startswith("firmware /")


def test_firmware_known_by_its_hash_alone_is_that_hash(make):
    by_hash = {"sha256": "ab" * 32, "approved": NOW}
    profile = make(firmware=["OVMF.fd", by_hash])
    assert values(profile) == [sha256(FIRMWARE), bytes.fromhex("ab" * 32)]
    assert profile.to_expected().secret_area == 0xC00


def test_kernel_hashes_go_between_firmware_and_vcpus(make):
    profile = make(
        kernel="vmlinuz", initrd="initrd", cmdline="console=ttyS0", vcpus=2, vmsa="legacy"
    )
    table = kernel_table(b"a kernel", b"an initrd", "console=ttyS0")
    assert values(profile) == [digest_of(FIRMWARE, table=table, vcpus=2)]


def test_no_initrd_and_no_command_line_are_hashed_as_qemu_does(make):
    profile = make(kernel="vmlinuz")
    assert values(profile) == [digest_of(FIRMWARE, table=kernel_table(b"a kernel", b"", ""))]


def test_auto_tries_both_generations_legacy_first(make):
    profile = make(vcpus="1-2")
    kinds = (SaveAreaKind.LEGACY, SaveAreaKind.INIT2)
    assert values(profile) == [
        digest_of(FIRMWARE, vcpus=count, kind=kind) for kind in kinds for count in (1, 2)
    ]
    assert values(make(vcpus="1-2", vmsa="init2")) == values(profile)[2:]


def test_every_combination_of_the_sets_is_allowed_and_described(make, files, tmp_path):
    other = build_firmware(FirmwareRecipe(seed="other"))
    (tmp_path / "other.fd").write_bytes(other)
    known = {"sha256": sha256(b"old kernel").hex(), "approved": NOW}
    profile = make(
        firmware=["OVMF.fd", str(tmp_path / "other.fd")],
        kernel=["vmlinuz", known],
        initrd="initrd",
        cmdline=["a", {"sha256": sha256(b"b\0").hex()}],
        vcpus=[1, 4],
        cpu=["EPYC-Milan", "EPYC-Rome"],
        sev_features="0x20",
    )
    wanted = {
        digest_of(
            firmware,
            table=kernel_table(kernel, b"an initrd", line),
            vcpus=count,
            cpu=cpu,
            kind=kind,
            features=0x20,
        ): (name, count, model, kind.value)
        for name, firmware in (("OVMF.fd", FIRMWARE), ("other.fd", other))
        for kernel in (b"a kernel", b"old kernel")
        for line in ("a", "b")
        for count in (1, 4)
        for model, cpu in (("EPYC-Milan", 0xA00F11), ("EPYC-Rome", 0x830F10))
        for kind in SaveAreaKind
    }
    expected = profile.to_expected()
    assert len(expected.digests) == len(wanted) == count_combinations(profile) == 64
    assert {one.digest.value for one in expected.digests} == set(wanted)
    for value, (name, count, model, generation) in wanted.items():
        words = expected.which(value).description
        assert f"/{name}, kernel " in words
        assert f", {count} vCPU" in words
        assert f"{model} ({generation} VMSA)" in words
    assert expected.which(bytes(32)) is None


def test_each_digest_names_its_components_as_if_it_were_computed_alone(make):
    profile = make(vcpus="1-3", kernel="vmlinuz")
    image = FirmwareImage.from_bytes(FIRMWARE)
    for expected in profile.to_expected().digests:
        parts = expected.digest.components
        vcpus = sum(part.count for part in parts if part.name == "vmsa")
        assert f"{vcpus} vCPU" in expected.description
        assert (parts[0].name, parts[0].sha256, parts[1].name) == (
            "firmware",
            image.sha256,
            "kernel-hashes",
        )
        if vcpus > 1:
            assert f"{RESET:#x}" in parts[-1].description
    first, *_ = profile.to_expected().digests
    assert first.digest.components[0] == launch_digest(image).components[0]


def test_cpus_of_one_signature_make_one_digest(make):
    profile = make(vcpus=1, vmsa="legacy", cpu=["EPYC-Milan", "EPYC-Milan-v2", "25/1/1"])
    [expected] = profile.to_expected().digests
    assert "EPYC-Milan or EPYC-Milan-v2 or 25/1/1" in expected.description


def test_the_smallest_secret_area_counts(make, tmp_path):
    recipe = FirmwareRecipe(secret_area=type(FirmwareRecipe().secret_area)(0x810000, 0x400))
    (tmp_path / "small.fd").write_bytes(build_firmware(recipe))
    profile = make(firmware=["OVMF.fd", str(tmp_path / "small.fd")])
    assert profile.to_expected().secret_area == 0x400


def test_secrets_need_firmware_that_can_take_them(make, files):
    files["OVMF.fd"].write_bytes(build_firmware(FirmwareRecipe(secret_area=None)))
    assert make().to_expected().secret_area == 0
    with pytest.raises(BadInput) as caught:
        make(secrets={"disk-passphrase": "vm1/disk"}).to_expected()
    assert caught.value.code == "firmware-without-secret-area"


def test_too_many_combinations_are_refused_before_anything_is_read(make, monkeypatch):
    profile = make(vcpus="1-5001")
    assert count_combinations(profile) == 10_002
    monkeypatch.setattr(expected_module, "examine_files", None)
    with pytest.raises(BadInput) as caught:
        profile.to_expected()
    assert caught.value.code == "too-many-launches"
    assert "10002 combinations; 10000 are the most" in caught.value.message


def test_too_much_to_hash_is_refused_too(make):
    lines = [f"line {number}" for number in range(64)]
    profile = make(vcpus=8192, kernel="vmlinuz", cmdline=lines)
    with pytest.raises(BadInput, match="too many to hash"):
        expected_launch(profile)


def test_ten_thousand_digests_are_allowed(make):
    profile = make(vcpus="1-2500", cpu=["EPYC", "EPYC-Milan"])
    assert count_combinations(profile) == MOST_DIGESTS
    found = profile.to_expected().digests
    assert len(found) == MOST_DIGESTS
    assert found[2499].digest.value == digest_of(FIRMWARE, vcpus=2500, cpu=0x800F12)
    assert len(profile.to_expected().launch_digests()[-1].components) == 3


@pytest.fixture(scope="module")
def processor():
    return SecureProcessor(PlatformKeys.generate(2048))


@pytest.mark.parametrize(
    ("vcpus", "kind"), [(1, SaveAreaKind.LEGACY), (3, SaveAreaKind.LEGACY), (2, SaveAreaKind.INIT2)]
)
def test_what_a_secure_processor_measures_matches_the_one_combination(make, processor, vcpus, kind):
    profile = make(kernel="vmlinuz", cmdline=["quiet", "debug"], vcpus="1-4")
    policy = profile.policy.value
    owner = make_session(processor.keys.pdh_key.public_key(), policy)
    order = StartOrder(
        FIRMWARE,
        policy=policy,
        dh_cert=owner.dh_cert_file,
        session=owner.session_file,
        kernel=b"a kernel",
        command_line="debug",
        vcpus=vcpus,
        save_area_kind=kind,
    )
    machine = VirtualMachine(order, processor)
    reported = base64.b64decode(machine.measurement)
    machine.shut_down()
    version = FirmwareVersion(
        processor.version.api_major, processor.version.api_minor, processor.version.build
    )
    matching = [
        expected
        for expected in profile.to_expected().digests
        if reported[:32]
        == compute_measurement(
            owner.keys.tik, version, policy, expected.digest.value, reported[32:]
        )
    ]
    [match] = matching
    assert f"command line “debug”, {vcpus} vCPU" in match.description
    assert kind.value in match.description
