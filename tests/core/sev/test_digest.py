# SPDX-License-Identifier: Apache-2.0
"""Launch digests against the peers', and what is refused instead of computed."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput, UsageError
from watchword.core.sev.cpu_models import CpuSignature
from watchword.core.sev.digest import (
    GuestContents,
    VcpuSetup,
    hash_contents,
    launch_digest,
    launch_digest_from_firmware_hash,
    launch_digests_by_vcpus,
)
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.kernel_hashes import KernelHashes
from watchword.core.sev.vmsa import VmsaGeneration, build_vmsa

MILAN = CpuSignature(25, 1, 1)
HASHES = KernelHashes(kernel=b"k" * 32, initrd=b"i" * 32, cmdline=b"c" * 32)


def firmware_with(reset: int = 0x80B004, hash_base: int = 0x80CC00) -> FirmwareImage:
    """A small image whose table has a reset block and a hash area."""
    table = b""
    for guid, numbers in (
        ("00f771de-1a7e-4fcb-890e-68c77e2fb44e", (reset,)),
        ("7255371f-3a3b-4b04-927b-1da6efa8d454", (hash_base, 0x400)),
    ):
        data = b"".join(number.to_bytes(4, "little") for number in numbers)
        table += data + (len(data) + 18).to_bytes(2, "little") + UUID(guid).bytes_le
    footer = UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
    end = table + (len(table) + 18).to_bytes(2, "little") + footer + bytes(32)
    return FirmwareImage.from_bytes(bytes(4096 - len(end)) + end, "--firmware")


FIRMWARE = firmware_with()


# The peers' vectors


@pytest.fixture(scope="module")
def available(vectors):
    """The firmware that the vectors name, as far as it is at hand, by the vectors' names."""
    rows = json.loads((vectors / "sev-snp-measure.json").read_text())["firmware"]
    images = {}
    for name, row in rows.items():
        kind, _, file = name.partition(":")
        paths = {"bookworm": vectors / "firmware" / file}
        paths["sid"] = vectors.parent / "rehearsal" / "artifacts" / file
        path = paths.get(kind, vectors / name)
        data = path.read_bytes() if path.is_file() else b""
        # A file of the same name may be of another build.
        if hashlib.sha256(data).hexdigest() == row["sha256"]:
            images[name] = FirmwareImage.from_bytes(data)
    return images


@pytest.fixture(scope="module")
def kernel_hashes_of(vectors):
    def hashes_of(row) -> KernelHashes | None:
        if row["kernel"] is None:
            return None
        read = partial(_chunks, vectors / "inputs")
        return KernelHashes.from_streams(
            read(row["kernel"]), row["initrd"] and read(row["initrd"]), row["cmdline"]
        )

    return hashes_of


def _chunks(folder, name):
    return [(folder / name).read_bytes()]


def test_the_digests_of_sev_snp_measure(vectors, available, kernel_hashes_of):
    rows = json.loads((vectors / "sev-snp-measure.json").read_text())["vectors"]
    agreed, refused, absent, wrong = 0, 0, 0, []
    for row in rows:
        image = available.get(row["firmware"])
        if image is None:
            absent += 1
            continue
        vcpus = None
        if row["mode"] == "seves":
            cpu = CpuSignature.from_value(int(row["vcpu_sig"], 16))
            vcpus = VcpuSetup(row["vcpus"], cpu, VmsaGeneration.INIT2)
        try:
            made = launch_digest(image, kernel_hashes=kernel_hashes_of(row), vcpus=vcpus)
        except BadInput as error:
            refused += error.code == "firmware-without-kernel-hashes"
            if row["expected"] is not None:
                wrong.append((row, error.code))
            continue
        agreed += 1
        if made.value.hex() != row["expected"]:
            wrong.append((row, made.value.hex()))
    print(f"sev-snp-measure: {agreed} agree, {refused} are refused by both, {absent} not at hand")
    assert wrong == []
    assert (agreed, refused, absent) == (99, 24, 0)


def test_the_digests_of_sevctl(vectors, available, kernel_hashes_of):
    rows = json.loads((vectors / "sevctl.json").read_text())["measurements"]
    known = json.loads((vectors / "sev-snp-measure.json").read_text())["firmware"]
    agreed, absent, wrong = 0, 0, []
    for row in rows:
        expected = bytes.fromhex(row["launch_digest"])
        image = available.get(row["firmware"])
        hashes = kernel_hashes_of(row)
        if image is None:
            if row["num_cpus"] or hashes:
                absent += 1
                continue
            firmware_hash = bytes.fromhex(known[row["firmware"]]["sha256"])
            made = launch_digest_from_firmware_hash(firmware_hash).value
        elif hashes and not image.capabilities.kernel_hashes.go:
            # QEMU would not start this one; sevctl computes it without looking.
            with pytest.raises(BadInput):
                launch_digest(image, kernel_hashes=hashes)
            made = hash_contents(image, hashes, ())
        else:
            vcpus = row["num_cpus"] and VcpuSetup(row["num_cpus"], CpuSignature(**row["cpu"]))
            made = launch_digest(image, kernel_hashes=hashes, vcpus=vcpus or None).value
        agreed += 1
        if made != expected:
            wrong.append((row, made.hex()))
    print(f"sevctl: {agreed} agree, {absent} need firmware that is not at hand")
    assert wrong == []
    assert agreed + absent == 30
    assert absent == (0 if "sid:OVMF.amdsev.fd" in available else 6)


# What goes in, and in which order


