# SPDX-License-Identifier: Apache-2.0
"""JSON values are told apart in a stream that is cut anywhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.simulator import json_stream
from watchword.core.simulator.json_stream import (
    DEEPEST_NESTING,
    JsonStream,
    Malformed,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), json_values, max_size=4)


def parse(*pieces: bytes) -> list[object]:
    stream = JsonStream()
    return [value for piece in pieces for value in stream.feed(piece)]


@settings(max_examples=30)
@given(st.lists(objects, max_size=4), st.data())
def test_messages_are_found_however_the_stream_is_cut(messages, data):
    text = "".join(
        json.dumps(message, ensure_ascii=data.draw(st.booleans())) for message in messages
    ).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert parse(*pieces) == messages


def test_a_message_may_come_byte_by_byte():
    text = b'{"execute": "a", "arguments": {"b": "}\\"{\\\\"}} [1]'
    found = parse(*(text[at : at + 1] for at in range(len(text))))
    assert found == [{"execute": "a", "arguments": {"b": '}"{\\'}}, [1]]


def test_an_unfinished_message_waits():
    assert parse(b'{"execute": "cont"') == []
    assert parse(b'{"execute": "cont"', b"}") == [{"execute": "cont"}]


@given(st.binary(max_size=80))
def test_any_bytes_are_cut_the_same_way_whole_or_in_pieces(noise: bytes):
    whole = parse(noise)
    assert parse(*(noise[at : at + 1] for at in range(len(noise)))) == whole


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{'execute'}", "JSON parse error, expecting value"),
        (b'{"a": nonsense}', "JSON parse error, expecting value"),
        (b'{"a": NaN}', "JSON parse error, invalid keyword 'NaN'"),
        (b'{"a": 1, "a": 2}', "JSON parse error, duplicate key"),
        (b'{"\xff": 1}', "JSON parse error, invalid UTF-8 sequence in string"),
        (b"{]", "JSON parse error, expecting value"),
        (b"}", "JSON parse error, expecting value"),
        (b"hello ", "JSON parse error, expecting value"),
        (b'{"a": ' + b"1" * 5000 + b"}", "JSON parse error, expecting value"),
    ],
)
def test_what_is_no_json_is_answered_as_qemu_does_and_the_next_message_is_read(text, words):
    assert parse(text + b'{"a": 1}') == [Malformed(words), {"a": 1}]


def test_values_that_are_no_objects_are_values():
    assert parse(b'7 "x" null [1]{"a": 2}') == [7, "x", None, [1], {"a": 2}]


def test_deep_nesting_is_refused_and_skipped():
    depth = DEEPEST_NESTING + 1
    tower = b"[" * depth + b"]" * depth
    limit = Malformed("JSON nesting depth limit exceeded")
    assert parse(tower, b'{"a": 1}') == [limit, {"a": 1}]
    assert parse(b"[" * 100_000) == [limit]
    allowed = b"[" * DEEPEST_NESTING + b"]" * DEEPEST_NESTING
    assert len(parse(allowed)) == 1
    assert not isinstance(parse(allowed)[0], Malformed)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> int:
    """A limit that is reached quickly."""
    assert json_stream.LARGEST_MESSAGE == 8 << 20
    monkeypatch.setattr(json_stream, "LARGEST_MESSAGE", 1 << 16)
    return 1 << 16


def test_a_message_without_end_is_refused_and_does_not_pile_up(limit: int):
    stream = JsonStream()
    piece = b"x" * 4096
    found = list(stream.feed(b'{"a": "'))
    for _ in range(limit // len(piece) + 3):
        found += stream.feed(piece)
    assert found == [Malformed("JSON token size limit exceeded")]
    assert len(stream._buffer) <= len(piece)
    assert list(stream.feed(b'"} {"b": 1}')) == [{"b": 1}]


def test_a_word_without_end_is_refused(limit: int):
    pieces = [b"x" * 4096] * (limit // 4096 + 1)
    assert parse(*pieces) == [Malformed("JSON token size limit exceeded")]


def test_a_message_just_below_the_limit_is_read(limit: int):
    message = {"a": "x" * (limit - 9)}
    text = json.dumps(message).encode()
    assert len(text) == limit
    assert parse(text[:-1], text[-1:]) == [message]
