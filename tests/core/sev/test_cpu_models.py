# SPDX-License-Identifier: Apache-2.0
"""QEMU's CPU models, and family, model and stepping as one number."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.sev.cpu_models import QEMU_MODELS, CpuSignature, parse_cpu


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("EPYC", 0x800F12),
        ("EPYC-v5", 0x800F12),
        ("EPYC-IBPB", 0x800F12),
        ("EPYC-Rome-v5", 0x830F10),
        ("EPYC-Milan", 0xA00F11),
        ("EPYC-Milan-v4", 0xA00F11),
        ("EPYC-Genoa-v3", 0xA10F10),
        ("EPYC-Turin-v2", 0xB00F00),
        ("qemu64", 0x060FB1),
        ("epyc-milan", 0xA00F11),
        (" EPYC ", 0x800F12),
        ("25/1/1", 0xA00F11),
        ("0x19/0x01/0x1", 0xA00F11),
        ("23/0x31/0", 0x830F10),
        ("6/6/3", 0x663),
        ("0x00a00f11", 0xA00F11),
        ("0XA00F11", 0xA00F11),
        ("0xfff", 0xFFF),
    ],
)
def test_a_cpu_can_be_named_in_three_ways(text, value):
    assert parse_cpu(text).value == value


def test_the_models_agree_with_the_peers(vectors):
    rows = json.loads((vectors / "sev-snp-measure.json").read_text())["vectors"]
    pairs = {(row["vcpu_type"], row["vcpu_sig"]) for row in rows if row["vcpu_type"]}
    assert len(pairs) == 7
    assert {name: QEMU_MODELS[name].value for name, _ in pairs} == {
        name: int(value, 16) for name, value in pairs
    }


cpus = st.builds(CpuSignature, st.integers(0, 270), st.integers(0, 255), st.integers(0, 15))


@given(cpus)
def test_a_signature_gives_its_cpu_again(cpu):
    assert CpuSignature.from_value(cpu.value) == cpu
    assert parse_cpu(str(cpu)) == cpu
    assert parse_cpu(f"{cpu.value:#010x}") == cpu
    assert 0 <= cpu.value < 1 << 32


@given(st.integers(-5, 1 << 33))
def test_any_number_is_a_cpu_of_that_number_or_refused(value):
    try:
        cpu = CpuSignature.from_value(value)
    except BadInput:
        return
    assert cpu.value == value


@given(st.one_of(st.text(), st.from_regex(r"(0x)?[0-9a-f]{1,9}(/(0x)?[0-9a-f]{1,9}){0,3}")))
def test_any_text_gives_a_cpu_or_a_refusal(text):
    try:
        cpu = parse_cpu(text)
    except BadInput as refused:
        shown = refused.message + refused.remedy
        assert shown.isprintable()
        return
    assert CpuSignature.from_value(cpu.value) == cpu


@pytest.mark.parametrize(
    "text",
    ["271/0/0", "25/256/0", "25/1/16", "99999999/1/1", "0xf00f0011", "0x00a0ff11"],
)
def test_numbers_out_of_range_are_refused(text):
    with pytest.raises(BadInput) as caught:
        parse_cpu(text)
    assert caught.value.code == "cpu-out-of-range"


@pytest.mark.parametrize("text", ["host", "max", "Host", "host-passthrough"])
def test_the_hosts_own_cpu_needs_its_numbers(text):
    with pytest.raises(BadInput) as caught:
        parse_cpu(text, "--cpu")
    assert caught.value.code == "cpu-is-the-hosts"
    assert "family, model and stepping" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "near"),
    [("EPYC-Millan", "EPYC-Milan"), ("EPYC-Rom", "EPYC-Rome"), ("epyc_genoa", "EPYC-Genoa")],
)
def test_an_unknown_name_is_told_its_neighbours(text, near):
    with pytest.raises(BadInput) as caught:
        parse_cpu(text, "--cpu")
    assert caught.value.code == "cpu-unknown"
    assert near in caught.value.details["near"]
    assert near in caught.value.remedy


@pytest.mark.parametrize(
    "text", ["", "25/1", "25/1/1/1", "a/b/c", "25/-1/1", "0x", "10489617", "EPYC,+avx", "x" * 9999]
)
def test_other_texts_are_unknown(text):
    with pytest.raises(BadInput) as caught:
        parse_cpu(text)
    assert caught.value.code == "cpu-unknown"
    assert len(caught.value.message) < 200
