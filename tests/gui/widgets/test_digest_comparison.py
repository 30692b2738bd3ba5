# SPDX-License-Identifier: Apache-2.0
"""Two digests are compared to the byte, in words as well as in colour."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from watchword.gui.theme import palette_of
from watchword.gui.widgets.copy_button import CopyButton
from watchword.gui.widgets.digest_comparison import DigestComparison, first_difference
from watchword.gui.widgets.hex_text import HexText, grouped_hex
from watchword.gui.widgets.tones import Tone, tone_colours

from .looks import name_of
from .sheets import digest


@pytest.fixture
def comparison(qtbot) -> DigestComparison:
    widget = DigestComparison("launch digest")
    qtbot.addWidget(widget)
    return widget


def lines(widget: DigestComparison) -> list[str]:
    labels = widget.findChildren(QLabel)
    return [x.text() for x in labels if x.textFormat() == Qt.TextFormat.RichText]


def plain(html: str) -> str:
    return re.sub(r"<[^>]*>| ", "", html)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_the_first_difference_is_where_they_part(one: bytes, other: bytes) -> None:
    place = first_difference(one, other)
    if place is None:
        assert one == other
    else:
        assert one[:place] == other[:place]
        assert one[place : place + 1] != other[place : place + 1]


def test_equal_ones_are_said_to_be_equal(comparison: DigestComparison) -> None:
    comparison.compare(digest("a"), digest("a"))
    assert comparison.sentence == "The two are the same, byte for byte."
    assert [plain(line) for line in lines(comparison)] == [digest("a").hex()] * 2
    assert not any("underline" in line for line in lines(comparison))


def test_the_first_difference_is_marked_in_both_and_named(comparison: DigestComparison) -> None:
    other = bytearray(digest("a"))
    other[4] ^= 0xFF
    comparison.compare(digest("a"), bytes(other))
    was, now = digest("a")[4:5].hex(), bytes(other)[4:5].hex()
    assert comparison.sentence == f"They differ from byte 5 on: {was} was expected, {now} reported."
    for line, value, byte in zip(lines(comparison), (digest("a"), other), (was, now), strict=True):
        assert plain(line) == value.hex()
        marked = re.findall(r"<span style=\"([^\"]*)\">([^<]*)</span>", line)
        assert [text for _, text in marked] == [byte]
        assert "underline" in marked[0][0]


@pytest.mark.parametrize(
    ("expected", "reported", "words"),
    [
        (b"\x01\x02", b"\x01", "They differ from byte 2 on: the reported one ends before it."),
        (b"\x01", b"\x01\x02", "They differ from byte 2 on: the reported one goes on there."),
        (b"\x01", b"", "They differ from byte 1 on: the reported one ends before it."),
    ],
)
def test_a_different_length_is_a_difference(
    comparison: DigestComparison, expected: bytes, reported: bytes, words: str
) -> None:
    comparison.compare(expected, reported)
    assert comparison.sentence == words


def test_a_screen_reader_hears_what_was_found(comparison: DigestComparison) -> None:
    comparison.compare(b"\x01", b"\x02")
    assert name_of(comparison).startswith("launch digest: They differ from byte 1 on")


def test_each_of_the_two_is_copied_whole(qtbot, comparison, clipboard) -> None:
    comparison.compare(digest("a"), digest("b"))
    buttons = {name_of(button): button for button in comparison.findChildren(CopyButton)}
    for name, value in (("Expected", digest("a")), ("Reported", digest("b"))):
        qtbot.mouseClick(buttons[f"Copy {name} launch digest"], Qt.MouseButton.LeftButton)
        assert clipboard.text() == value.hex()


def test_the_mark_follows_the_palette(comparison: DigestComparison) -> None:
    comparison.compare(b"\x01", b"\x02")
    for dark in (True, False):
        palette = palette_of(dark=dark)
        comparison.setPalette(palette)
        assert tone_colours(Tone.BAD, palette).text.name() in lines(comparison)[0]


def test_hex_is_grouped_to_be_compared(qtbot) -> None:
    text = HexText(digest("x").hex(), "PDH fingerprint")
    qtbot.addWidget(text)
    assert [len(group) for group in text.text().split(" ")] == [8] * 8
    assert text.text().replace(" ", "") == text.digits == digest("x").hex()
    assert name_of(text) == f"PDH fingerprint: {digest('x').hex()}"
    assert text.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByKeyboard


@pytest.mark.parametrize("text", ["<b>x</b>", "0x12", "abc", "", "zz" * 4])
def test_what_is_no_hex_is_shown_as_it_is(text: str) -> None:
    assert grouped_hex(text) == text


def test_names_and_digits_stand_on_one_line(comparison: DigestComparison, theme) -> None:
    value = b"\x1e" * 32  # digits without a descender, as the names' first letters
    comparison.compare(value, value)
    comparison.resize(900, 120)
    comparison.show()
    picture = comparison.grab().toImage()

    def bottom(label: QLabel, width: int) -> int:
        place = label.geometry()
        return max(
            y
            for y in range(place.top(), place.bottom() + 1)
            for x in range(place.left(), place.left() + width)
            if picture.pixelColor(x, y).lightness() < 150
        )

    names = [x for x in comparison.findChildren(QLabel) if x.text() in ("Expected", "Reported")]
    digits = comparison._lines
    assert len(names) == len(digits) == 2
    assert [bottom(x, 7) for x in names] == [bottom(x, 60) for x in digits]
