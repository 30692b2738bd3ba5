# SPDX-License-Identifier: Apache-2.0
"""Firmware images read as streams, and what they can do."""

from __future__ import annotations

import hashlib
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.sev.firmware import FIRMWARE_LIMIT, TAIL_SIZE, FirmwareImage
from watchword.core.sev.firmware_footer import (
    HASH_AREA_GUID,
    RESET_BLOCK_GUID,
    SECRET_AREA_GUID,
    SEV_METADATA_GUID,
    Area,
    FirmwareFooter,
    MetadataSection,
    SevMetadata,
    TableEntry,
)


def entry(guid: UUID, *numbers: int) -> TableEntry:
    return TableEntry(guid, b"".join(number.to_bytes(4, "little") for number in numbers))


def image_with(*entries: TableEntry, size: int = 8192, before: bytes = b"") -> bytes:
    """An image of ``size`` bytes with a table, and ``before`` at its start."""
    end = FirmwareFooter(entries).build() + bytes(32)
    return before + bytes(size - len(before) - len(end)) + end


AMDSEV = (
    entry(RESET_BLOCK_GUID, 0x80B004),
    entry(SECRET_AREA_GUID, 0x80C000, 0xC00),
    entry(HASH_AREA_GUID, 0x80CC00, 0x400),
)
OLD_IMAGE = (
    bytes(4096 - 32 - 22)
    + FirmwareFooter((entry(RESET_BLOCK_GUID, 0x80B004),), standalone=True).build()
    + bytes(32)
)


@given(st.data())
def test_a_mutated_table_gives_a_table_or_a_refusal(data):
    image = bytearray(image_with(*AMDSEV, entry(SEV_METADATA_GUID, 0x200), size=4096))
    for _ in range(data.draw(st.integers(1, 4))):
        image[-data.draw(st.integers(1, 200))] = data.draw(st.integers(0, 255))
    try:
        read = FirmwareImage.from_bytes(bytes(image))
    except BadInput:
        return
    assert read.capabilities.as_json()


# SEV metadata

SECTIONS = (
    MetadataSection(Area(0x800000, 0x9000), 1),
    MetadataSection(Area(0x810000, 0x1000), 0x10),
    MetadataSection(Area(1, 2), 99),
)


def image_with_metadata(data: bytes, offset: int | None = None, size: int = 8192) -> FirmwareImage:
    offset = size if offset is None else offset
    image = image_with(entry(SEV_METADATA_GUID, offset), size=size, before=data)
    return FirmwareImage.from_bytes(image)


def test_sev_metadata_is_read():
    image = image_with_metadata(SevMetadata(SECTIONS).build())
    assert image.metadata == SevMetadata(SECTIONS)
    assert image.metadata_problem is None


def test_broken_metadata_is_told_and_does_not_spoil_the_image():
    image = image_with_metadata(b"ASEW" + SevMetadata(SECTIONS).build()[4:])
    assert image.metadata is None
    assert "ASEV" in (image.metadata_problem or "")


@pytest.mark.parametrize("offset", [0, 1, 15, 8193, 0xFFFFFFFF])
def test_metadata_outside_the_image_is_told(offset):
    image = image_with_metadata(SevMetadata(()).build(), offset)
    assert image.metadata is None
    assert image.metadata_problem


def test_metadata_too_far_from_the_end_is_told():
    image = image_with_metadata(SevMetadata(SECTIONS).build(), size=2 * TAIL_SIZE)
    assert image.metadata is None
    assert "only 131072" in (image.metadata_problem or "")


# Images


def test_hash_and_table_come_from_one_pass():
    data = image_with(*AMDSEV, before=b"code")
    image = FirmwareImage.from_chunks(iter([data]))
    assert image.size == len(data)
    assert image.sha256 == hashlib.sha256(data).digest()
    assert image.secret_area == Area(0x80C000, 0xC00)


@settings(max_examples=25)
@given(st.data())
def test_chunks_of_any_size_give_what_one_chunk_gives(data):
    whole = image_with(
        *AMDSEV,
        entry(SEV_METADATA_GUID, 300 << 10),
        size=300 << 10,
        before=SevMetadata(SECTIONS).build(),
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=30)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert FirmwareImage.from_chunks(parts) == FirmwareImage.from_bytes(whole)


def test_many_small_chunks_give_what_one_chunk_gives():
    whole = image_with(*AMDSEV, size=300 << 10)
    parts = (whole[i : i + 7] for i in range(0, len(whole), 7))
    assert FirmwareImage.from_chunks(parts) == FirmwareImage.from_bytes(whole)


def test_the_running_hash_can_be_taken_up_any_number_of_times():
    data = image_with(*AMDSEV)
    image = FirmwareImage.from_bytes(data)
    for more in (b"", b"one", b"two"):
        running = image.hash_state()
        running.update(more)
        assert running.digest() == hashlib.sha256(data + more).digest()
    assert image.hash_state().digest() == image.sha256


@pytest.mark.parametrize("size", [0, 1, 4095, 4097, 8192 - 16])
def test_an_image_that_qemu_would_not_map_is_refused(size):
    with pytest.raises(BadInput) as caught:
        FirmwareImage.from_bytes(bytes(size), "--firmware")
    assert caught.value.code == "firmware-size"
    assert caught.value.field == "--firmware"


def test_an_endless_image_is_refused_at_the_limit():
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1 << 20
            yield bytes(1 << 20)

    with pytest.raises(BadInput) as caught:
        FirmwareImage.from_chunks(endless())
    assert caught.value.code == "firmware-size"
    assert taken == FIRMWARE_LIMIT + (1 << 20)


