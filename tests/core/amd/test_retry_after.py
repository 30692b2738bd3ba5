# SPDX-License-Identifier: Apache-2.0
"""Retry-After: seconds, dates, and whatever else a server may write there."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.amd.retry_after import come_back_words, seconds_to_wait

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 5 ", 5),
        ("0005", 5),
        ("9999999999", 9999999999),
        ("10000000000", math.inf),
        ("9" * 10000, math.inf),
        ("Mon, 23 Nov 2026 12:01:00 GMT", 60),
        ("Monday, 23-Nov-26 12:01:00 GMT", 60),
        ("Mon, 23 Nov 2026 13:01:00 +0100", 60),
        ("Mon, 23 Nov 2026 12:01:00 -0000", 60),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
    ],
)
def test_seconds_and_dates_are_read(value, seconds):
    assert seconds_to_wait(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "soon",
        "٣",
        "²",
        "Mon, 99 Nov 2026 99:99:99 GMT",
        "x" * 9999,
    ],
)
def test_everything_else_says_nothing(value):
    assert seconds_to_wait(value, NOW) is None


def test_a_date_counts_from_the_answers_own_date():
    value, sent = "Tue, 01 Jan 2030 00:00:30 GMT", "Tue, 01 Jan 2030 00:00:00 GMT"
    assert seconds_to_wait(value, NOW, sent) == 30
    assert seconds_to_wait("Mon, 23 Nov 2026 12:00:30 GMT", NOW, "garbage") == 30


@settings(max_examples=40)
@given(st.text() | st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,5} .{0,20}\Z"))
def test_any_text_gives_a_pause_or_nothing(value):
    seconds = seconds_to_wait(value, NOW, value)
    assert seconds is None or seconds >= 0
    if seconds is not None:
        assert come_back_words(seconds, NOW).startswith("in ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (90, "in 90 s, after 2026-11-23 12:01:30 UTC"),
        (89.5, "in 90 s, after 2026-11-23 12:01:30 UTC"),
        (121, "in 3 minutes, after 2026-11-23 12:02:01 UTC"),
        (86400, "in 1440 minutes, after 2026-11-24 12:00:00 UTC"),
        (86401, "in more than a day"),
        (math.inf, "in more than a day"),
        (math.nan, "in more than a day"),
    ],
)
def test_when_to_come_back_is_said_in_words(seconds, words):
    assert come_back_words(seconds, NOW) == words
