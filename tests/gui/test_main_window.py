# SPDX-License-Identifier: Apache-2.0
"""The main window: where one begins, what is where, and how it closes in any state."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QMessageBox

from watchword.core.launch.engine import StepState
from watchword.gui.bridge import Bridge
from watchword.gui.main_window import MainWindow
from watchword.gui.pages.choice_card import ChoiceCard
from watchword.gui.settings import WindowSettings
from watchword.gui.theme import Scheme, Theme

from .widgets.looks import cut_off, nameless

SMALLEST = (910, 512 - 64)


@pytest.fixture
def make_window(
    qtbot, bridge: Bridge, theme: Theme, tmp_path, short_folder
) -> Iterator[Callable[[], MainWindow]]:
    """Makes main windows that share one file of settings, which is the test's."""

    def make() -> MainWindow:
        window = MainWindow(bridge, theme, WindowSettings(tmp_path / "window.ini"))
        qtbot.addWidget(window)
        with qtbot.waitExposed(window):
            window.show()
        window.activateWindow()
        made.append(window)
        return window

    made: list[MainWindow] = []
    yield make
    for window in made:
        window.close_wizard()
    qtbot.waitUntil(lambda: not bridge.busy)
    theme.scheme = Scheme.LIGHT


@pytest.fixture
def window(make_window: Callable[[], MainWindow]) -> MainWindow:
    return make_window()


def cut(window: MainWindow) -> list[str]:
    """What has not the room that it needs; a card's height follows from its width."""
    cards = window.findChildren(ChoiceCard)
    low = [card.text() for card in cards if card.height() < card.heightForWidth(card.width())]
    return low + [one for one in cut_off(window) if not any(repr(c.text()) in one for c in cards)]


def page_at(window: MainWindow, number: int):
    return window._pages[window.entries[number].title].widget()


def visible_page(window: MainWindow):
    return window._stack.currentWidget()


def test_it_begins_with_four_ways_to_begin(window: MainWindow) -> None:
    assert visible_page(window) is window.start
    start = window.start
    cards = [start.trying, start.launching, start.checking, start.building]
    assert [card.accessibleName() for card in cards] == [
        "Try it now",
        "Launch a guest",
        "Check a platform",
        "Build an encrypted image",
    ]
    assert all(card.isVisible() and card.accessibleDescription() for card in cards)


def test_try_it_now_opens_the_wizard_over_the_whole_window(qtbot, window: MainWindow) -> None:
    qtbot.mouseClick(window.start.trying, Qt.MouseButton.LeftButton)
    assert window.wizard is not None
    assert window.wizard.isVisible()
    assert not window.sidebar.isVisible()
    qtbot.waitUntil(lambda: not window.wizard.frame.conductor_at_work)
    qtbot.mouseClick(window.wizard.frame.row.leaving, Qt.MouseButton.LeftButton)
    assert window.wizard is None
    assert window.start.trying.isVisible()


def test_enter_on_a_card_chooses_it(qtbot, window: MainWindow) -> None:
    window.start.trying.setFocus()
    qtbot.keyClick(window.start.trying, Qt.Key.Key_Return)
    assert window.wizard is not None


def test_the_sidebar_shows_its_pages_by_mouse_and_by_keys(qtbot, window: MainWindow) -> None:
    for number, button in enumerate(window.sidebar.buttons):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        assert visible_page(window) is page_at(window, number)
        assert button.isChecked()
    qtbot.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert visible_page(window) is page_at(window, 1)
    window.sidebar.buttons[1].setFocus()
    qtbot.keyClick(window.sidebar.buttons[1], Qt.Key.Key_Down)
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
    assert visible_page(window) is page_at(window, 2)


def test_a_platform_is_checked_on_a_page_from_which_one_comes_back(
    qtbot, window: MainWindow
) -> None:
    qtbot.mouseClick(window.start.checking, Qt.MouseButton.LeftButton)
    assert visible_page(window) is window.launching.check
    qtbot.mouseClick(window.launching.check.leaving, Qt.MouseButton.LeftButton)
    assert visible_page(window) is window.start


def test_an_image_is_built_on_a_page_to_which_card_needs_and_guests_lead(
    qtbot, window: MainWindow
) -> None:
    start = window.start
    start.needs.set_open(True)
    for button in (start.building, start.build):
        qtbot.waitUntil(button.isVisible)
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        assert visible_page(window) is window.images
        qtbot.mouseClick(window.images.form.leaving, Qt.MouseButton.LeftButton)
        assert visible_page(window) is start
    window.show_page(1)
    guests = page_at(window, 1)
    qtbot.waitUntil(guests.list.building.isVisible)
    qtbot.mouseClick(guests.list.building, Qt.MouseButton.LeftButton)
    assert visible_page(window) is window.images
    qtbot.mouseClick(window.images.form.leaving, Qt.MouseButton.LeftButton)
    assert visible_page(window) is guests


