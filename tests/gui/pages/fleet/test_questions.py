# SPDX-License-Identifier: Apache-2.0
"""What a watch asks, in the window: shown with what was seen, allowed or refused by a person."""

from __future__ import annotations

import threading

import pytest

from watchword.core.watch.approvals import decision_of, request_approval
from watchword.gui.fleet_service import FleetService
from watchword.gui.launch_service import LaunchService
from watchword.gui.pages.fleet_page import FleetPage

from ..fleet_scenes import WATCH
from ..support import idle, texts

SHA256 = "5a" * 32


@pytest.fixture
def folder(tmp_path):
    """The folder of approvals, beside the watch's settings."""
    (tmp_path / "watch.toml").write_text(WATCH)
    return tmp_path / "approvals"


@pytest.fixture
def page(qtbot, bridge, theme, service):
    made = FleetPage(bridge, FleetService(LaunchService(service)))
    qtbot.addWidget(made)
    made.resize(900, 900)
    with qtbot.waitExposed(made):
        made.show()
    made.questions.set_open(True)
    yield made
    qtbot.waitUntil(lambda: not bridge.busy)


def ask(folder, guest="web1"):
    request_approval(
        folder, guest, SHA256, launch_id="web1-1", host="qmp+unix:///run/w", asked="2026-11-24"
    )


def look(qtbot, page, folder):
    page.questions.settings.set_path(str(folder.parent / "watch.toml"))
    idle(qtbot, page)


def test_each_question_says_what_was_seen(qtbot, page, folder):
    ask(folder)
    look(qtbot, page, folder)
    (card,) = page.questions.cards
    said = texts(card)
    assert "web1: a firmware that no launch of yours has verified before" in said
    assert "qmp+unix:///run/w" in said
    assert "5a5a" in said


def test_what_is_refused_is_decided_at_once_and_leaves_the_list(qtbot, page, folder):
    ask(folder)
    look(qtbot, page, folder)
    page.questions.cards[0].refusing.click()
    idle(qtbot, page)
    assert decision_of(folder, "web1", SHA256) is False
    assert page.questions.cards == []
    assert "Nothing waits for a decision." in texts(page)


def test_what_is_allowed_is_asked_about_once_more(qtbot, page, folder):
    ask(folder)
    look(qtbot, page, folder)
    page.questions.cards[0].allowing.click()
    assert decision_of(folder, "web1", SHA256) is None
    page.dialogs.dialog.refusing.click()
    assert decision_of(folder, "web1", SHA256) is None
    page.questions.cards[0].allowing.click()
    page.dialogs.dialog.agreeing.click()
    idle(qtbot, page)
    assert decision_of(folder, "web1", SHA256) is True
    assert page.questions.cards == []


def test_a_folder_in_which_others_write_is_an_error(qtbot, page, folder):
    ask(folder)
    folder.chmod(0o777)
    look(qtbot, page, folder)
    assert "Code: approvals-not-private" in page.banner.report
    assert page.questions.cards == []


def test_questions_are_looked_for_again_when_the_page_is_seen(qtbot, page, folder):
    look(qtbot, page, folder)
    assert page.questions.cards == []
    ask(folder)
    page.refresh()
    idle(qtbot, page)
    assert len(page.questions.cards) == 1


def test_a_button_looks_for_questions_again(qtbot, page, folder):
    look(qtbot, page, folder)
    ask(folder)
    page.questions.again.click()
    idle(qtbot, page)
    assert len(page.questions.cards) == 1


def test_questions_of_another_watch_are_not_shown_as_those_of_this_one(qtbot, page, folder):
    ask(folder, "web9")
    other = folder.parent / "other"
    other.mkdir()
    (other / "watch.toml").write_text(WATCH)
    ask(other / "approvals", "web2")
    page.questions.settings.set_path(str(folder.parent / "watch.toml"))
    assert page.work.busy
    page.questions.settings.set_path(str(other / "watch.toml"))
    qtbot.waitUntil(lambda: bool(page.questions.cards))
    (card,) = page.questions.cards
    assert "web2" in texts(card)


def test_while_something_is_under_way_nothing_is_decided_and_then_it_is_looked(qtbot, page, folder):
    ask(folder)
    look(qtbot, page, folder)
    (card,) = page.questions.cards
    go_on = threading.Event()
    page.work.start("Waiting…", lambda: go_on.wait(60), lambda _: None)
    assert not card.allowing.isEnabled()
    assert not card.refusing.isEnabled()
    page.questions.set_open(False)
    ask(folder, "web2")
    page.questions.set_open(True)
    go_on.set()
    qtbot.waitUntil(lambda: len(page.questions.cards) == 2)
    idle(qtbot, page)
    assert all(one.refusing.isEnabled() for one in page.questions.cards)


def test_what_a_file_says_is_shown_and_never_obeyed(qtbot, page, folder):
    ask(folder, "w\x1b[31m<b>\u202e")
    look(qtbot, page, folder)
    assert all(word.isprintable() for word in texts(page.questions.cards[0]).split("\n"))
