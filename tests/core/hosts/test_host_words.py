# SPDX-License-Identifier: Apache-2.0
"""A host's own words are shown bounded and harmless."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from watchword.core.hosts.host_words import visible


def test_terminal_sequences_and_newlines_are_written_out():
    assert visible("\x1b[2Jok\r\n\0") == "\\x1b[2Jok\\x0d\\x0a\\x00"


def test_bidirectional_and_invisible_characters_are_written_out():
    assert visible("a\u202eb\u200b\u2028\ufeff") == "a\\u202eb\\u200b\\u2028\\ufeff"


def test_stacked_marks_lone_surrogates_and_odd_spaces_are_written_out():
    assert visible("e\u0301\ud800\u00a0\U000e0041") == "e\\u0301\\ud800\\xa0\\U000e0041"


def test_markup_and_letters_of_any_script_stay():
    assert visible("<b>Größe 大</b>") == "<b>Größe 大</b>"


def test_long_words_are_cut_and_marked():
    assert visible("x" * 1_000_000, 10) == "x" * 10 + "…"
    assert visible("x" * 10, 10) == "x" * 10


@given(st.text(alphabet=st.characters()), st.integers(0, 50))
def test_any_text_becomes_one_bounded_printable_line(words, limit):
    shown = visible(words, limit)
    assert shown.isprintable()
    assert len(shown) <= limit + 1
