# SPDX-License-Identifier: Apache-2.0
"""VMSA pages against those that the peers made, byte for byte."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.sev.cpu_models import CpuSignature, parse_cpu
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.vmsa import (
    BSP_START,
    VMSA_LAYOUT,
    Segment,
    Vmsa,
    VmsaGeneration,
    build_vmsa,
    initial_vmsa,
)

LEGACY = VmsaGeneration.LEGACY
INIT2 = VmsaGeneration.INIT2
MILAN = CpuSignature(25, 1, 1)


def test_legacy_pages_are_those_of_sevctl(vectors):
    expected = json.loads((vectors / "sevctl.json").read_text())["vmsa_pages"]
    starts = {
        FirmwareImage.from_bytes((vectors / name).read_bytes()).reset_address
        for name in ("firmware/OVMF_CODE.fd", "firmware/OVMF_CODE_4M.fd")
    }
    made = {}
    for model in ("EPYC", "EPYC-Rome", "EPYC-Milan"):
        cpu = parse_cpu(model)
        made[f"vmsa_{model}_cpu0.bin"] = build_vmsa(cpu, LEGACY)
        for start in starts:
            page = build_vmsa(cpu, LEGACY, start=start)
            digest = hashlib.sha256(page).hexdigest()
            made[f"vmsa_{model}_cpu1_rst{digest[:6]}.bin"] = page
    assert {name: hashlib.sha256(page).hexdigest() for name, page in made.items()} == expected
    assert made == {name: (vectors / "vmsa" / name).read_bytes() for name in expected}


def test_the_pages_of_sevctl_are_parsed_and_built_again(vectors):
    for path in sorted((vectors / "vmsa").glob("*.bin")):
        page = path.read_bytes()
        vmsa = Vmsa.parse(page)
        assert vmsa.build() == page
        assert vmsa.rdx == parse_cpu(path.name.split("_")[1]).value
        assert vmsa.cs.base + vmsa.rip in (BSP_START, 0x80B004, 0x808004)


def test_the_generations_differ_in_the_floating_point_state_alone():
    legacy, init2 = build_vmsa(MILAN, LEGACY), build_vmsa(MILAN, INIT2)
    different = {i for i in range(4096) if legacy[i] != init2[i]}
    assert different == {0x408, 0x409, 0x410, 0x411}
    assert int.from_bytes(init2[0x408:0x40C], "little") == 0x1F80
    assert int.from_bytes(init2[0x410:0x412], "little") == 0x37F
    assert legacy[0x408:0x412] == bytes(10)


def test_all_32_bits_of_the_start_address_are_used():
    vmsa = initial_vmsa(MILAN, LEGACY, start=0xFF81_B004)
    assert vmsa.cs.base == 0xFF81_0000
    assert vmsa.rip == 0xB004


def test_sev_features_have_64_bits():
    page = build_vmsa(MILAN, LEGACY, sev_features=0x8000_0000_0000_0020)
    assert page[0x3B0:0x3B8] == bytes.fromhex("2000000000000080")
    with pytest.raises(BadInput):
        build_vmsa(MILAN, LEGACY, sev_features=1 << 64)


@pytest.mark.parametrize(("text", "generation"), [("legacy", LEGACY), (" INIT2 ", INIT2)])
def test_a_generation_goes_by_its_name(text, generation):
    assert VmsaGeneration.parse(text) is generation


@pytest.mark.parametrize("text", ["", "init", "snp"])
def test_another_generation_is_refused(text):
    with pytest.raises(BadInput) as caught:
        VmsaGeneration.parse(text)
    assert caught.value.code == "vmsa-generation-unknown"


segments = st.builds(
    Segment,
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF_FFFF),
    st.integers(0, 0xFFFF_FFFF_FFFF_FFFF),
)


@given(st.data())
def test_what_is_built_is_parsed_again(data):
    vmsa = Vmsa(
        **{
            name: data.draw(segments if size == 16 else st.integers(0, (1 << 8 * size) - 1))
            for name, (_, size) in VMSA_LAYOUT.items()
        }
    )
    page = vmsa.build()
    assert len(page) == 4096
    assert Vmsa.parse(page) == vmsa


@given(st.binary(max_size=4200))
def test_any_bytes_give_a_page_or_a_refusal(data):
    with pytest.raises(BadInput):
        Vmsa.parse(data + b"\xff")


@given(st.integers(0, 4095), st.integers(1, 255))
def test_a_flipped_byte_is_another_state_or_refused(place, change):
    page = bytearray(build_vmsa(MILAN, INIT2))
    page[place] ^= change
    inside = any(offset <= place < offset + size for offset, size in VMSA_LAYOUT.values())
    if inside:
        assert Vmsa.parse(bytes(page)).build() == bytes(page)
        return
    with pytest.raises(BadInput) as caught:
        Vmsa.parse(bytes(page))
    assert f"{place:#x}" in caught.value.message


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_segment_has_16_bytes(size):
    with pytest.raises(BadInput):
        Segment.parse(bytes(size))


@pytest.mark.parametrize(
    "segment", [Segment(selector=1 << 16), Segment(limit=-1), Segment(base=1 << 64)]
)
def test_a_segment_that_does_not_fit_is_refused(segment):
    with pytest.raises(BadInput):
        segment.build()
