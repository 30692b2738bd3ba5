# SPDX-License-Identifier: Apache-2.0
"""What a host says is shown as it was said, and never obeyed."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextDocument

from watchword.gui.widgets.escape import (
    breakable,
    button_text,
    rich,
    shown,
    shown_line,
    tool_tip,
)
from watchword.gui.widgets.text_label import TextLabel

MARKUP = "<b>good</b><img src='file:///etc/passwd'><a href='x'>"


def test_control_and_direction_characters_are_written_out() -> None:
    assert shown("a\x1b[31mb\u202ec") == "a\\x1b[31mb\\u202ec"
    assert shown("one\ntwo\tthree") == "one\ntwo    three"
    assert shown_line("one\ntwo") == "one\\ntwo"


@given(st.text())
def test_whatever_is_said_is_printable_and_bounded(text: str) -> None:
    result = shown(text, 50)
    assert len(result) <= 50
    assert all(c.isprintable() or c in "\n " for c in result)
    assert len(shown_line(text, 20)) <= 20
    assert "\n" not in shown_line(text, 20)


@given(st.text(alphabet="ab -\n", max_size=200))
def test_breaking_places_are_invisible_and_come_often_enough(text: str) -> None:
    result = breakable(text)
    assert result.replace("\u200b", "") == text
    for run in result.replace("\u200b", " ").replace("-", " ").split():
        assert len(run) <= 25


@given(st.text(max_size=60))
def test_values_come_out_of_markup_as_they_went_in(value: str) -> None:
    document = QTextDocument()
    document.setHtml(rich("<p><b>%1</b></p>", value))
    clean = shown(value)
    assert document.toPlainText().split() == clean.split()


def test_values_are_not_searched_for_place_holders() -> None:
    assert rich("%1 %2", "%2", "x") == "%2 x"
    assert rich("%3", "x") == "%3"


def test_markup_of_a_value_is_escaped() -> None:
    assert rich("%1", MARKUP) == html.escape(MARKUP)
    assert tool_tip("") == ""
    assert "<b>" not in tool_tip(MARKUP)


def test_a_foreign_text_makes_no_shortcut() -> None:
    assert button_text("Save & &exit") == "Save && &&exit"


@pytest.mark.usefixtures("qtbot")
def test_a_label_shows_markup_as_text(qtbot) -> None:
    label = TextLabel(MARKUP)
    qtbot.addWidget(label)
    assert label.textFormat() == Qt.TextFormat.PlainText
    assert label.text().replace("\u200b", "") == MARKUP
    assert label.accessibleName() == MARKUP
    label.say("bell\x07")
    assert label.text() == "bell\\x07"
