# SPDX-License-Identifier: Apache-2.0
"""The table at the end of a firmware image and the SEV metadata, hostile ones included."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput, ExitStatus
from watchword.core.sev.firmware_footer import (
    Area,
    FirmwareFooter,
    MetadataSection,
    SevMetadata,
    TableEntry,
    parse_footer,
)

FOOTER = UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
RESET = UUID("00f771de-1a7e-4fcb-890e-68c77e2fb44e").bytes_le
SECRET = UUID("4c2eb361-7d9b-4cc3-8081-127c90d3d294").bytes_le
HASHES = UUID("7255371f-3a3b-4b04-927b-1da6efa8d454").bytes_le
METADATA = UUID("dc886566-984a-4798-a75e-5585a7bf67cc").bytes_le
TDX = UUID("e47a6535-984a-4798-865e-4685a7bf8ec2").bytes_le
IGVM = UUID("784fa70e-3176-4677-8a20-04b68699e374").bytes_le
SVSM = UUID("a789a612-0597-4c4b-a49f-cbb1fe9d1ddd").bytes_le
STRANGE = UUID(int=7).bytes_le


def u32(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def entry(guid: bytes, data: bytes, length: int | None = None) -> bytes:
    length = len(data) + 18 if length is None else length
    return data + length.to_bytes(2, "little") + guid


def image_with(*entries: bytes, length: int | None = None, size: int = 8192, before=b"") -> bytes:
    """An image of ``size`` bytes with a table made by hand, and ``before`` at its start."""
    body = b"".join(entries)
    length = len(body) + 18 if length is None else length
    end = body + length.to_bytes(2, "little") + FOOTER + bytes(32)
    return before + bytes(size - len(before) - len(end)) + end


def footer_of(data: bytes) -> FirmwareFooter | None:
    return parse_footer(data, len(data))


AMDSEV = (
    entry(RESET, u32(0x80B004)),
    entry(SECRET, u32(0x80C000, 0xC00)),
    entry(HASHES, u32(0x80CC00, 0x400)),
)


def test_the_areas_of_an_amdsev_build_are_found():
    footer = footer_of(image_with(*AMDSEV))
    assert footer is not None
    assert footer.reset_address == 0x80B004
    assert footer.secret_area == Area(0x80C000, 0xC00)
    assert footer.hash_area == Area(0x80CC00, 0x400)
    assert not footer.standalone
    assert footer.duplicates == ()


def test_all_32_bits_of_the_reset_address_count():
    footer = footer_of(image_with(entry(RESET, u32(0xFF80B004))))
    assert footer is not None
    assert footer.reset_address == 0xFF80B004


def test_entries_known_and_unknown_are_kept_in_the_order_of_the_file():
    footer = footer_of(image_with(entry(STRANGE, b"abc"), entry(IGVM, u32(5)), entry(SVSM, b"")))
    assert footer is not None
    assert [(e.guid, e.name, e.data) for e in footer.entries] == [
        (STRANGE, "unknown", b"abc"),
        (IGVM, "IGVM metadata", u32(5)),
        (SVSM, "SVSM info", b""),
    ]
    assert footer.has_igvm_metadata
    assert footer.has_svsm_info
    assert not footer.has_tdx_metadata


def test_zeros_are_no_area_but_are_remembered():
    footer = footer_of(image_with(entry(SECRET, u32(0, 0)), entry(HASHES, u32(0x80CC00, 0))))
    assert footer is not None
    assert footer.secret_area is None
    assert footer.declared_secret_area == Area(0, 0)
    assert footer.hash_area is None
    assert footer.declared_hash_area == Area(0x80CC00, 0)
    assert footer.reset_address is None


def test_an_area_with_base_0_is_no_area():
    footer = footer_of(image_with(entry(SECRET, u32(0, 0xC00))))
    assert footer is not None
    assert footer.secret_area is None


def test_of_two_entries_with_one_guid_the_later_counts_as_in_qemu():
    footer = footer_of(image_with(entry(RESET, u32(1)), entry(RESET, u32(2))))
    assert footer is not None
    assert footer.reset_address == 2
    assert footer.duplicates == (RESET,)


def test_a_table_without_entries_is_a_table():
    assert footer_of(image_with()) == FirmwareFooter(())


def test_an_image_from_before_2021_gives_its_reset_address():
    data = bytes(4096 - 32 - 22) + entry(RESET, u32(0x80B004)) + bytes(32)
    footer = footer_of(data)
    assert footer is not None
    assert footer.standalone
    assert footer.reset_address == 0x80B004
    assert footer.build() == entry(RESET, u32(0x80B004))


@pytest.mark.parametrize("data", [bytes(49), bytes(50), bytes(4096), b"\xff" * 8192])
def test_an_image_without_a_table_has_none(data):
    assert footer_of(data) is None


@pytest.mark.parametrize(
    "data",
    [
        image_with(*AMDSEV, length=17),
        image_with(*AMDSEV, length=0),
        image_with(*AMDSEV, length=0xFFFF),
        image_with(*AMDSEV, length=18 + 22 + 26 + 26 + 1),
        image_with(*AMDSEV, length=18 + 22 + 26 + 26 - 1),
        image_with(entry(RESET, u32(1), length=17)),
        image_with(entry(RESET, u32(1), length=0)),
        image_with(entry(RESET, u32(1), length=23)),
        image_with(entry(RESET, u32(1), length=0xFFFF)),
        image_with(entry(RESET, u32(1))[1:]),
        image_with(entry(RESET, b"")),
        image_with(entry(SECRET, u32(1))),
        image_with(entry(HASHES, u32(1, 2, 3))),
        image_with(b"stray bytes", *AMDSEV),
        # Two entries that overlap by one byte and fill the table all the same.
        image_with((18).to_bytes(2, "little") + bytes(15), entry(STRANGE, b"", length=17)),
    ],
)
def test_a_table_that_does_not_hold_together_is_refused(data):
    with pytest.raises(BadInput) as caught:
        footer_of(data)
    assert caught.value.code == "firmware-table-broken"
    assert caught.value.exit_status is ExitStatus.BAD_INPUT


def test_a_table_larger_than_the_image_is_refused():
    with pytest.raises(BadInput):
        footer_of(image_with(*AMDSEV, size=142, length=200))


def test_a_table_that_fills_the_image_is_read():
    data = image_with(*AMDSEV, size=32 + 18 + 22 + 26 + 26)
    assert footer_of(data) is not None


def test_an_image_shorter_than_its_end_is_refused():
    with pytest.raises(BadInput) as caught:
        parse_footer(bytes(100), 99)
    assert caught.value.code == "firmware-size"


guids = st.one_of(
    st.sampled_from([TDX, METADATA, IGVM, SVSM]),
    st.binary(min_size=16, max_size=16).filter(
        lambda guid: guid not in (FOOTER, RESET, SECRET, HASHES)
    ),
)
entries = st.one_of(
    st.builds(TableEntry, guids, st.binary(max_size=40)),
    st.builds(TableEntry, st.just(RESET), st.binary(min_size=4, max_size=4)),
    st.builds(TableEntry, st.sampled_from([SECRET, HASHES]), st.binary(min_size=8, max_size=8)),
)


@given(st.lists(entries, max_size=12), st.integers(0, 3000), st.binary(min_size=32, max_size=32))
def test_what_is_built_is_parsed_again(table, filler, end):
    footer = FirmwareFooter(tuple(table))
    by_hand = image_with(*(entry(e.guid, e.data) for e in table), size=8192)
    assert footer_of(by_hand) == footer
    assert by_hand.endswith(footer.build() + bytes(32))
    assert footer_of(bytes(filler) + footer.build() + end) == footer


@given(st.binary(max_size=300), st.integers(-10, 1 << 40))
def test_any_bytes_and_any_size_give_a_table_or_a_refusal(tail, size):
    try:
        footer = parse_footer(tail, size)
    except BadInput:
        return
    assert footer is None or tail[:-32].endswith(footer.build())


@given(st.binary(max_size=200), st.integers(0, 0xFFFF), st.sampled_from([FOOTER, RESET]))
def test_any_table_under_the_right_guid_gives_a_table_or_a_refusal(body, length, guid):
    tail = body + length.to_bytes(2, "little") + guid + bytes(32)
    try:
        footer = parse_footer(tail, len(tail))
    except BadInput:
        return
    assert footer is not None
    assert tail[:-32].endswith(footer.build())


# SEV metadata

SECTIONS = (
    MetadataSection(Area(0x800000, 0x9000), 1),
    MetadataSection(Area(0x810000, 0x1000), 0x10),
    MetadataSection(Area(1, 2), 99),
)


def metadata(*sections: MetadataSection, signature=b"ASEV", length=None, version=1, count=None):
    body = b"".join(u32(s.area.base, s.area.size, s.type) for s in sections)
    length = 16 + len(body) if length is None else length
    return signature + u32(length, version, len(sections) if count is None else count) + body


def test_sections_known_and_unknown_are_read():
    value = SevMetadata.parse(metadata(*SECTIONS) + b"more")
    assert value == SevMetadata(SECTIONS)
    assert [s.type_name for s in value.sections] == ["SEC_MEM", "KERNEL_HASHES", "0x63"]
    assert value.build() == metadata(*SECTIONS)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        metadata(*SECTIONS)[:-1],
        metadata(*SECTIONS, signature=b"ASEW"),
        metadata(*SECTIONS, length=16),
        metadata(*SECTIONS, length=0xFFFFFFFF),
        metadata(*SECTIONS, version=2),
        metadata(*SECTIONS, count=4),
        metadata(*SECTIONS, count=0xFFFFFFFF, length=16 + 12 * 3),
        metadata(count=1000, length=16 + 12 * 1000),
        metadata(*SECTIONS[:1] * 1025),
    ],
)
def test_broken_metadata_is_refused(broken):
    with pytest.raises(BadInput) as caught:
        SevMetadata.parse(broken)
    assert caught.value.code == "sev-metadata-broken"


@given(
    st.lists(
        st.builds(
            MetadataSection,
            st.builds(Area, *[st.integers(0, 2**32 - 1)] * 2),
            st.integers(0, 2**32 - 1),
        ),
        max_size=30,
    )
)
def test_metadata_that_is_built_is_parsed_again(sections):
    value = SevMetadata(tuple(sections))
    assert SevMetadata.parse(value.build() + b"more") == value


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda b: b"ASEV" + b)))
def test_any_metadata_gives_a_value_or_a_refusal(data):
    try:
        value = SevMetadata.parse(data)
    except BadInput:
        return
    assert data.startswith(value.build())


# Real images


@pytest.mark.parametrize(
    "name",
    [
        "firmware/OVMF_CODE.fd",
        "firmware/OVMF_CODE_4M.fd",
        "inputs/OVMF.amdsev.fd_trimmed_edk2-ovmf-20220126gitbb1bba3d77-4.el9",
        "inputs/ovmf_AmdSev_suffix.bin",
        "inputs/ovmf_OvmfX64_suffix.bin",
    ],
)
def test_the_table_of_a_real_image_is_built_again(vectors, name):
    data = (vectors / name).read_bytes()
    footer = footer_of(data)
    assert footer is not None
    assert data[:-32].endswith(footer.build())
