# SPDX-License-Identifier: Apache-2.0
"""Whoever looks elsewhere is told that a launch needs him; whoever looks at it is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QWidget

from watchword.gui.notifier import DesktopNotifications, Notifier
from watchword.gui.wizard.flow import Need


@pytest.fixture
def window(qtbot, theme):
    made = QWidget()
    qtbot.addWidget(made)
    return made


@pytest.fixture
def alerted(monkeypatch):
    found = []
    monkeypatch.setattr(QApplication, "alert", lambda window, *_: found.append(window))
    return found


@pytest.mark.parametrize("needed", list(Need))
def test_each_need_has_words_of_its_own(window, alerted, needed):
    sent = []
    Notifier(window, lambda *words: sent.append(words), lambda: False).tell(
        needed, "vm1-1", simulated=False
    )
    ((title, body),) = sent
    assert title
    assert body == "vm1-1"
    assert alerted == [window]


def test_nobody_is_disturbed_who_looks_at_the_program(window, alerted):
    sent = []
    notifier = Notifier(window, lambda *words: sent.append(words), lambda: True)
    notifier.tell(Need.REFUSAL, "vm1-1", simulated=False)
    assert (sent, alerted) == ([], [])


def test_a_window_that_is_active_counts_as_looked_at(qtbot, window, alerted):
    sent = []
    notifier = Notifier(window, lambda *words: sent.append(words))
    notifier.tell(Need.DONE, "vm1-1", simulated=False)
    assert len(sent) == 1
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    notifier.tell(Need.DONE, "vm1-1", simulated=False)
    assert len(sent) == 1


def test_a_rehearsal_says_so(window, alerted):
    sent = []
    Notifier(window, lambda *words: sent.append(words), lambda: False).tell(
        Need.DONE, "rehearsal", simulated=True
    )
    assert sent[0][1] == "SIMULATED: rehearsal"


SCRIPT = """#!/bin/sh
printf '%s\\n' "$@" > {out}.new
env > {out}.env
mv {out}.new {out}
"""


@pytest.fixture
def desktop(tmp_path, monkeypatch) -> Path:
    """A desktop whose notify-send writes down what it was given."""
    folder, out = tmp_path / "bin", tmp_path / "shown"
    folder.mkdir()
    program = folder / "notify-send"
    program.write_text(SCRIPT.format(out=out))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    monkeypatch.setenv("SOMETHING_ELSE", "private")
    return out


def ended(sender: DesktopNotifications) -> bool:
    return sender.children() == []


def test_the_desktop_shows_both_and_takes_neither_for_markup_or_an_option(qtbot, window, desktop):
    sender = DesktopNotifications(window)
    sender.send("--help", "<b>vm1</b>")
    qtbot.waitUntil(lambda: desktop.exists() and ended(sender))
    *options, dashes, title, body = desktop.read_text().splitlines()
    assert "--app-name=Watchword" in options
    assert (dashes, title, body) == ("--", "--help", "&lt;b&gt;vm1&lt;/b&gt;")
    assert "private" not in desktop.with_suffix(".env").read_text()


def test_where_nothing_shows_notifications_nothing_happens(window, desktop, monkeypatch, tmp_path):
    sender = DesktopNotifications(window)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    sender.send("title", "body")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    monkeypatch.setenv("PATH", str(tmp_path))
    sender.send("title", "body")
    assert ended(sender)
    assert not desktop.exists()


def test_a_program_that_can_not_be_started_is_of_no_account(qtbot, window, desktop):
    program = desktop.parent / "bin" / "notify-send"
    program.write_text("#!/nonexistent/shell\n")
    sender = DesktopNotifications(window)
    sender.send("title", "body")
    qtbot.waitUntil(lambda: ended(sender))
