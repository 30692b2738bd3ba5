# SPDX-License-Identifier: Apache-2.0
"""Every term is explained on the spot, by mouse, by keyboard and by ear."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel

from watchword.gui.widgets.explained import ExplainButton, Explained, Explanation
from watchword.resources.glossary import term

from .looks import name_of


@pytest.fixture
def explained(qtbot) -> Iterator[Explained]:
    widget = Explained("pdh")
    qtbot.addWidget(widget)
    widget.show()
    yield widget
    while (popup := QApplication.activePopupWidget()) is not None:
        popup.close()


def open_explanation(explained: Explained) -> Explanation:
    popup = explained.button.findChild(Explanation)
    assert popup is not None
    assert popup.isVisible()
    return popup


def test_the_button_says_what_it_explains(explained: Explained) -> None:
    assert explained.label.text() == "PDH"
    assert name_of(explained.button) == "What is Platform Diffie-Hellman key?"
    assert explained.button.accessibleDescription() == term("pdh").plain
    assert term("pdh").plain in explained.button.toolTip()
    assert explained.button.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_the_explanation_has_a_sentence_for_each(qtbot, explained: Explained) -> None:
    qtbot.keyClick(explained.button, Qt.Key.Key_Space)
    popup = open_explanation(explained)
    texts = [label.text().replace("\u200b", "") for label in popup.findChildren(QLabel)]
    entry = term("pdh")
    assert texts == [f"PDH: {entry.name}", entry.plain, entry.expert]
    assert popup.accessibleDescription() == f"{entry.plain} {entry.expert}"


@pytest.mark.parametrize("key", [Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Space])
def test_a_key_closes_it_and_nothing_is_left(qtbot, explained: Explained, key: Qt.Key) -> None:
    qtbot.mouseClick(explained.button, Qt.MouseButton.LeftButton)
    popup = open_explanation(explained)
    qtbot.keyClick(popup, key)
    qtbot.waitUntil(lambda: explained.button.findChild(Explanation) is None)


def test_a_click_elsewhere_closes_it(qtbot, explained: Explained) -> None:
    qtbot.mouseClick(explained.button, Qt.MouseButton.LeftButton)
    popup = open_explanation(explained)
    outside = popup.rect().bottomRight() * 3
    qtbot.mouseClick(popup, Qt.MouseButton.LeftButton, pos=outside)
    qtbot.waitUntil(lambda: explained.button.findChild(Explanation) is None)


def test_it_stays_on_the_screen(qtbot, explained: Explained) -> None:
    screen = explained.screen().availableGeometry()
    explained.move(screen.bottomRight())
    qtbot.mouseClick(explained.button, Qt.MouseButton.LeftButton)
    popup = open_explanation(explained)
    assert screen.contains(popup.geometry())


def test_nothing_of_it_is_cut_off(qtbot, explained: Explained) -> None:
    qtbot.mouseClick(explained.button, Qt.MouseButton.LeftButton)
    popup = open_explanation(explained)
    for label in popup.findChildren(QLabel):
        assert label.height() >= label.heightForWidth(label.width())


def test_words_of_ones_own_may_stand_before_it(qtbot) -> None:
    widget = Explained("cek", "Fingerprint of the CEK")
    qtbot.addWidget(widget)
    assert widget.label.text() == "Fingerprint of the CEK"


def test_a_term_that_is_not_there_is_an_error_at_once(qtbot) -> None:
    with pytest.raises(KeyError):
        ExplainButton("no-such-term")
