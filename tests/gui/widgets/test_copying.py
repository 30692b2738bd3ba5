# SPDX-License-Identifier: Apache-2.0
"""What is copied, what is said about it, and that a secret does not stay on the clipboard."""

from __future__ import annotations

import gc

import pytest
from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from watchword.core.secret import Secret
from watchword.gui.widgets.copy_button import CopyButton
from watchword.gui.widgets.secret_clipboard import HINT, SECONDS, SecretClipboard
from watchword.gui.widgets.secret_copy_button import SecretCopyButton

from .looks import name_of

WORD = "correct horse battery staple"


@pytest.fixture
def make_clipboard(clipboard):
    """Makes secret clipboards of short patience; they are gone after the test."""
    parent = QObject()

    def make(seconds: float) -> SecretClipboard:
        return SecretClipboard(parent, seconds)

    yield make
    parent.deleteLater()


def running_timers(parent: QObject) -> list[QTimer]:
    return [timer for timer in parent.findChildren(QTimer) if timer.isActive()]


# -- digests and the like ----------------------------------------------------------


def test_a_click_copies_and_says_so_and_then_is_ready_again(qtbot, clipboard) -> None:
    button = CopyButton("abc", "launch digest", say_for=1)
    qtbot.addWidget(button)
    assert name_of(button) == "Copy launch digest"
    with qtbot.waitSignal(button.copied):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert clipboard.text() == "abc"
    assert name_of(button) == "Copied"
    qtbot.waitUntil(lambda: name_of(button) == "Copy launch digest")
    assert running_timers(button) == []


def test_a_function_gives_what_is_copied_at_that_moment(qtbot, clipboard) -> None:
    words = ["first"]
    button = CopyButton(lambda: words[0], "word", label="Copy", say_for=1)
    qtbot.addWidget(button)
    button.show()
    words[0] = "second"
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert clipboard.text() == "second"
    assert button.text() == "Copied"
    button.set_text_to_copy("third")
    assert button.text() == "Copy"
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert clipboard.text() == "third"


def test_a_button_that_goes_takes_its_timer_along(qtbot, clipboard) -> None:
    button = CopyButton("abc", "digest", say_for=60_000)
    qtbot.addWidget(button)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert len(running_timers(button)) == 1


# -- secrets ----------------------------------------------------------------------


def test_a_secret_is_marked_for_clipboard_managers(qtbot, clipboard, make_clipboard) -> None:
    secrets = make_clipboard(60)
    secrets.put(WORD)
    assert clipboard.text() == WORD
    assert bytes(clipboard.mimeData().data(HINT).data()) == b"secret"
    secrets.clear()


def test_it_is_taken_away_after_its_time(qtbot, clipboard, make_clipboard) -> None:
    secrets = make_clipboard(0.05)
    with qtbot.waitSignal(secrets.cleared):
        secrets.put(WORD)
    assert clipboard.text() == ""
    assert not secrets.holds_secret
    assert running_timers(secrets) == []


def test_its_time_is_20_seconds_and_they_are_counted(qtbot, make_clipboard) -> None:
    assert SECONDS == 20
    secrets = make_clipboard(SECONDS)
    counts: list[int] = []
    secrets.counted.connect(counts.append)
    secrets.put(WORD)
    assert counts == [20]
    assert len(running_timers(secrets)) == 1
    secrets.clear()
    assert running_timers(secrets) == []


def test_what_was_copied_since_stays(qtbot, clipboard, make_clipboard) -> None:
    secrets = make_clipboard(0.05)
    secrets.put(WORD)
    clipboard.setText("something else")
    qtbot.waitUntil(lambda: not secrets.holds_secret)
    assert clipboard.text() == "something else"


def test_a_second_secret_begins_to_count_anew(qtbot, clipboard, make_clipboard) -> None:
    secrets = make_clipboard(60)
    secrets.put(WORD)
    secrets.put("another")
    assert len(running_timers(secrets)) == 1
    secrets.clear()
    assert clipboard.text() == ""


