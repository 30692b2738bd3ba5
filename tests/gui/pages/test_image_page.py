# SPDX-License-Identifier: Apache-2.0
"""*Build an encrypted image*: the form, progress, cancelling, the recovery key, what follows."""

from __future__ import annotations

import asyncio
import os

import pytest
from PySide6.QtWidgets import QApplication

from watchword.core.errors import BadInput
from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.image.disk_access import ImageFormat
from watchword.core.image.order import BuiltImage, Progress, Stage
from watchword.core.ledger.entries import EntryKind as Happened
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records, records_folder
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.gui.image_service import ImageForm, ImageService, size_of
from watchword.gui.pages.image_page import ImagePage

from ...core.image.build_support import PROGRAMS
from ...core.image.root_tree import bootable
from ...core.sev import firmware_maker as make
from .support import passphrase, press, texts

MIB = 1 << 20
RECOVERY = b"abcde-fghij-klmno-pqrst-uvwxy-z2345-67abc-defgh"


class Builder:
    """Stands for the real one: tells of progress, keeps the keys, and waits where it is told to."""

    def __init__(self):
        self.orders = []
        self.waits = False
        self.fails = None
        self.cancelled = False

    async def __call__(self, order, vault, *, observe, profiles, ledger):
        self.orders.append(order)
        observe(Progress(Stage.SURVEY))
        observe(Progress(Stage.ENCRYPT, 5 * MIB, 20 * MIB))
        if self.fails is not None:
            raise self.fails
        if self.waits:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        vault.add(order.boot_entry, EntryKind.DISK_SECRET, Secret(b"boot"))
        vault.add(order.recovery_entry, EntryKind.RECOVERY, Secret(RECOVERY))
        return BuiltImage(
            path=order.output,
            size=20 * MIB,
            format=order.format,
            luks=order.luks_version,
            luks_uuid="0b9c2f44-52a1-4b1c-9f5e-2f6a7d1c8e90",
            header_sha256="ab" * 32,
            boot_entry=order.boot_entry,
            recovery_entry=order.recovery_entry,
            written=MIB,
            profile=None if order.firmware is None else order.name,
            warnings=("Nobody could log in.",),
        )


@pytest.fixture
def builder():
    return Builder()


@pytest.fixture
def page(qtbot, bridge, theme, service, builder):
    service.create(OpenWith.KEYRING)
    made = shown_page(qtbot, bridge, ImageService(service, builder))
    yield made
    made.cancel()
    qtbot.waitUntil(lambda: not bridge.busy)


def shown_page(qtbot, bridge, service):
    made = ImagePage(bridge, service)
    qtbot.addWidget(made)
    made.resize(980, 1500)
    with qtbot.waitExposed(made):
        made.show()
    return made


def fill_in(page, folder, **more):
    form = page.form
    form.file.set_path(str(more.get("root", folder / "root.tar")))
    form.output.set_path(str(folder / "web1.img"))
    form.name.setText("web1")
    return form


def firmware_in(folder):
    path = folder / "OVMF.fd"
    path.write_bytes(make.image(make.new_loader(), make.grub(make.SILENT)))
    return path


def built(qtbot, page):
    press(qtbot, page.form.building)
    qtbot.waitUntil(page.result.isVisible)


def test_while_one_is_built_no_other_one_gets_a_new_key(qtbot, page, builder, tmp_path):
    builder.waits = True
    press(qtbot, fill_in(page, tmp_path).building)
    qtbot.waitUntil(lambda: "encrypting" in page.line.text)
    assert not page.rekey.isEnabled()
    page.cancel()
    qtbot.waitUntil(lambda: not page.building)
    assert page.rekey.isEnabled()


def test_every_problem_is_told_at_its_field_before_anything_is_asked(qtbot, page, builder):
    page.form.room.setText("lots")
    page.form.name.setText("web 1")
    page.form.firmware.set_path("/OVMF.fd")
    press(qtbot, page.form.building)
    fields = page.form.fields
    told = [page.form.file.problem, page.form.output.problem]
    told += [fields[key].problem for key in ("size", "name", "vcpus", "cpu")]
    assert all(told)
    assert page.form.file.edit.hasFocus()
    assert builder.orders == []
    page.form.room.setText("4G")
    assert not fields["size"].problem


