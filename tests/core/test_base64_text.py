# SPDX-License-Identifier: Apache-2.0
"""Strict base64 with a position for what is wrong."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.base64_text import decode_base64, refuse_pem
from watchword.core.errors import BadInput


def refusal(text, limit=100) -> BadInput:
    with pytest.raises(BadInput) as caught:
        decode_base64(text, "session", limit)
    assert caught.value.field == "session"
    return caught.value


@given(
    st.binary(min_size=1, max_size=300), st.integers(1, 80), st.sampled_from(["\n", "\r\n", " "])
)
def test_wrapped_text_is_decoded(data, width, separator):
    text = base64.b64encode(data).decode()
    wrapped = separator.join(text[i : i + width] for i in range(0, len(text), width))
    assert decode_base64(f" {wrapped}\n", "f", 300) == data
    assert decode_base64(text.encode(), "f", 300) == data


@given(st.one_of(st.text(), st.binary(), st.text("AQgw=\n -/+é")))
def test_any_text_gives_bytes_or_a_refusal(text):
    try:
        decoded = decode_base64(text, "f", 100)
    except BadInput:
        return
    compact = "".join((text if isinstance(text, str) else text.decode("ascii")).split())
    assert base64.b64encode(decoded).decode() == compact


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("AAAA!AAA", 1, 5),
        ("AAAA\nAA-A", 2, 3),
        ("AAAA\r\n\r\nAéAA", 3, 2),
        (b"\xff", 1, 1),
        ("AA==AAAA", 1, 5),
        ("AAAA\x00", 1, 5),
    ],
)
def test_junk_is_named_with_its_position(text, line, column):
    error = refusal(text)
    assert error.code == "base64-junk"
    assert (error.details["line"], error.details["column"]) == (line, column)
    assert f"line {line}, column {column}" in error.message


@pytest.mark.parametrize("text", ["A", "AA", "AAA", "AAAAA", "AA=", "A===", "====", "AB==", "AAB="])
def test_a_cut_or_ambiguous_text_is_refused(text):
    assert refusal(text).code == "base64-cut"


@pytest.mark.parametrize("text", ["", " \n", b""])
def test_nothing_is_refused(text):
    assert refusal(text).code == "base64-empty"


def test_more_than_the_limit_is_refused_however_it_is_spread():
    assert decode_base64("AAAA" * 25, "f", 75) == bytes(75)
    assert refusal("AAAA" * 25, 74).code == "base64-too-large"
    assert refusal(" " * 10_000, 74).code == "base64-too-large"


def test_pem_is_refused_in_so_many_words():
    error = refusal("Bag Attributes\n-----BEGIN CERTIFICATE-----\nAAAA\n")
    assert error.code == "pem-not-expected"
    assert "PEM" in error.message
    refuse_pem(b"\x01\x00\x00\x00-----BEG", "f")
