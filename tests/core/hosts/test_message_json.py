# SPDX-License-Identifier: Apache-2.0
"""What of a hostile peer's JSON is taken in."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.hosts.message_json import parse_object
from watchword.core.hosts.violations import Rule, RuleBroken

DEPTH = 32


def rule_broken_by(line):
    with pytest.raises(RuleBroken) as caught:
        parse_object(line, DEPTH)
    return caught.value.rule


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r\n",
        b"QEMU 9.2.0 monitor - type 'help' for more information\r\n",
        b"[]",
        b"null",
        b'"text"',
        b"{",
        b'{"a":1}{"b":2}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":"\xff"}',
        b'{"a":' + b"9" * 5000 + b"}",
        '{"a":1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"a":1}',
    ],
)
def test_a_line_that_is_no_plain_json_object_is_refused(line):
    assert rule_broken_by(line) is Rule.JSON


@pytest.mark.parametrize("bracket", [b"[", b'{"a":', b'[{"\\"[":'])
def test_deep_nesting_is_refused_before_it_is_parsed(bracket):
    assert rule_broken_by(b'{"a":' + bracket * 100_000) is Rule.JSON_DEPTH


def test_nesting_up_to_the_limit_is_read():
    depth = DEPTH - 1
    line = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    assert parse_object(line, DEPTH)["a"]
    assert rule_broken_by(b'{"a":' + b"[" * DEPTH + b"]" * DEPTH + b"}") is Rule.JSON_DEPTH


def test_brackets_in_strings_and_brackets_side_by_side_are_no_nesting():
    value = {"a": "[{" * 100 + '"\\', "b": [[] for _ in range(100)]}
    assert parse_object(json.dumps(value).encode(), DEPTH) == value


def test_a_megabyte_of_escapes_takes_no_time_worth_mentioning():
    # A regular expression that skips whole strings is quadratic here.
    assert rule_broken_by(b"[" * 33 + b'\\"' * 500_000) is Rule.JSON_DEPTH
    assert rule_broken_by(b'"' + b"[" * 33 + b'\\"' * 500_000) is Rule.JSON


@given(st.one_of(st.binary(), st.text(alphabet='[]{}":,\\1a').map(str.encode)))
def test_any_bytes_give_an_object_or_a_broken_rule(line):
    found = {}
    with contextlib.suppress(RuleBroken):
        found = parse_object(line, 3)
    assert isinstance(found, dict)


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
            lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
            max_leaves=5,
        ),
    )
)
def test_an_object_survives_being_written_and_read(value):
    assert parse_object(json.dumps(value).encode(), 1000) == value
