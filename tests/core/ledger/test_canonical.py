# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON: one text for each value, the one that rfc8785 writes, and no other is read."""

from __future__ import annotations

import json
from enum import IntEnum, StrEnum
from types import MappingProxyType

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.ledger.canonical import (
    DEEPEST,
    LARGEST_INTEGER,
    NotCanonical,
    NotPlain,
    canonical,
    parse_canonical,
    plain,
)
from watchword.core.secret import Secret

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


class Word(StrEnum):
    ONE = "one"


class Number(IntEnum):
    TWO = 2


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_what_is_written_is_read_back_as_it_was(value):
    assert plain(value, "value") == value
    assert canonical(value) == rfc8785.dumps(value)
    assert parse_canonical(canonical(value)) == value


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_only_the_text_that_rfc8785_writes_is_read(value):
    for text in (
        json.dumps(value),
        json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
        json.dumps(value, sort_keys=True, separators=(",", ":")),
    ):
        data = text.encode()
        if data == rfc8785.dumps(value):
            assert parse_canonical(data) == value
        else:
            with pytest.raises(NotCanonical):
                parse_canonical(data)


def test_names_are_sorted_as_rfc8785_has_it_and_not_by_code_points():
    # By code points U+FB33 comes before U+1F600; by UTF-16 units it comes after.
    value = {"\N{GRINNING FACE}": 1, "\ufb33": 2}
    data = canonical(value)
    assert data.index("\N{GRINNING FACE}".encode()) < data.index("\ufb33".encode())
    assert parse_canonical(data) == value
    by_code_points = json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    ).encode()
    assert by_code_points != data
    with pytest.raises(NotCanonical):
        parse_canonical(by_code_points)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b' {"a":1}',
        b'{"a":1}\n',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1.0}',
        b'{"a":1.5}',
        b'{"a":1e3}',
        b'{"a":1e400}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a":%s}' % (b"9" * 5000),
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\\u000A"}',
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":"\\ud800"}',
        b'{"\\ud800":1}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\x01"}',
        b"[" * 17 + b"]" * 17,
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    ],
    ids=lambda data: repr(data[:30]),
)
def test_any_other_text_is_refused(data):
    with pytest.raises(NotCanonical):
        parse_canonical(data)


def test_as_deep_as_it_may_be_is_read_and_many_short_lists_are_not_deep():
    deep = b"[" * DEEPEST + b"]" * DEEPEST
    assert canonical(parse_canonical(deep)) == deep
    wide = [[{}]] * 100
    assert parse_canonical(canonical(wide)) == wide


def test_plain_values_are_copies_without_anybodys_own_types():
    inner = {"word": Word.ONE, "number": Number.TWO, "list": (True, None)}
    value = plain(MappingProxyType({"inner": inner}), "body")
    inner["word"] = "changed"
    assert value == {"inner": {"word": "one", "number": 2, "list": [True, None]}}
    assert type(value["inner"]["word"]) is str
    assert type(value["inner"]["number"]) is int


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, 1.5]}, "body.a[1] "),
        ({"a": float("nan")}, "body.a "),
        ({"a": LARGEST_INTEGER + 1}, "body.a "),
        ({"a": -LARGEST_INTEGER - 1}, "body.a "),
        ({"a": b"hunter2"}, "body.a "),
        ({"a": Secret(b"hunter2")}, "body.a "),
        ({"a": "hunter2\ud800"}, "body.a "),
        ({"a\ud800": 1}, "a name in body "),
        ({"a": {7: "hunter2"}}, "body.a "),
        ({"a": {"hunter2"}}, "body.a "),
    ],
    ids=lambda value: None if isinstance(value, str) else repr(value)[:30],
)
def test_what_is_no_plain_json_is_refused_by_its_place_alone(value, place):
    with pytest.raises(NotPlain) as caught:
        plain(value, "body")
    assert str(caught.value).startswith(place)
    assert "hunter2" not in str(caught.value)


def test_a_value_that_is_too_deep_is_refused():
    value = []
    for _ in range(DEEPEST - 1):
        value = [value]
    assert plain(value, "body") == value
    with pytest.raises(NotPlain, match="deeper than 16"):
        plain([value], "body")
    value.append(value)
    with pytest.raises(NotPlain, match="deeper than 16"):
        plain(value, "body")