def test_a_built_image_is_rehearsed_and_launched_by_its_guests_name(
    qtbot, window: MainWindow
) -> None:
    window.build_image()
    window.images.rehearseWanted.emit("web1", "/srv/web1.img")
    assert window.wizard.choices.wanted().guest == "web1"
    assert window.wizard.choices.disk.path == "/srv/web1.img"
    qtbot.mouseClick(window.wizard.frame.row.leaving, Qt.MouseButton.LeftButton)
    assert visible_page(window) is window.images
    window.images.launchWanted.emit("web1")
    assert window.wizard.choices.isVisible()


def test_a_launch_is_begun_with_choosing_the_guest(qtbot, window: MainWindow) -> None:
    qtbot.mouseClick(window.start.launching, Qt.MouseButton.LeftButton)
    assert window.wizard is not None
    assert window.wizard.choices.isVisible()
    qtbot.mouseClick(window.wizard.frame.row.leaving, Qt.MouseButton.LeftButton)
    assert window.start.trying.isVisible()


def test_dark_is_chosen_at_once_and_remembered(
    qtbot, window: MainWindow, make_window: Callable[[], MainWindow], theme: Theme
) -> None:
    (dark,) = (a for a in window.sidebar.look.menu().actions() if a.data() == "dark")
    dark.trigger()
    qtbot.waitUntil(lambda: window.palette().window().color().lightness() < 60)
    window.close()
    assert WindowSettings(window._settings.path).scheme is Scheme.DARK


def test_size_is_remembered(window: MainWindow, make_window: Callable[[], MainWindow]) -> None:
    window.resize(760, 560)  # the offscreen plugin's screen has 800x800
    window.close()
    again = make_window()
    assert (again.width(), again.height()) == (760, 560)


@pytest.mark.parametrize("page", range(5))
def test_every_page_fits_a_small_screen_at_150_percent(window: MainWindow, page: int) -> None:
    hint = window.minimumSizeHint()
    assert hint.width() <= SMALLEST[0]
    assert hint.height() <= SMALLEST[1]
    window.resize(*SMALLEST)
    window.show_page(page)
    QApplication.processEvents()
    assert cut(window) == []


def test_nothing_is_cut_off_in_a_language_with_longer_words(longer_words, make_window) -> None:
    window = make_window()
    for page in range(5):
        window.show_page(page)
        QApplication.processEvents()
        assert cut(window) == []


@pytest.mark.parametrize("page", range(5))
def test_whatever_can_have_the_focus_has_a_name(window: MainWindow, page: int) -> None:
    window.show_page(page)
    assert nameless(window) == []


def test_closing_while_a_rehearsal_is_open_just_closes(qtbot, window: MainWindow) -> None:
    window.try_it_now()
    with qtbot.waitSignal(window.closed):
        window.close()


def test_closing_asks_while_an_image_is_given_another_key(
    qtbot, bridge: Bridge, window: MainWindow
) -> None:
    window.build_image()
    go_on = threading.Event()

    async def work(_report) -> None:
        await asyncio.to_thread(go_on.wait, 60)

    job = window.images.rekey._job = bridge.submit(work)
    with qtbot.assertNotEmitted(window.closed):
        window.close()
    (box,) = window.findChildren(QMessageBox)
    leave = next(one for one in box.buttons() if "Close" in one.text())
    with qtbot.waitSignal(window.closed):
        qtbot.mouseClick(leave, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(job.finished):
        go_on.set()


def test_closing_asks_only_while_the_secret_is_on_its_way(
    qtbot, window: MainWindow, monkeypatch
) -> None:
    window.try_it_now()
    conductor = window.wizard.frame.conductor
    qtbot.waitUntil(lambda: not conductor.at_work)
    monkeypatch.setattr(conductor, "launch", conductor.launch.begin("secret"))
    assert conductor.launch.status("secret").state is StepState.BUSY
    with qtbot.assertNotEmitted(window.closed):
        window.close()
    assert window.isVisible()
    (box,) = window.findChildren(QMessageBox)
    assert box.isVisible()
    wait, leave = sorted(box.buttons(), key=lambda one: one.text(), reverse=True)
    qtbot.mouseClick(wait, Qt.MouseButton.LeftButton)
    assert window.isVisible()
    window.close()
    (box,) = (one for one in window.findChildren(QMessageBox) if one.isVisible())
    leave = next(one for one in box.buttons() if "Close" in one.text())
    with qtbot.waitSignal(window.closed):
        qtbot.mouseClick(leave, Qt.MouseButton.LeftButton)
