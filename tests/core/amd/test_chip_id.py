# SPDX-License-Identifier: Apache-2.0
"""Chip ids as people type them, and what is said where there is none."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.amd.chip_id import chip_id_missing, is_usable, parse_chip_id
from watchword.core.errors import BadInput, ExitStatus

CHIP = bytes(range(64))


@pytest.mark.parametrize(
    "text",
    [
        CHIP.hex(),
        CHIP.hex().upper(),
        f"  {CHIP.hex()[:64]}\n{CHIP.hex()[64:]}\n",
        base64.b64encode(CHIP).decode(),
    ],
)
def test_hex_and_base64_are_read(text):
    assert parse_chip_id(text) == CHIP


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "neither"),
        ("ab", "2 hex digits"),
        (CHIP.hex()[:-1], "127 hex digits"),
        (CHIP.hex() * 2, "two chip ids"),
        ("0" * 128, "all zeros"),
        ("zz" * 64, "neither"),
        ("A" * 88, "88 hex digits"),
        ("-" * 88, "neither"),
        (base64.b64encode(bytes(64)).decode(), "all zeros"),
        (base64.b64encode(bytes(65)).decode(), "neither"),
        ("٣" * 128, "neither"),
        ("x" * 100000, "neither"),
    ],
)
def test_everything_else_is_refused(text, words):
    with pytest.raises(BadInput) as failure:
        parse_chip_id(text)
    assert failure.value.code == "bad-chip-id"
    assert words in failure.value.message


@settings(max_examples=40)
@given(st.text())
def test_any_text_is_a_chip_id_or_our_error(text):
    with contextlib.suppress(BadInput):
        assert is_usable(parse_chip_id(text))


@settings(max_examples=40)
@given(st.binary(min_size=64, max_size=64).filter(any))
def test_every_id_is_read_back(chip_id):
    assert parse_chip_id(chip_id.hex()) == chip_id
    assert parse_chip_id(base64.b64encode(chip_id).decode()) == chip_id


def test_a_missing_id_names_the_commands_that_print_it_and_the_other_ways():
    error = chip_id_missing()
    assert error.exit_status is ExitStatus.HOST
    assert "7.1" in error.message
    for way in ("sevctl show identifier", "sevtool --get_id", "--chip-id", "--cek", "export"):
        assert way in error.remedy