def test_a_damaged_table_spoils_the_image():
    data = bytearray(image_with(*AMDSEV))
    data[-50] = 3
    with pytest.raises(BadInput) as caught:
        FirmwareImage.from_bytes(data, "--firmware")
    assert caught.value.field == "--firmware"


# What an image can do


def judged(*table: bytes) -> dict[str, tuple[bool, str]]:
    found = FirmwareImage.from_bytes(image_with(*table)).capabilities
    return {
        c.name: (c.go, c.reason)
        for c in (found.secret_injection, found.kernel_hashes, found.sev_es)
    }


def test_an_amdsev_build_can_do_everything():
    verdicts = judged(*AMDSEV)
    assert all(go for go, _ in verdicts.values())
    assert verdicts["secret injection"][1] == "3072 bytes at 0x80c000."


@pytest.mark.parametrize(
    ("table", "name", "reason"),
    [
        ((entry(SECRET_AREA_GUID, 0, 0),), "secret injection", "leaves it out"),
        ((entry(SECRET_AREA_GUID, 0x80C000, 47),), "secret injection", "48 are needed"),
        ((entry(SECRET_AREA_GUID, 0x80C008, 0xC00),), "secret injection", "multiple of 16"),
        ((entry(SECRET_AREA_GUID, 0xFFFFF000, 0x1010),), "secret injection", "beyond 4 GiB"),
        ((), "secret injection", "names no launch secret area"),
        ((entry(HASH_AREA_GUID, 0, 0),), "kernel hashes", "leaves it out"),
        ((entry(HASH_AREA_GUID, 0x80CC00, 175),), "kernel hashes", "176 are needed"),
        ((), "kernel hashes", "names no kernel hash area"),
        ((entry(RESET_BLOCK_GUID, 0),), "SEV-ES", "is 0"),
        ((), "SEV-ES", "not in its table"),
    ],
)
def test_what_an_image_can_not_do_is_said_with_the_reason(table, name, reason):
    go, why = judged(*table)[name]
    assert not go
    assert reason in why


def test_the_smallest_areas_will_do():
    verdicts = judged(entry(SECRET_AREA_GUID, 16, 48), entry(HASH_AREA_GUID, 1, 176))
    assert verdicts["secret injection"][0]
    assert verdicts["kernel hashes"][0]


def test_an_image_without_a_table_can_do_nothing_but_be_measured():
    image = FirmwareImage.from_bytes(bytes(4096))
    assert [c["verdict"] for c in image.capabilities.as_json()] == ["NO-GO"] * 3
    assert "no table" in image.capabilities.sev_es.reason
    assert image.reset_address is None
    assert image.secret_area is None
    assert image.hash_area is None


def test_an_image_from_before_2021_can_do_sev_es_alone():
    found = FirmwareImage.from_bytes(OLD_IMAGE).capabilities
    assert found.sev_es.go
    assert not found.kernel_hashes.go
    assert "before 2021" in found.kernel_hashes.reason


# Real images: file, reset address, secret area, hash area, number of sections

REAL = [
    ("firmware/OVMF_CODE.fd", 0x80B004, Area(0, 0), Area(0, 0), 5),
    ("firmware/OVMF_CODE_4M.fd", 0x808004, Area(0, 0), Area(0, 0), None),
    ("inputs/OVMF.amdsev.fd_trimmed_edk2-ovmf-20220126gitbb1bba3d77-4.el9",
     0x80B004, Area(0x80C000, 0xC00), Area(0x80CC00, 0x400), None),
    ("inputs/ovmf_AmdSev_suffix.bin", 0x80B004, Area(0x810000, 0xC00), Area(0x810C00, 0x400), 7),
    ("inputs/ovmf_OvmfX64_suffix.bin", 0x80B004, Area(0, 0), Area(0, 0), 6),
]  # fmt: skip


@pytest.mark.parametrize(("name", "reset", "secret", "hashes", "sections"), REAL)
def test_real_images_are_read(vectors, name, reset, secret, hashes, sections):
    image = FirmwareImage.from_bytes((vectors / name).read_bytes())
    assert image.footer is not None
    assert image.reset_address == reset
    assert image.footer.declared_secret_area == secret
    assert image.footer.declared_hash_area == hashes
    assert image.capabilities.secret_injection.go == (secret.base != 0)
    assert image.capabilities.kernel_hashes.go == (hashes.base != 0)
    assert image.capabilities.sev_es.go
    assert image.metadata_problem is None
    assert (image.metadata and len(image.metadata.sections)) == sections


@settings(max_examples=200)
@given(st.data())
def test_a_mutated_real_image_gives_a_value_or_a_refusal(vectors, data):
    image = bytearray((vectors / "inputs/ovmf_AmdSev_suffix.bin").read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.one_of(st.integers(1, 180), st.integers(0x4E0, 0x560)))
        image[-place] = data.draw(st.integers(0, 255))
    try:
        read = FirmwareImage.from_bytes(bytes(image))
    except BadInput:
        return
    assert read.size == 4096
    assert len(read.capabilities.as_json()) == 3


def test_the_tail_that_is_kept_holds_the_largest_table():
    assert TAIL_SIZE >= 0xFFFF + 32


def test_a_firmware_without_a_usable_secret_area_is_refused_for_secrets(vectors) -> None:
    # QEMU would write to guest address 0 and say that all went well.
    image = FirmwareImage.from_bytes((vectors / "firmware" / "OVMF_CODE.fd").read_bytes())
    with pytest.raises(BadInput) as refusal:
        image.require_secret_area()
    assert refusal.value.code == "firmware-without-secret-area"
    suffix = (vectors / "inputs" / "ovmf_AmdSev_suffix.bin").read_bytes()
    assert FirmwareImage.from_bytes(suffix).require_secret_area() == 0xC00
