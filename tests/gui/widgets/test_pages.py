# SPDX-License-Identifier: Apache-2.0
"""The parts that pages are made of: frame, cards, tables, badges, waiting, emptiness."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QScrollArea, QStyle, QWidget

from watchword.gui.theme import palette_of
from watchword.gui.widgets.busy_line import BusyLine, MovingLine
from watchword.gui.widgets.copy_button import CopyButton
from watchword.gui.widgets.empty_state import EmptyState
from watchword.gui.widgets.foldable import Foldable
from watchword.gui.widgets.icon_mark import IconMark
from watchword.gui.widgets.key_value_table import KeyValueTable, Row
from watchword.gui.widgets.page_frame import WIDEST, PageFrame
from watchword.gui.widgets.section import Section
from watchword.gui.widgets.simulated import SimulatedRibbon
from watchword.gui.widgets.state_badge import Look, StateBadge
from watchword.gui.widgets.text_label import TextLabel
from watchword.gui.widgets.tones import Tone, muted, tone_colours

from .looks import colours_in, name_of, shown


def texts(widget: QWidget) -> list[str]:
    return [w.text().replace("\u200b", "") for w in shown(widget) if isinstance(w, QLabel)]


# -- page ------------------------------------------------------------------------


@pytest.fixture
def page(qtbot) -> PageFrame:
    page = PageFrame("Platform", "Who the host is")
    qtbot.addWidget(page)
    page.resize(911, 512)
    page.show()
    return page


def test_a_page_has_a_title_and_a_subtitle(page: PageFrame) -> None:
    assert texts(page) == ["Platform", "Who the host is"]
    assert name_of(page) == "Platform"
    page.set_title("Secret")
    assert texts(page) == ["Secret"]
    assert name_of(page) == "Secret"


def test_content_never_grows_too_wide_to_be_read(page: PageFrame) -> None:
    label = QLabel("x")
    page.content.addWidget(label)
    page.resize(2400, 800)
    QApplication.processEvents()
    assert label.width() <= WIDEST
    page.resize(600, 400)
    QApplication.processEvents()
    assert label.width() < 600


def test_a_long_page_scrolls_down_and_never_sideways(qtbot, page: PageFrame) -> None:
    for _ in range(40):
        page.content.addWidget(TextLabel("words " * 40))
    area = page.findChild(QScrollArea)
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() > 0)
    assert area.horizontalScrollBar().maximum() == 0
    last = page.content.itemAt(39).widget()
    page.show_widget(last)
    assert area.verticalScrollBar().value() > 0
    page.scroll_to_top()
    assert area.verticalScrollBar().value() == 0


def test_what_gets_the_focus_is_scrolled_into_view(qtbot, page: PageFrame) -> None:
    buttons = [QPushButton(str(n)) for n in range(40)]
    for button in buttons:
        page.content.addWidget(button)
    area = page.findChild(QScrollArea)
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() > 0)
    page.activateWindow()
    buttons[0].setFocus()
    for _ in range(39):
        qtbot.keyClick(page.focusWidget(), Qt.Key.Key_Tab)
    assert page.focusWidget() is buttons[-1]
    seen = area.viewport().rect()
    assert seen.contains(buttons[-1].mapTo(area.viewport(), buttons[-1].rect().center()))


def test_the_page_of_a_rehearsal_is_marked_above_what_scrolls(page: PageFrame) -> None:
    assert page.findChild(SimulatedRibbon) is None
    page.set_simulated(True)
    ribbon = page.findChild(SimulatedRibbon)
    assert ribbon.isVisible()
    assert name_of(ribbon).startswith("SIMULATED. ")
    assert not page.findChild(QScrollArea).isAncestorOf(ribbon)


# -- waiting -----------------------------------------------------------------------


@pytest.fixture
def busy(qtbot) -> BusyLine:
    busy = BusyLine()
    qtbot.addWidget(busy)
    return busy


def running(widget: QWidget) -> list[QTimer]:
    return [timer for timer in widget.findChildren(QTimer) if timer.isActive()]


def test_waiting_says_for_what(busy: BusyLine) -> None:
    assert not busy.isVisible()
    busy.begin("Waiting for QEMU")
    assert busy.isVisible()
    assert name_of(busy) == busy.text == "Waiting for QEMU"
    busy.say("Waiting for the measurement")
    assert name_of(busy.cancel) == "Cancel: Waiting for the measurement"
    busy.end()
    assert not busy.isVisible()


def test_nothing_moves_while_nothing_is_waited_for(busy: BusyLine) -> None:
    assert running(busy) == []
    busy.begin("x")
    assert len(running(busy)) == 1
    busy.end()
    assert running(busy) == []


def test_the_line_moves(qtbot, busy: BusyLine) -> None:
    busy.resize(300, 60)
    busy.begin("x")
    line = busy.findChild(MovingLine)
    first = line.grab().toImage()
    qtbot.waitUntil(lambda: line.grab().toImage() != first)


def test_who_wants_no_movement_gets_none(qtbot, monkeypatch) -> None:
    line = MovingLine()
    qtbot.addWidget(line)
    style = type("Still", (), {"styleHint": lambda *_: 0})()
    monkeypatch.setattr(line, "style", lambda: style)
    line.show()
    assert running(line) == []
    assert QStyle.StyleHint.SH_Widget_Animation_Duration


def test_cancel_is_told_once(qtbot, busy: BusyLine) -> None:
    told: list[int] = []
    busy.cancelled.connect(lambda: told.append(1))
    busy.begin("x")
    qtbot.mouseClick(busy.cancel, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(busy.cancel, Qt.MouseButton.LeftButton)
    assert told == [1]
    assert busy.text == "Cancelling…"
    busy.begin("again")
    assert busy.cancel.isEnabled()
    busy.begin("no way back", can_cancel=False)
    assert not busy.cancel.isVisible()


# -- small parts ---------------------------------------------------------------------


def test_an_empty_list_says_what_to_do(qtbot) -> None:
    empty = EmptyState("guests", "No guests yet", "A guest is what should run.", "New guest")
    qtbot.addWidget(empty)
    empty.show()
    assert texts(empty) == ["No guests yet", "A guest is what should run."]
    with qtbot.waitSignal(empty.chosen):
        qtbot.keyClick(empty.button, Qt.Key.Key_Space)


def test_an_empty_list_without_a_button_has_none(qtbot) -> None:
    empty = EmptyState("guests", "Nothing")
    qtbot.addWidget(empty)
    empty.show()
    assert not empty.button.isVisible()
    assert texts(empty) == ["Nothing"]


def test_a_table_shows_rows_and_copies_values_whole(qtbot, clipboard) -> None:
    table = KeyValueTable([Row("Host", "<b>h</b>", copy=True), Row("Digest", "ab" * 32, hex=True)])
    qtbot.addWidget(table)
    table.show()
    assert texts(table) == ["Host", "<b>h</b>", "Digest", " ".join(["abababab"] * 8)]
    qtbot.mouseClick(table.findChild(CopyButton), Qt.MouseButton.LeftButton)
    assert clipboard.text() == "<b>h</b>"
    table.set_rows([Row("Root", "AMD", term="ark")])
    QApplication.processEvents()
    assert texts(table) == ["Root", "AMD"]


def test_columns_of_a_table_are_aligned(qtbot) -> None:
    table = KeyValueTable(
        [Row("A", "1"), Row("A much longer name", "2"), Row("B", "3", term="ark")]
    )
    qtbot.addWidget(table)
    table.resize(500, 200)
    table.show()
    lefts = {w.x() for w in shown(table) if isinstance(w, QLabel) and w.text() in "123"}
    assert len(lefts) == 1


def test_a_card_is_named_by_its_heading(qtbot) -> None:
    section = Section("Policy", "What the host may not do")
    qtbot.addWidget(section)
    section.show()
    assert name_of(section) == "Policy"
    assert texts(section) == ["Policy", "What the host may not do"]


def test_what_is_folded_is_not_seen(qtbot) -> None:
    fold = Foldable("Details")
    qtbot.addWidget(fold)
    inside = QLabel("inside")
    fold.body.addWidget(inside)
    fold.show()
    told: list[bool] = []
    fold.toggled.connect(told.append)
    assert not inside.isVisible()
    qtbot.keyClick(fold.button, Qt.Key.Key_Space)
    assert inside.isVisible()
    fold.set_open(True)
    fold.set_open(False)
    assert told == [True, False]
    assert name_of(fold.button) == "Details"


def test_a_badge_is_read_as_its_word_and_drawn_in_its_tone(qtbot, scheme) -> None:
    badge = StateBadge(Look("ok", "Done", Tone.OK))
    qtbot.addWidget(badge)
    badge.show()
    assert name_of(badge) == "Done"
    assert tone_colours(Tone.OK, badge.palette()).fill.name() in colours_in(badge)
    badge.show_look(Look("bad", "Failed\x1b", Tone.BAD))
    assert name_of(badge) == "Failed\\x1b"
    assert tone_colours(Tone.BAD, badge.palette()).text.name() in colours_in(badge)
    assert badge.minimumSizeHint() == badge.sizeHint()


def test_an_icon_follows_tone_and_palette(qtbot, scheme) -> None:
    mark = IconMark("ok", Tone.OK, factor=2)
    qtbot.addWidget(mark)
    mark.resize(mark.sizeHint())
    assert tone_colours(Tone.OK, mark.palette()).text.name() in colours_in(mark)
    mark.show_icon("bad")
    assert mark.palette().windowText().color().name() in colours_in(mark)
    assert (mark.name, mark.tone) == ("bad", None)


def test_text_follows_a_palette_that_changes(qtbot, theme) -> None:
    quiet, bad, plain = TextLabel("a", quiet=True), TextLabel("b", tone=Tone.BAD), TextLabel("c")
    holder = QWidget()
    qtbot.addWidget(holder)
    for label in (quiet, bad, plain):
        label.setParent(holder)
    for dark in (True, False):
        palette = palette_of(dark=dark)
        holder.setPalette(palette)
        role = QPalette.ColorRole.WindowText
        assert quiet.palette().color(role) == muted(palette)
        assert bad.palette().color(role) == tone_colours(Tone.BAD, palette).text
        assert plain.palette().color(role) == palette.color(role)
    bad.set_tone(None)
    assert bad.palette().color(role) == palette.color(role)
