# SPDX-License-Identifier: Apache-2.0
"""*Give an image another boot key*: asked first, told step by step, and taken up again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from watchword.core.errors import BadInput
from watchword.core.image.rekey import RekeyedImage
from watchword.core.vault.header import OpenWith
from watchword.gui.image_service import ImageService

from ..widgets.looks import cut_off, nameless
from .support import press, texts
from .test_image_page import bootable, fill_in, shown_page, tools  # noqa: F401 - a fixture


class Rekeyer:
    """Stands for the real one."""

    def __init__(self):
        self.orders = []
        self.fails = None
        self.gate = threading.Event()
        self.gate.set()

    async def __call__(self, path, vault, ledger, entry, *, recovery, leave_initrd, observe):
        self.orders.append((path, entry, recovery, leave_initrd))
        observe("new-key-in-vault")
        self.gate.wait(60)
        if self.fails is not None:
            raise self.fails
        return RekeyedImage(
            path=path,
            luks_uuid="0b9c2f44-52a1-4b1c-9f5e-2f6a7d1c8e90",
            entry=entry,
            removed_slot=0,
            added_slot=2,
            recovery_slot=None,
            files=("/etc/keys/root.key",),
            other_fast_slots=(5,),
            header_sha256="ab" * 32,
            resumed=False,
            mounted=True,
        )


@pytest.fixture
def rekeyer():
    return Rekeyer()


@pytest.fixture
def pane(qtbot, bridge, theme, service, rekeyer):
    service.create(OpenWith.KEYRING)
    page = shown_page(qtbot, bridge, ImageService(service, rekey=rekeyer))
    page.rekey.set_open(True)
    yield page.rekey
    rekeyer.gate.set()
    qtbot.waitUntil(lambda: not bridge.busy)


def agree(qtbot, pane):
    press(qtbot, pane.beginning)
    assert "destroy them" in texts(pane.dialog)
    press(qtbot, pane.dialog.agreeing)


def at_rest(qtbot, pane):
    qtbot.waitUntil(lambda: pane.banner.isVisible() and pane._job is None)


def test_it_is_done_once_the_owner_has_agreed(qtbot, pane, rekeyer):
    pane.file.set_path("/srv/web1.img")
    pane.entry.setText("web1/disk")
    press(qtbot, pane.beginning)
    press(qtbot, pane.dialog.refusing)
    assert rekeyer.orders == []
    agree(qtbot, pane)
    at_rest(qtbot, pane)
    assert rekeyer.orders == [(Path("/srv/web1.img"), "web1/disk", None, False)]
    told = texts(pane)
    for words in ("new key of web1/disk", "root.key", "Slot 5", "No recovery key", "Copies"):
        assert words in told


def test_what_lacks_is_told_at_its_field_and_nothing_is_asked(qtbot, pane, rekeyer):
    press(qtbot, pane.beginning)
    assert pane.file.problem
    assert pane.key.problem
    assert pane.dialog is None
    assert rekeyer.orders == []


def test_it_says_where_it_is_and_can_not_be_begun_twice(qtbot, pane, rekeyer):
    rekeyer.gate.clear()
    pane.file.set_path("/srv/web1.img")
    pane.entry.setText("web1/disk")
    agree(qtbot, pane)
    qtbot.waitUntil(lambda: "giving it a key slot" in pane.line.text)
    assert not pane.beginning.isEnabled()
    assert not pane.file.isEnabled()  # what it is about stays as it is
    assert not pane.entry.isEnabled()
    pane.ask()
    assert pane.dialog is None
    rekeyer.gate.set()
    at_rest(qtbot, pane)
    assert len(rekeyer.orders) == 1
    assert pane.file.isEnabled()


def test_what_it_is_at_and_what_came_of_it_are_scrolled_to(qtbot, pane, rekeyer):
    page = pane.window()
    page.resize(980, 400)
    rekeyer.gate.clear()
    pane.file.set_path("/srv/web1.img")
    pane.entry.setText("web1/disk")
    agree(qtbot, pane)
    qtbot.waitUntil(lambda: is_seen(pane.line))
    page.scroll_to_top()
    rekeyer.gate.set()
    at_rest(qtbot, pane)
    qtbot.waitUntil(lambda: is_seen(pane.banner))


def is_seen(widget):
    return not widget.visibleRegion().isEmpty()


def test_an_error_says_that_the_image_opens_all_the_same(qtbot, pane, rekeyer):
    rekeyer.fails = BadInput("image-in-use", "the image", "A VM has it.", "Shut it down.")
    pane.file.set_path("/srv/web1.img")
    pane.entry.setText("web1/disk")
    agree(qtbot, pane)
    at_rest(qtbot, pane)
    assert "Shut it down." in pane.banner.report
    assert "opens with what the vault has" in texts(pane)
    assert pane.beginning.isEnabled()


@pytest.mark.slow
@pytest.mark.usefixtures("tools")
def test_a_real_image_opens_with_its_new_key_alone(qtbot, bridge, theme, service, tmp_path):
    service.create(OpenWith.KEYRING)
    page = shown_page(qtbot, bridge, ImageService(service))
    form = fill_in(page, tmp_path, root=bootable(tmp_path / "root.tar"))
    press(qtbot, form.building)
    qtbot.waitUntil(lambda: page.result.isVisible() or page.banner.isVisible())
    assert page.result.isVisible(), page.banner.report
    with service.reveal("web1/disk").reveal() as before:
        old = bytes(before)
    page.show_form()
    pane = page.rekey
    pane.set_open(True)
    pane.file.set_path(str(tmp_path / "web1.img"))
    pane.entry.setText("web1/disk")
    agree(qtbot, pane)
    at_rest(qtbot, pane)
    assert "opens with the new key" in pane.banner.report, pane.banner.report
    with service.reveal("web1/disk").reveal() as after:
        assert bytes(after) != old
    assert set(service.names()) == {"web1/disk", "web1/recovery"}
    page.look.set_open(True)
    page.look.file.set_path(str(tmp_path / "web1.img"))
    page.look.entry.setText("web1/disk")
    press(qtbot, page.look.checking)
    qtbot.waitUntil(page.look.facts.isVisible)
    assert "The key opens the disk" in texts(page)
    qtbot.waitUntil(lambda: not bridge.busy)


def test_it_has_names_and_room_for_longer_words(qtbot, longer_words, pane, rekeyer):
    pane.file.set_path("/srv/web1.img")
    pane.entry.setText("web1/disk")
    agree(qtbot, pane)
    at_rest(qtbot, pane)
    qtbot.waitUntil(lambda: nameless(pane) == [])
    qtbot.waitUntil(lambda: cut_off(pane) == [])