def test_plain_sev_measures_the_firmware_alone():
    digest = launch_digest(FIRMWARE)
    assert digest.value == FIRMWARE.sha256
    assert [c.name for c in digest.components] == ["firmware"]


def test_the_parts_are_hashed_in_the_order_of_the_launch():
    vcpus = VcpuSetup(3, MILAN)
    first = build_vmsa(MILAN, VmsaGeneration.LEGACY)
    other = build_vmsa(MILAN, VmsaGeneration.LEGACY, start=0x80B004)
    digest = launch_digest(FIRMWARE, kernel_hashes=HASHES, vcpus=vcpus)
    running = FIRMWARE.hash_state()
    for part in (HASHES.build(), first, other, other):
        running.update(part)
    assert digest.value == running.digest()


def test_a_digest_tells_what_went_into_it():
    vcpus = VcpuSetup(3, MILAN, VmsaGeneration.INIT2, sev_features=0x20)
    shown = launch_digest(FIRMWARE, kernel_hashes=HASHES, vcpus=vcpus).as_json()
    assert len(shown["launch_digest"]) == 64
    rows = [(c["name"], c["size"], c["count"]) for c in shown["components"]]
    assert rows == [
        ("firmware", 4096, 1),
        ("kernel-hashes", 176, 1),
        ("vmsa", 4096, 1),
        ("vmsa", 4096, 2),
    ]
    assert shown["components"][0]["sha256"] == FIRMWARE.sha256.hex()
    assert HASHES.cmdline.hex() in shown["components"][1]["description"]
    last = shown["components"][3]["description"]
    assert last == "vCPUs 1 to 2: CPU 25/1/1, init2, SEV features 0x20, start at 0x80b004"
    assert json.loads(json.dumps(shown)) == shown


cpus = st.builds(CpuSignature, st.integers(15, 270), st.integers(0, 255), st.integers(0, 15))
setups = st.builds(
    VcpuSetup,
    st.integers(1, 20),
    cpus,
    st.sampled_from(VmsaGeneration),
    st.integers(0, (1 << 64) - 1),
)


@given(setups, st.one_of(st.none(), st.just(HASHES)))
def test_a_series_gives_each_digest(most, hashes):
    series = dict(launch_digests_by_vcpus(FIRMWARE, hashes, most))
    assert list(series) == list(range(1, most.count + 1))
    for count, value in series.items():
        setup = VcpuSetup(count, most.cpu, most.generation, most.sev_features)
        assert value == launch_digest(FIRMWARE, kernel_hashes=hashes, vcpus=setup).value


class CountingFirmware:
    """Stands in for the hash of an image and counts the bytes that go through it."""

    def __init__(self, running, counter):
        self.running, self.counter = running, counter

    def update(self, data):
        self.counter.append(len(data))
        self.running.update(data)

    def digest(self):
        return self.running.digest()


def test_a_series_hashes_each_page_once_and_the_firmware_never(monkeypatch):
    counter = []
    real = FirmwareImage.hash_state
    monkeypatch.setattr(
        FirmwareImage, "hash_state", lambda image: CountingFirmware(real(image), counter)
    )
    assert len(list(launch_digests_by_vcpus(FIRMWARE, HASHES, VcpuSetup(255, MILAN)))) == 255
    assert sum(counter) == 176 + 255 * 4096


# Refusals


def test_kernel_hashes_are_refused_where_the_firmware_has_no_place_for_them():
    with pytest.raises(BadInput) as caught:
        GuestContents(firmware_with(hash_base=0), HASHES)
    error = caught.value
    assert error.code == "firmware-without-kernel-hashes"
    assert error.field == "--firmware"
    assert "AmdSev" in error.remedy


def test_more_than_one_vcpu_needs_a_reset_block():
    firmware = firmware_with(reset=0)
    assert launch_digest(firmware, vcpus=VcpuSetup(1, MILAN))
    with pytest.raises(BadInput) as caught:
        launch_digest(firmware, vcpus=VcpuSetup(2, MILAN))
    assert caught.value.code == "firmware-without-reset-block"
    with pytest.raises(BadInput):
        next(launch_digests_by_vcpus(firmware, None, VcpuSetup(2, MILAN)))


def test_a_known_hash_is_the_digest_of_plain_sev():
    known = launch_digest_from_firmware_hash(FIRMWARE.sha256)
    assert known.value == launch_digest(FIRMWARE).value
    assert known.as_json()["components"][0]["size"] is None


@pytest.mark.parametrize(
    "more", [{"kernel_hashes": HASHES}, {"vcpus": VcpuSetup(1, MILAN)}], ids=["kernel", "vcpus"]
)
def test_a_known_hash_is_not_enough_where_more_is_measured(more):
    with pytest.raises(UsageError) as caught:
        launch_digest_from_firmware_hash(FIRMWARE.sha256, **more)
    assert caught.value.exit_status == 2
    assert "one SHA-256 over the firmware and what follows it" in caught.value.message


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_hash_of_another_size_is_refused(size):
    with pytest.raises(BadInput):
        launch_digest_from_firmware_hash(bytes(size))


@pytest.mark.parametrize("count", [-1, 0, 8193])
def test_a_number_of_vcpus_out_of_range_is_refused(count):
    with pytest.raises(BadInput) as caught:
        VcpuSetup(count, MILAN)
    assert caught.value.code == "vcpus-out-of-range"


@pytest.mark.parametrize("features", [-1, 1 << 64])
def test_features_out_of_range_are_refused(features):
    with pytest.raises(BadInput) as caught:
        VcpuSetup(1, MILAN, sev_features=features)
    assert caught.value.code == "sev-features-out-of-range"