@pytest.mark.parametrize(
    ("text", "size"),
    [("4G", 4 << 30), ("512 MiB", 512 << 20), ("1073741824", 1 << 30), ("4 cm", None)],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert size_of(text) == size


def test_luks_follows_from_who_opens_the_disk(page):
    assert "LUKS1" in page.form.luks.text()
    page.form.route.setCurrentIndex(1)
    assert "LUKS2" in page.form.luks.text()


def test_a_folder_takes_the_archives_place(page, tmp_path):
    page.form.kind.setCurrentIndex(1)
    assert page.form.folder.isVisible()
    assert not page.form.file.isVisible()
    page.form.folder.set_path(str(tmp_path))
    assert page.form.form().root == str(tmp_path)


def test_a_built_image_leads_on_to_rehearsal_and_launch(qtbot, page, tmp_path, builder):
    form = fill_in(page, tmp_path)
    form.firmware.set_path(str(firmware_in(tmp_path)))
    form.vcpus.setText("1-4")
    form.cpu.setEditText("EPYC-Milan")
    form.format.setCurrentIndex(1)
    built(qtbot, page)
    (order,) = builder.orders
    assert (order.format, order.vcpus, order.cpu) == (ImageFormat.QCOW2, "1-4", "EPYC-Milan")
    assert order.secret_area
    assert "Nobody could log in." in texts(page)
    with qtbot.waitSignal(page.rehearseWanted) as asked:
        press(qtbot, page.result.rehearse)
    assert asked.args == ["web1", str(tmp_path / "web1.img")]
    with qtbot.waitSignal(page.launchWanted) as asked:
        press(qtbot, page.result.launch)
    assert asked.args == ["web1"]


def test_without_firmware_there_is_no_profile_and_nothing_to_rehearse(qtbot, page, tmp_path):
    fill_in(page, tmp_path)
    built(qtbot, page)
    assert not page.result.rehearse.isVisible()
    assert "No guest profile was made" in texts(page)


def test_the_recovery_key_is_hidden_until_it_is_asked_for_and_hides_again(qtbot, page, tmp_path):
    fill_in(page, tmp_path)
    built(qtbot, page)
    recovery, words = page.result.recovery, RECOVERY.decode()
    assert words not in texts(page)
    press(qtbot, recovery.showing)
    qtbot.waitUntil(lambda: recovery.shown)
    assert words in texts(page)
    assert recovery._timer.interval() == 20_000
    recovery._timer.timeout.emit()
    assert words not in texts(page)
    press(qtbot, recovery.showing)
    qtbot.waitUntil(lambda: recovery.shown)
    page.hide()
    page.show()
    assert words not in texts(page)


def test_the_recovery_key_is_copied_for_twenty_seconds(qtbot, page, tmp_path):
    fill_in(page, tmp_path)
    built(qtbot, page)
    copying = page.result.recovery.copying
    press(qtbot, copying)
    qtbot.waitUntil(lambda: "Clears in" in copying.text())
    assert QApplication.clipboard().text() == RECOVERY.decode()
    copying._clipboard.clear()
    assert QApplication.clipboard().text() == ""


def test_progress_is_told_by_stage_and_bytes(qtbot, page, tmp_path, builder):
    builder.waits = True
    fill_in(page, tmp_path)
    press(qtbot, page.form.building)
    qtbot.waitUntil(lambda: "encrypting: 5 of 20 MiB" in page.line.text)
    assert not page.form.isEnabled()


def test_cancel_ends_the_build_within_a_second_and_says_that_nothing_is_left(
    qtbot, page, tmp_path, builder
):
    builder.waits = True
    fill_in(page, tmp_path)
    press(qtbot, page.form.building)
    qtbot.waitUntil(lambda: "encrypting" in page.line.text)
    press(qtbot, page.line.cancel)
    qtbot.waitUntil(lambda: not page.building)
    assert builder.cancelled
    assert "Nothing is left of it" in texts(page)
    assert page.form.building.isEnabled()


def test_what_goes_wrong_is_told_and_what_was_filled_in_stays(qtbot, page, tmp_path, builder):
    builder.fails = BadInput("no-room", "the disk", "It is full.", "Make room.")
    fill_in(page, tmp_path)
    press(qtbot, page.form.building)
    qtbot.waitUntil(lambda: not page.building and page.banner.isVisible())
    assert "It is full." in texts(page)
    assert page.form.name.text() == "web1"


def test_a_closed_vault_is_opened_first(qtbot, bridge, theme, service, builder, tmp_path):
    service.create(OpenWith.PASSPHRASE, passphrase())
    service.close()
    page = shown_page(qtbot, bridge, ImageService(service, builder))
    fill_in(page, tmp_path)
    press(qtbot, page.form.building)
    qtbot.waitUntil(lambda: page.gate.dialog is not None)
    assert builder.orders == []
    qtbot.keyClicks(page.gate.dialog.field.edit, "five words chosen by chance")
    press(qtbot, page.gate.dialog.agreeing)
    qtbot.waitUntil(page.result.isVisible)
    qtbot.waitUntil(lambda: not bridge.busy)


def test_without_a_vault_the_owner_is_told_to_make_one(
    qtbot, bridge, theme, service, builder, tmp_path
):
    page = shown_page(qtbot, bridge, ImageService(service, builder))
    fill_in(page, tmp_path)
    press(qtbot, page.form.building)
    qtbot.waitUntil(page.banner.isVisible)
    assert "There is no vault yet" in texts(page)
    qtbot.waitUntil(lambda: not bridge.busy)


def test_an_unusable_firmware_is_told_before_anything_is_built(qtbot, page, tmp_path, builder):
    form = fill_in(page, tmp_path)
    path = tmp_path / "OVMF.fd"
    path.write_bytes(b"no firmware")
    form.firmware.set_path(str(path))
    form.vcpus.setText("1")
    form.cpu.setEditText("EPYC-Milan")
    press(qtbot, form.building)
    qtbot.waitUntil(lambda: not page.building and page.banner.isVisible())
    assert builder.orders == []


@pytest.fixture
def tools(program, monkeypatch):
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    for name, package in PROGRAMS:
        program(name, package)


@pytest.mark.slow
@pytest.mark.usefixtures("tools")
def test_a_real_build_leaves_image_keys_profile_and_ledger_entry_and_its_keys_open_it(
    qtbot, bridge, theme, service, tmp_path
):
    service.create(OpenWith.KEYRING)
    page = shown_page(qtbot, bridge, ImageService(service))
    form = fill_in(page, tmp_path, root=bootable(tmp_path / "root.tar"))
    form.firmware.set_path(str(firmware_in(tmp_path)))
    form.vcpus.setText("1")
    form.cpu.setEditText("EPYC-Milan")
    press(qtbot, form.building)
    qtbot.waitUntil(lambda: page.result.isVisible() or page.banner.isVisible())
    assert page.result.isVisible(), page.banner.report
    assert (tmp_path / "web1.img").is_file()
    assert set(service.names()) == {"web1/disk", "web1/recovery"}
    profile = ProfileStore(profiles_folder()).load("web1").profile
    assert [one.entry for one in profile.secret_references] == ["web1/disk"]
    with Records.open(records_folder()) as records:
        kinds = [entry.kind for entry in Ledger(records).entries()]
    assert kinds == [Happened.LEDGER_BEGUN, Happened.IMAGE_BUILT]
    page.show_form()
    look = page.look
    look.set_open(True)
    look.file.set_path(str(tmp_path / "web1.img"))
    for entry, says in (
        ("web1/disk", "The key opens the disk"),
        ("web1/recovery", "The key opens"),
    ):
        look.entry.setText(entry)
        press(qtbot, look.checking)
        qtbot.waitUntil(look.facts.isVisible)
        assert says in texts(page)
        qtbot.waitUntil(look.checking.isEnabled)
    press(qtbot, look.inspecting)
    qtbot.waitUntil(lambda: "LUKS1" in texts(look.facts))
    qtbot.waitUntil(lambda: not bridge.busy)


@pytest.mark.slow
@pytest.mark.usefixtures("tools")
def test_cancelling_a_real_build_leaves_nothing(qtbot, bridge, theme, service, tmp_path):
    service.create(OpenWith.KEYRING)
    page = shown_page(qtbot, bridge, ImageService(service))
    out = tmp_path / "out"
    out.mkdir()
    root = bootable(
        tmp_path / "root.tar", more=lambda tree: tree.add("usr/large", os.urandom(MIB) * 300)
    )
    form = fill_in(page, tmp_path, root=root)
    form.output.set_path(str(out / "web1.img"))
    press(qtbot, form.building)
    qtbot.waitUntil(lambda: "encrypting" in page.line.text)
    press(qtbot, page.line.cancel)
    qtbot.waitUntil(lambda: not page.building)
    assert "Cancelled" in texts(page)
    assert list(out.iterdir()) == []
    assert service.names() == ()
    qtbot.waitUntil(lambda: not bridge.busy)


def test_what_was_found_goes_with_the_image_it_was_about(qtbot, page, tmp_path):
    path = tmp_path / "plain.img"
    path.write_bytes(bytes(4 * MIB))
    page.look.set_open(True)
    page.look.file.set_path(str(path))
    press(qtbot, page.look.inspecting)
    assert not page.look.file.isEnabled()
    qtbot.waitUntil(page.look.inspecting.isEnabled)
    assert page.look.banner.isVisible()
    page.look.file.set_path(str(tmp_path / "another.img"))
    assert not page.look.banner.isVisible()
    assert not page.look.facts.isVisible()


def test_looking_into_no_image_is_told_at_the_field(qtbot, page):
    page.look.set_open(True)
    press(qtbot, page.look.inspecting)
    assert page.look.file.problem


def test_a_file_that_is_no_image_is_told(qtbot, page, tmp_path):
    path = tmp_path / "text.img"
    path.write_bytes(b"hello" * 100)
    page.look.set_open(True)
    page.look.file.set_path(str(path))
    press(qtbot, page.look.inspecting)
    qtbot.waitUntil(page.look.banner.isVisible)


def test_a_form_with_nothing_wrong_has_no_problems():
    form = ImageForm(root="/r.tar", output="/o.img", name="web1")
    assert form.problems() == {}
