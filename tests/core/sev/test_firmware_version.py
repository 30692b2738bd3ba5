# SPDX-License-Identifier: Apache-2.0
"""Versions of secure processors' firmware: ranges, order, texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import UsageError
from watchword.core.sev.firmware_version import FirmwareVersion, parse_api

from .conftest import outcome

BYTE = st.integers(0, 255)


@settings(max_examples=40)
@given(st.lists(st.tuples(BYTE, BYTE, BYTE), min_size=2, max_size=2))
def test_versions_are_ordered_by_api_then_build(pair):
    first, second = (FirmwareVersion(*numbers) for numbers in pair)
    assert (first < second) is (pair[0] < pair[1])
    assert first.api == pair[0][:2]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("value", [-1, 256, 1 << 64, 1.0, "1", None])
def test_numbers_beyond_a_byte_are_refused(place, value):
    numbers = [0, 17, 0]
    numbers[place] = value
    with pytest.raises(UsageError) as caught:
        FirmwareVersion(*numbers)
    assert caught.value.code == "bad-firmware-version"


def test_a_version_reads_as_people_write_it():
    assert str(FirmwareVersion(1, 55, 21)) == "1.55 build 21"


@settings(max_examples=40)
@given(BYTE, BYTE)
def test_an_api_version_reads_back(major, minor):
    assert parse_api(f"{major}.{minor}") == (major, minor)


@pytest.mark.parametrize(
    "text", ["", ".", "1", "1.", ".1", "1.2.3", "256.0", "0.256", " 1.2", "-1.0", "1,2", "\u0661.1"]
)
def test_other_texts_are_no_api_version(text):
    with pytest.raises(UsageError):
        parse_api(text)


@given(st.text() | st.text("0123456789.", max_size=9))
def test_any_text_is_an_api_version_or_a_usage_error(text):
    found = outcome(parse_api, text)
    assert isinstance(found, UsageError) or 0 <= min(found) <= max(found) <= 255


def test_a_huge_text_is_not_repeated_whole():
    with pytest.raises(UsageError) as caught:
        parse_api("9" * 100_000)
    assert len(str(caught.value)) < 300