def test_it_goes_when_the_program_ends(qapp, clipboard, make_clipboard) -> None:
    secrets = make_clipboard(60)
    secrets.put(WORD)
    qapp.aboutToQuit.emit()
    assert clipboard.text() == ""
    assert running_timers(secrets) == []


def test_one_that_could_not_be_taken_away_goes_when_the_window_is_active_again(
    qapp, qtbot, clipboard, make_clipboard, monkeypatch
) -> None:
    secrets = make_clipboard(0.02)
    with monkeypatch.context() as without_focus:
        without_focus.setattr(QGuiApplication, "clipboard", lambda: Deaf(clipboard))
        with qtbot.waitSignal(secrets.stuck):
            secrets.put(WORD)
    assert clipboard.text() == WORD
    assert secrets.holds_secret
    qapp.applicationStateChanged.emit(Qt.ApplicationState.ApplicationActive)
    assert clipboard.text() == ""


class Deaf:
    """A clipboard that may not be cleared, as on Wayland without the focus."""

    def __init__(self, real: object) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        return (lambda: None) if name == "clear" else getattr(self._real, name)


def test_the_secret_itself_is_not_kept(qtbot, clipboard, make_clipboard) -> None:
    secrets = make_clipboard(60)
    secrets.put("".join(["very ", "secret ", "words"]))
    kept = [value for value in vars(secrets).values() if isinstance(value, str | bytes)]
    assert not any("very secret words" in str(value) for value in kept)
    secrets.clear()


def test_there_is_one_for_the_program(qapp) -> None:
    first = SecretClipboard.of_application()
    assert SecretClipboard.of_application() is first
    assert first.parent() is QApplication.instance()
    first.setParent(None)
    first.deleteLater()


# -- its button --------------------------------------------------------------------


@pytest.fixture
def button(qtbot, make_clipboard) -> SecretCopyButton:
    button = SecretCopyButton("disk passphrase", make_clipboard(0.05))
    qtbot.addWidget(button)
    return button


def test_a_click_only_asks_for_the_secret(qtbot, button, clipboard) -> None:
    assert name_of(button) == "Copy disk passphrase"
    with qtbot.waitSignal(button.wanted):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert clipboard.text() == ""


def test_the_button_counts_and_says_that_it_is_gone(qtbot, button, clipboard) -> None:
    assert button.put(Secret(WORD.encode()))
    assert clipboard.text() == WORD
    assert button.text() == "Clears in 1 s"
    qtbot.waitUntil(lambda: button.text() == "Clipboard cleared")
    assert clipboard.text() == ""
    assert name_of(button) == "Copy disk passphrase: Clipboard cleared"


def test_bytes_that_are_no_text_are_not_copied(button, clipboard) -> None:
    assert not button.put(Secret(b"\xff\xfe\x00"))
    assert clipboard.text() == ""
    assert button.text() == "Not text, can't be copied"


def test_only_the_button_whose_secret_it_is_counts(qtbot, make_clipboard) -> None:
    secrets = make_clipboard(60)
    one, other = SecretCopyButton("one", secrets), SecretCopyButton("other", secrets)
    qtbot.addWidget(one)
    qtbot.addWidget(other)
    one.put(Secret(b"1"))
    assert (one.text(), other.text()) == ("Clears in 60 s", "Copy")
    other.put(Secret(b"2"))
    assert (one.text(), other.text()) == ("Copy", "Clears in 60 s")
    secrets.clear()


def test_the_secret_goes_although_its_page_is_left(qtbot, clipboard, make_clipboard) -> None:
    secrets = make_clipboard(0.1)
    button = SecretCopyButton("word", secrets)
    button.put(Secret(WORD.encode()))
    QApplication.sendPostedEvents(button, QEvent.Type.DeferredDelete.value)
    del button
    gc.collect()
    qtbot.waitUntil(lambda: not secrets.holds_secret)
    assert clipboard.text() == ""
