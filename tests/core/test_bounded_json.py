# SPDX-License-Identifier: Apache-2.0
"""JSON from strangers: bounded, finite, and either a value or an error in words."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from watchword.core.bounded_json import DEEPEST, parse_json
from watchword.core.errors import BadInput

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)
PIECES = ['{"a":', "[", "]", "}", '"', "\\", "\\ud800", ",", "1", "1e999", "NaN", " ", "\n"]


def refused(text, code="bad-json", **options):
    with pytest.raises(BadInput) as caught:
        parse_json(text, "host.json", **options)
    assert caught.value.code == code
    assert caught.value.field == "host.json"
    return caught.value.message


@settings(max_examples=40)
@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_what_was_written_is_read_back(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert parse_json(text, "file", deepest=100) == value


@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@example("[" * 100_000)
@example("]" * 1000 + "[" * 1000)
@example("[]" + "]" * 1000 + "[" * 2000)
@example('"' + "[" * 1000)
@example('"\\"' + "[" * 1000)
@example('{"a":' * 40 + "1" + "}" * 40)
@example("\ufeff{}")
@example("\ud800")
def test_any_text_is_a_value_or_bad_input(text):
    try:
        value = parse_json(text, "file")
    except BadInput:
        return
    json.dumps(value, allow_nan=False).encode()
    json.dumps(value, ensure_ascii=False).encode()


def test_the_depth_is_bounded_to_the_level():
    assert parse_json("[" * DEEPEST + "]" * DEEPEST, "file")
    assert "deeper" in refused("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "json-too-deep")
    assert "deeper" in refused('{"a":[1]}', "json-too-deep", deepest=1)


@pytest.mark.parametrize("text", ['"[[[["', '"\\"[[["', '{"a":"]]}}[["}', '"\\\\"', "[[], [], []]"])
def test_brackets_in_strings_and_neighbours_are_not_depth(text):
    assert parse_json(text, "file", deepest=2) == json.loads(text)


@pytest.mark.parametrize("digits", [4301, 100_000])
def test_numbers_too_long_for_python_are_our_error(digits):
    for text in ("9" * digits, f"[-{'9' * digits}]", f'{{"a": {"9" * digits}}}'):
        assert "not JSON" in refused(text)


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-Infinity", "[NaN]", "1e999", "-1e999", "[1.0e400]"]
)
def test_numbers_that_are_not_finite_are_refused(text):
    refused(text)


def test_small_and_large_finite_numbers_are_values():
    assert parse_json("1e-999", "file") == 0.0
    assert math.isfinite(parse_json("1.7e308", "file"))
    assert parse_json("9" * 4300, "file") == 10**4300 - 1


@pytest.mark.parametrize(
    "text", ['"\\ud800"', '"\\udfff"', '{"\\ud800": 1}', '["\\udc00\\ud800"]', '"\ud800"']
)
def test_half_a_surrogate_pair_is_refused(text):
    refused(text)


def test_a_whole_surrogate_pair_is_a_character():
    assert parse_json('"\\ud83d\\ude00"', "file") == "\U0001f600"


def test_the_error_names_the_line_and_never_the_text():
    message = refused('{"a": 1,\n "secret": hunter2}')
    assert "line 2" in message
    assert "hunter2" not in message
