# SPDX-License-Identifier: Apache-2.0
"""Where the keyboard is: in a dialog's first field, and back at the button that was pressed."""

from __future__ import annotations

import threading

import pytest
from PySide6.QtWidgets import QApplication, QComboBox, QLineEdit, QPlainTextEdit

from watchword.core.vault.header import OpenWith
from watchword.gui.pages.vault_page import VaultPage

from .support import idle

ASKING = (
    "vault-restore",
    "vault-by-code",
    "vault-rotate",
    "vault-pin",
    "vault-passphrase",
    "evidence-redact",
    "evidence-open",
    "ledger-accept",
    "launch-abandon",
    "guest-import",
)
FIELDS = (QLineEdit, QComboBox, QPlainTextEdit)


def active(qtbot, widget):
    widget.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is widget)
    return widget


@pytest.mark.parametrize("name", ASKING)
def test_a_dialog_with_fields_begins_in_one_of_them(qtbot, scene, name):
    widget, _ = scene(name)
    assert isinstance(widget.focusWidget(), FIELDS)


def test_a_dialog_that_takes_files_begins_at_what_chooses_them(scene):
    widget, _ = scene("evidence-check")
    assert widget.focusWidget() is widget.files.browse


def test_a_question_without_fields_begins_at_the_answer_that_changes_nothing(scene):
    widget, _ = scene("vault-remove")
    assert widget.focusWidget() is widget.refusing


def test_the_focus_comes_back_to_the_button_that_was_pressed(qtbot, bridge, service):
    page = VaultPage(bridge, service)
    qtbot.addWidget(page)
    page.show()
    page.refresh()
    idle(qtbot, page)
    active(qtbot, page)
    page.maker.choices[OpenWith.SESSION_ONLY].click()
    button = page.maker.restoring
    button.setFocus()
    gate = threading.Event()
    page.work.start("", gate.wait, lambda _: None)
    assert not button.isEnabled()
    assert QApplication.focusWidget() is not button
    gate.set()
    idle(qtbot, page)
    assert QApplication.focusWidget() is button


def test_whoever_went_on_meanwhile_is_not_called_back(qtbot, bridge, service):
    page = VaultPage(bridge, service)
    qtbot.addWidget(page)
    page.show()
    page.refresh()
    idle(qtbot, page)
    active(qtbot, page)
    page.maker.restoring.setFocus()
    gate = threading.Event()
    page.work.start("", gate.wait, lambda _: None)
    elsewhere = page.maker.chooser.others.button
    elsewhere.setFocus()
    QApplication.processEvents()
    page.maker.choices[OpenWith.PASSPHRASE].setFocus()
    gate.set()
    idle(qtbot, page)
    assert QApplication.focusWidget() is page.maker.choices[OpenWith.PASSPHRASE]
