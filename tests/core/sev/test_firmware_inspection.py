# SPDX-License-Identifier: Apache-2.0
"""The judgements over a firmware image: capabilities, findings, GO or NO-GO."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.sev.firmware_inspection import (
    Weight,
    inspect_firmware,
    is_reset_vector,
)
from watchword.core.simulator import build_firmware

from . import firmware_maker as make

SECTIONS = ((0x800000, 0x9000, 1), (0x80D000, 0x1000, 2), (0x80E000, 0x1000, 3))


def inspect(*modules, **options):
    return inspect_firmware(make.image(*modules, **options))


def codes(inspection):
    return {finding.code: finding for finding in inspection.findings}


def verdicts(inspection):
    return {capability.name: capability.go for capability in inspection.capabilities}


def with_metadata(sections=SECTIONS, signature=b"ASEV", **options):
    """An image whose table leads to SEV metadata in its last 4 KiB."""
    body = b"".join(struct.pack("<III", *section) for section in sections)
    data = struct.pack("<4sIII", signature, 16 + len(body), 1, len(sections)) + body
    entries = (make.entry(make.METADATA, 4096), *make.AMDSEV)
    whole = bytearray(make.image(entries=entries, **options))
    whole[-4096 : len(data) - 4096] = data
    return inspect_firmware(bytes(whole))


# -- GO and NO-GO ------------------------------------------------------------------------


def test_an_image_that_halts_and_asks_nothing_is_go():
    found = inspect(make.new_loader(), make.grub(make.SILENT))
    assert (found.go, found.reasons) == (True, ())
    assert verdicts(found) == {
        "secret injection": True,
        "kernel hashes": True,
        "SEV-ES": True,
        "SEV-SNP": False,
    }
    assert "halts" in found.capabilities[1].reason


def test_an_image_that_falls_through_is_no_go_for_kernel_hashes_alone():
    found = inspect(make.old_loader())
    assert found.go
    assert not verdicts(found)["kernel hashes"]
    finding = codes(found)["hash-mismatch-falls-through"]
    assert (finding.weight, finding.use, finding.waivable) == (
        Weight.NO_GO,
        "kernel-hashes",
        True,
    )


def test_a_grub_that_prompts_is_no_go_for_any_launch_and_can_be_waived():
    found = inspect(make.new_loader(), make.grub(make.PROMPTING))
    finding = codes(found)["grub-prompts"]
    assert (finding.weight, finding.use, finding.waivable) == (Weight.NO_GO, "launch", True)
    assert found.reasons == (finding.text,)
    assert not found.go


def test_an_area_for_hashes_that_nobody_checks_is_no_go():
    found = inspect(make.module(make.LOADER, b"MZ"))
    assert not verdicts(found)["kernel hashes"]
    assert codes(found)["hashes-not-checked"].waivable is False


def test_what_can_not_be_seen_is_a_warning_and_no_verdict():
    found = inspect_firmware(build_firmware())
    assert found.go
    assert verdicts(found)["kernel hashes"]
    assert codes(found)["hash-mismatch-unseen"].weight is Weight.WARNING
    assert "can't be seen" in found.capabilities[1].reason


def test_without_an_area_for_hashes_the_loader_does_not_matter():
    found = inspect(make.old_loader(), entries=make.AMDSEV[1:])
    assert not [code for code in codes(found) if code.startswith("hash")]
    assert "no kernel hash area" in found.capabilities[1].reason


def test_an_area_of_zero_is_no_go():
    entries = (make.entry(make.SECRET, 0, 0), make.entry(make.HASHES, 0, 0))
    found = inspect(entries=entries)
    assert found.reasons == (found.capabilities[0].reason,)
    assert "base 0x0" in found.reasons[0]


def test_a_variable_store_is_no_firmware():
    found = inspect_firmware(make.volume(file_system=make.VARIABLES, size=8192))
    assert not found.go
    assert codes(found)["variable-store"].weight is Weight.NO_GO


def test_code_alone_is_told_to_be_started_without_nvram():
    assert "NVRAM" in codes(inspect(variables=False))["variables-not-measured"].text
    assert "variables-not-measured" not in codes(inspect())


def test_the_gravest_findings_come_first():
    weights = [f.weight for f in inspect(make.grub(make.PROMPTING), last=bytes(16)).findings]
    assert weights == sorted(weights, key=list(Weight).index)
    assert weights[0] is Weight.NO_GO


def test_what_could_not_be_looked_into_is_told():
    data = make.image() + b""
    hidden = make.volume(make.file(make.OTHER, make.guided(make.OTHER, bytes(40))))
    assert "contents-partly-unseen" in codes(inspect_firmware(hidden + data))


# -- areas -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "hashes", "overlap"),
    [
        ((0x810000, 0xC00), (0x810C00, 0x400), False),
        ((0x810000, 0xC01), (0x810C00, 0x400), True),
        ((0x810C00, 0xC00), (0x810900, 0x400), True),
        ((0x810000, 0xC00), (0x810000, 0xC00), True),
    ],
)
def test_areas_that_overlap_are_no_go(secret, hashes, overlap):
    entries = (make.entry(make.SECRET, *secret), make.entry(make.HASHES, *hashes))
    found = inspect(entries=entries)
    assert ("areas-overlap" in codes(found)) is overlap
    assert found.go is not overlap


def test_an_area_in_the_firmware_itself_is_no_go():
    found = inspect(entries=(make.entry(make.SECRET, 0xFFFFF000, 0xC00),))
    assert codes(found)["area-in-firmware"].weight is Weight.NO_GO


@pytest.mark.parametrize(
    ("reset", "inside"), [(0x80FFFF, False), (0x810000, True), (0x810C00, False)]
)
def test_vcpus_that_would_start_in_the_secret_are_told(reset, inside):
    found = inspect(
        entries=(make.entry(make.SECRET, 0x810000, 0xC00), make.entry(make.RESET, reset))
    )
    assert ("reset-address-in-area" in codes(found)) is inside


def test_a_duplicate_in_the_table_is_named():
    entries = (make.entry(make.SECRET, 0x820000, 0xC00), *make.AMDSEV)
    finding = codes(inspect(entries=entries))["duplicate-entry"]
    assert "launch secret area more than once" in finding.text


# -- SEV-SNP -----------------------------------------------------------------------------


def test_metadata_with_the_three_kinds_of_sections_is_go_for_snp():
    found = with_metadata()
    assert verdicts(found)["SEV-SNP"]
    assert found.capabilities[3].reason == "3 sections of SEV metadata."


def test_a_missing_section_is_named():
    reason = with_metadata(SECTIONS[:1]).capabilities[3].reason
    assert "SECRETS or CPUID" in reason


def test_sections_that_overlap_are_no_go_for_snp_alone():
    found = with_metadata((*SECTIONS, (0x80D800, 0x1000, 4)))
    assert not verdicts(found)["SEV-SNP"]
    assert codes(found)["sections-overlap"].use == "sev-snp"
    assert found.go


def test_broken_metadata_is_told_and_does_not_matter_for_sev():
    found = with_metadata(signature=b"ASEW")
    assert "ASEV" in codes(found)["metadata-broken"].text
    assert not verdicts(found)["SEV-SNP"]
    assert found.go


# -- the reset vector --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "good"),
    [
        ("9090e95bff909090", True),
        ("0f20c0a8017405e928ffffffe909ff90", True),
        ("ea5be000f0303030", True),
        ("ebfe", True),
        ("", False),
        ("ff" * 16, False),
        ("f4" * 16, False),
        ("90" * 16, False),
        ("90" * 15 + "e9", False),
        ("0f20c0a801", False),
    ],
)
def test_a_reset_vector_is_a_jump(last, good):
    last = bytes.fromhex(last).ljust(16, b"\0")
    assert is_reset_vector(last) is good
    assert ("reset-vector-odd" in codes(inspect(last=last))) is not good


# -- real images -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["OVMF_CODE.fd", "OVMF_CODE_4M.fd"])
def test_stock_images_are_no_go(vectors, name):
    found = inspect_firmware((vectors / "firmware" / name).read_bytes())
    assert not found.go
    assert verdicts(found)["SEV-ES"]
    assert verdicts(found)["SEV-SNP"] is (name == "OVMF_CODE.fd")
    assert "reset-vector-odd" not in codes(found)
    assert "areas-overlap" not in codes(found)


@pytest.mark.parametrize(
    "name",
    [
        "ovmf_AmdSev_suffix.bin",
        "OVMF.amdsev.fd_trimmed_edk2-ovmf-20220126gitbb1bba3d77-4.el9",
    ],
)
def test_the_ends_of_amdsev_images_are_go_as_far_as_can_be_seen(vectors, name):
    found = inspect_firmware((vectors / "inputs" / name).read_bytes())
    assert found.go
    assert "reset-vector-odd" not in codes(found)
    assert "hash-mismatch-unseen" in codes(found)


def test_the_amdsev_build_of_2022_is_no_go_for_its_grub_and_for_kernel_hashes(vectors):
    path = vectors.parent / "rehearsal" / "artifacts" / "OVMF.amdsev.fd"
    if not path.is_file():
        pytest.skip("no ../shared/rehearsal")
    found = inspect_firmware(path.read_bytes())
    assert {"grub-prompts", "hash-mismatch-falls-through", "tdx"} == set(codes(found))
    assert verdicts(found) == {
        "secret injection": True,
        "kernel hashes": False,
        "SEV-ES": True,
        "SEV-SNP": True,
    }


@given(st.data())
def test_a_mutated_image_gives_an_inspection_or_a_refusal(data):
    mutated = bytearray(make.image(make.old_loader(), make.grub(make.SILENT)))
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[-data.draw(st.integers(1, 200))] = data.draw(st.integers(0, 255))
    try:
        found = inspect_firmware(bytes(mutated))
    except BadInput:
        return
    assert found.go is not bool(found.reasons)
    assert all(finding.as_json()["text"] for finding in found.findings)
