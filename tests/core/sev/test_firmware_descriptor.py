# SPDX-License-Identifier: Apache-2.0
"""QEMU's firmware descriptors, and where their images don't hold what they promise."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.sev.firmware_descriptor import (
    DESCRIPTOR_LIMIT,
    FirmwareDescriptor,
    contradictions,
)
from watchword.core.sev.firmware_inspection import inspect_firmware

from . import firmware_maker as make
from .conftest import outcome

AMDSEV = {
    "description": "OVMF with SEV support",
    "interface-types": ["uefi"],
    "mapping": {"device": "memory", "filename": "/usr/share/ovmf/OVMF.amdsev.fd"},
    "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}],
    "features": ["amd-sev", "amd-sev-es", "amd-sev-snp", "verbose-dynamic"],
    "tags": [],
}
SPLIT = {
    **AMDSEV,
    "mapping": {
        "device": "flash",
        "executable": {"filename": "/usr/share/OVMF/OVMF_CODE_4M.fd", "format": "raw"},
        "nvram-template": {"filename": "/usr/share/OVMF/OVMF_VARS_4M.fd", "format": "raw"},
    },
}


def parse(value):
    return FirmwareDescriptor.parse(json.dumps(value))


def test_a_descriptor_of_a_rom_image():
    assert parse(AMDSEV) == FirmwareDescriptor(
        "OVMF with SEV support",
        "memory",
        "/usr/share/ovmf/OVMF.amdsev.fd",
        "",
        "raw",
        ("x86_64",),
        ("amd-sev", "amd-sev-es", "amd-sev-snp", "verbose-dynamic"),
    )
    assert parse(AMDSEV).claims == ("amd-sev", "amd-sev-es", "amd-sev-snp")


def test_a_descriptor_of_code_with_variables_elsewhere():
    split = parse(SPLIT)
    assert (split.device, split.mode, split.stateless) == ("flash", "split", False)
    assert split.filename == "/usr/share/OVMF/OVMF_CODE_4M.fd"


@pytest.mark.parametrize(
    ("mapping", "features"),
    [
        (AMDSEV["mapping"], []),
        ({**SPLIT["mapping"], "mode": "stateless"}, []),
        (SPLIT["mapping"], ["stateless"]),
    ],
)
def test_stateless_firmware_is_known(mapping, features):
    assert parse({**AMDSEV, "mapping": mapping, "features": features}).stateless


def test_the_machines_it_is_for():
    arm = [{"architecture": "aarch64", "machines": ["virt-*"]}]
    assert parse(AMDSEV).for_x86
    assert not parse({**AMDSEV, "targets": arm}).for_x86
    assert parse({**AMDSEV, "targets": [*arm, *AMDSEV["targets"]]}).for_x86


@pytest.mark.parametrize(
    "change",
    [
        {"mapping": None},
        {"mapping": []},
        {"mapping": {"device": "memory"}},
        {"mapping": {"device": "disk", "filename": "/x"}},
        {"mapping": {"device": "memory", "filename": 5}},
        {"mapping": {"device": "flash", "filename": "/x"}},
        {"mapping": {"device": "flash", "executable": {"filename": "/x"}, "mode": 7}},
        {"targets": None},
        {"targets": ["x86_64"]},
        {"targets": [{}]},
        {"targets": AMDSEV["targets"] * 300},
        {"features": "amd-sev"},
        {"features": [["amd-sev"]]},
        {"features": ["x" * 5000]},
        {"description": {}},
    ],
)
def test_a_descriptor_of_another_shape_is_refused(change):
    error = outcome(parse, {**AMDSEV, **change})
    assert error.code == "bad-descriptor"


def test_a_descriptor_that_is_no_object_or_too_large_is_refused():
    assert outcome(parse, [AMDSEV]).code == "bad-descriptor"
    assert outcome(FirmwareDescriptor.parse, "{").code == "bad-json"
    assert outcome(FirmwareDescriptor.parse, " " * (DESCRIPTOR_LIMIT + 1)).code == "bad-descriptor"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@given(st.sampled_from(sorted(AMDSEV)), _JSON)
def test_any_value_gives_a_descriptor_or_a_refusal(key, value):
    found = outcome(parse, {**AMDSEV, key: value})
    assert isinstance(found, FirmwareDescriptor) or found.code == "bad-descriptor"


@given(st.text(max_size=40))
def test_any_text_gives_a_descriptor_or_a_refusal(text):
    with pytest.raises(BadInput):
        FirmwareDescriptor.parse(text)


# -- promises ----------------------------------------------------------------------------

GOOD = make.image(make.new_loader(), make.grub(make.SILENT))
STOCK = make.image(entries=(make.entry(make.SECRET, 0, 0),), variables=False)


def broken(value, image):
    return contradictions(parse(value), inspect_firmware(image))


def test_promises_that_are_kept_are_not_mentioned():
    assert broken({**AMDSEV, "features": ["amd-sev", "amd-sev-es"]}, GOOD) == ()


def test_a_claim_of_sev_with_an_area_of_zero_is_named():
    [claim, es] = broken({**AMDSEV, "features": ["amd-sev", "amd-sev-es"]}, STOCK)
    assert claim.startswith("Claims amd-sev, but is NO-GO for secret injection")
    assert "base 0x0" in claim
    assert es.startswith("Claims amd-sev-es")


def test_a_claim_of_snp_without_metadata_is_named():
    [claim] = broken(AMDSEV, GOOD)
    assert claim.startswith("Claims amd-sev-snp")


def test_an_image_that_is_better_than_its_descriptor_is_named():
    [claim] = broken({**AMDSEV, "features": []}, GOOD)
    assert "Does not claim amd-sev" in claim


def test_variables_that_nobody_measures_are_named():
    [claim] = broken({**SPLIT, "features": ["amd-sev"]}, GOOD)
    assert "NVRAM" in claim
