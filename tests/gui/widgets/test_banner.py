# SPDX-License-Identifier: Apache-2.0
"""A message on a page: all of an error is there, nothing of it is obeyed, and one can act."""

from __future__ import annotations

import json

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton

from watchword.core.errors import AnswerPending, HostError
from watchword.gui.widgets.banner import Banner
from watchword.gui.widgets.copy_button import CopyButton
from watchword.gui.widgets.foldable import Foldable
from watchword.gui.widgets.tones import Tone

from .looks import name_of, shown
from .sheets import refusal


@pytest.fixture
def banner(qtbot) -> Banner:
    banner = Banner()
    qtbot.addWidget(banner)
    return banner


def texts(banner: Banner) -> list[str]:
    found = [widget for widget in shown(banner) if isinstance(widget, QLabel)]
    return [label.text().replace("\u200b", "") for label in found]


def test_it_is_hidden_until_there_is_something_to_say(banner: Banner) -> None:
    assert not banner.isVisible()
    banner.show_error(refusal())
    assert banner.isVisible()
    banner.clear()
    assert not banner.isVisible()
    assert banner.report == ""


def test_title_message_and_remedy_of_an_error_are_shown(banner: Banner) -> None:
    error = refusal()
    banner.show_error(error)
    assert texts(banner)[:3] == [error.title, error.message, error.remedy]
    assert name_of(banner) == f"Problem: {error.title}"
    assert error.remedy in banner.accessibleDescription()


def test_what_waits_for_somebody_is_no_failure(banner: Banner) -> None:
    banner.show_error(AnswerPending("answer-pending", "Waiting", "For the host.", "Come back."))
    assert banner.tone is Tone.INFO
    banner.show_error(HostError("out-of-reach", "No answer", "None came.", "Try again."))
    assert banner.tone is Tone.BAD


def test_details_are_folded_until_they_are_asked_for(qtbot, banner: Banner) -> None:
    banner.show_error(refusal())
    fold = banner.findChild(Foldable)
    assert not any("measurement-mismatch" in text for text in texts(banner))
    assert fold.button.accessibleDescription() == "folded"
    qtbot.mouseClick(fold.button, Qt.MouseButton.LeftButton)
    assert any("measurement-mismatch" in text for text in texts(banner))
    assert fold.button.accessibleDescription() == "unfolded"
    banner.show_error(refusal())
    assert not fold.opened


def test_copy_details_copies_everything_an_expert_needs(qtbot, banner: Banner, clipboard) -> None:
    error = refusal()
    banner.show_error(error)
    qtbot.mouseClick(banner.findChild(CopyButton), Qt.MouseButton.LeftButton)
    copied = clipboard.text()
    assert error.code in copied
    assert error.message in copied
    assert json.loads(copied[copied.index("{") :]) == dict(error.details)


def test_without_details_there_is_nothing_to_unfold(banner: Banner) -> None:
    banner.show_message(Tone.OK, "Done")
    assert not banner.findChild(Foldable).isVisible()
    assert texts(banner) == ["Done"]


def test_a_button_does_what_it_says_and_goes_with_the_message(qtbot, banner: Banner) -> None:
    done: list[str] = []
    banner.show_error(refusal())
    again = banner.add_action("&Retry", lambda: done.append("retry"))
    new = banner.add_action("&Start a new launch", lambda: done.append("new"), primary=True)
    assert new.property("primary") is True
    qtbot.mouseClick(again, Qt.MouseButton.LeftButton)
    new.setFocus()
    qtbot.keyClick(new, Qt.Key.Key_Space)
    assert done == ["retry", "new"]
    banner.show_message(Tone.INFO, "Something else")
    assert [button for button in shown(banner) if isinstance(button, QPushButton)] == []


def test_markup_of_a_host_is_shown_as_text(qtbot, banner: Banner) -> None:
    banner.show_message(
        Tone.BAD, "<h1>All good</h1>", "<img src=x>", "&amp;", details={"h": "<script>"}
    )
    button = banner.add_foreign_action("Do & die", lambda: None)
    assert texts(banner)[:3] == ["<h1>All good</h1>", "<img src=x>", "&amp;"]
    for label in banner.findChildren(QLabel):
        assert label.textFormat() == Qt.TextFormat.PlainText
    assert button.shortcut().isEmpty()


def test_details_of_a_host_without_end_are_cut(banner: Banner) -> None:
    banner.show_message(Tone.BAD, "x" * 100_000, details={"log": "y" * 1_000_000})
    for label in banner.findChildren(QLabel):
        assert len(label.text()) < 5000
    assert name_of(banner).startswith("Problem: ")
    assert len(name_of(banner)) < 5000
