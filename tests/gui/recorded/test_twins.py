# SPDX-License-Identifier: Apache-2.0
"""Vault, guests, ledger and platforms: by the window and by the command line it is the same."""

from __future__ import annotations

import json

import pytest
from PySide6.QtCore import Qt

from watchword.core.cli.main import main
from watchword.core.guest.store import profiles_folder
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.simulator import build_firmware
from watchword.gui.launch_service import LaunchService
from watchword.gui.pages.check_page import CheckPage
from watchword.gui.pages.guests_page import GuestsPage
from watchword.gui.pages.guests_service import GuestService
from watchword.gui.pages.ledger_page import LedgerPage
from watchword.gui.pages.ledger_service import LedgerService
from watchword.gui.pages.vault_add_dialog import Source
from watchword.gui.pages.vault_page import VaultPage

from ...core.launch.support import PASSPHRASE
from .support import ledger_entries


@pytest.fixture
def opening(tmp_path):
    """The options that open the vault at the command line."""
    file = tmp_path / "passphrase"
    file.write_bytes(PASSPHRASE + b"\n")
    return ("--passphrase-file", str(file))


@pytest.fixture
def show(qtbot, bridge, theme):
    def shown(page):
        qtbot.addWidget(page)
        page.resize(900, 800)
        page.show()
        page.refresh()
        rest(qtbot, page)
        return page

    yield shown
    qtbot.waitUntil(lambda: not bridge.busy)


def rest(qtbot, page):
    qtbot.waitUntil(lambda: not page.work.busy)


def press(qtbot, page, button):
    assert button.isVisible()
    qtbot.waitUntil(button.isEnabled)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    rest(qtbot, page)


def told(capsys, *words):
    """What the command line says in JSON."""
    capsys.readouterr()
    assert main([*words, "--json"]) == 0, capsys.readouterr()
    return json.loads(capsys.readouterr().out)


def as_listed(entries):
    return {entry["name"]: entry["kind"] for entry in entries}


def test_entries_of_the_vault_are_the_same(qtbot, bridge, show, vaults, opening, capsys, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"of a file\n")
    page = show(VaultPage(bridge, vaults))
    for name, source in (("w/disk", Source.GENERATE), ("w/file", Source.FILE)):
        press(qtbot, page, page.adding)
        dialog = page.dialog
        dialog.name_field.setText(name)
        dialog.choose(source)
        dialog.file.set_path(str(secret))
        dialog.strip.setChecked(True)
        press(qtbot, page, dialog.agreeing)
    assert main(["vault", "generate", "c/disk", *opening]) == 0
    adding = ["vault", "add", "c/file", "--from-file", str(secret), "--strip-newline", *opening]
    assert main(adding) == 0
    listed = as_listed(told(capsys, "vault", "list", *opening)["entries"])
    assert listed["w/disk"] == listed["c/disk"]
    assert listed["w/file"] == listed["c/file"]
    values = {}
    for name in ("w/disk", "c/disk", "w/file", "c/file"):
        shown = told(capsys, "vault", "show", name, "--reveal", *opening)
        values[name] = shown["value_base64"]
        assert shown["size"] == (44 if name.endswith("disk") else len(b"of a file"))
    assert values["w/file"] == values["c/file"]
    page.refresh()
    rest(qtbot, page)
    assert {row.info.name for row in page.entries.rows} >= {"w/disk", "c/disk"}
    row = page.entries.row_of("w/disk")
    press(qtbot, page, row.remove)
    press(qtbot, page, page.dialog.agreeing)
    assert main(["vault", "remove", "c/disk", *opening]) == 0
    listed = as_listed(told(capsys, "vault", "list", *opening)["entries"])
    assert {"w/disk", "c/disk"}.isdisjoint(listed)


def test_a_guests_profile_is_the_same_but_for_its_name_and_the_time(
    qtbot, bridge, show, office, tmp_path, service
):
    firmware = tmp_path / "OVMF.fd"
    firmware.write_bytes(build_firmware())
    page = show(GuestsPage(bridge, GuestService(), lambda: service))
    press(qtbot, page, page.list.new)
    form = page.form
    form.fields["name"].widget.setText("twin")
    form.fields["host"].widget.setText("qmp+unix:///run/twin.sock")
    form.files["firmware"].add_paths([str(firmware)])
    form.fields["vcpus"].widget.setText("1-4")
    form.cpu.setEditText("EPYC-Milan")
    press(qtbot, page, form.saving)
    assert page.view.guest.name == "twin"
    by_window = (profiles_folder() / "twin.toml").read_text()
    command = ["guest", "add", "other", "--firmware", str(firmware), "--vcpus", "1-4"]
    command += ["--cpu", "EPYC-Milan", "--host", "qmp+unix:///run/twin.sock"]
    assert main(command) == 0
    by_command = (profiles_folder() / "other.toml").read_text()
    assert timeless(by_window) == timeless(by_command).replace('"other"', '"twin"')


def timeless(text):
    return "\n".join(line for line in text.splitlines() if not line.startswith(("approved", "# ")))


def test_the_ledger_is_exported_verified_and_searched_alike(
    qtbot, bridge, show, office, vaults, capsys, tmp_path
):
    secret = {"name": "disk-passphrase", "entry": "vm1/disk", "size": 3, "test": True}
    with Records.open(office.home) as records:
        body = {"generation": "milan", "secrets": [secret]}
        Ledger(records).append(EntryKind.PACKET_SEALED, "a1", body)
    before = ledger_entries(office.home)
    page = show(LedgerPage(bridge, LedgerService(vaults=vaults)))
    for button, name in ((page.exporting, "w.jsonl"), (page.saving, "w.json")):
        press(qtbot, page, button)
        page.dialog.file.set_path(str(tmp_path / name))
        press(qtbot, page, page.dialog.agreeing)
    press(qtbot, page, page.verifying)
    head = page.check._head.text().replace("\u200b", "")
    told(capsys, "ledger", "export", "--out", str(tmp_path / "c.jsonl"))
    assert (tmp_path / "w.jsonl").read_bytes() == (tmp_path / "c.jsonl").read_bytes()
    assert told(capsys, "ledger", "head")["text"] == head
    assert told(capsys, "ledger", "verify", "--head", str(tmp_path / "w.json"))["ok"]
    found = told(capsys, "ledger", "affected", "--generation", "milan")["given"]
    page.affected.set_open(True)
    page.affected.generation.setCurrentIndex(page.affected.generation.findData("milan"))
    press(qtbot, page, page.affected.searching)
    shown = [one.accessibleName() for one in page.affected.findChildren(type(page.exporting))]
    assert [f"Show entry {one['sequence']} of {one['launch']}" for one in found] == [
        name for name in shown if name.startswith("Show entry")
    ]
    assert ledger_entries(office.home) == before


def test_a_platform_gets_the_same_verdict_and_leaves_no_entry(
    qtbot, bridge, theme, vaults, office, capsys, tmp_path, service
):
    chain = tmp_path / "chain.cert"
    chain.write_bytes(office.keys.full_chain)
    page = CheckPage(bridge, LaunchService(vaults))
    qtbot.addWidget(page)
    page.resize(900, 800)
    with qtbot.waitExposed(page):
        page.show()
    page.files.add_files([str(chain)])
    seen = []
    page.tree.show_report = seen.append
    qtbot.mouseClick(page.checking, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page._job is None and bool(seen))
    capsys.readouterr()
    assert main(["platform", "verify", str(chain), "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert report["links"] == seen[0]["links"]
    assert report["error"]["code"] in page.banner.report
    assert not Records.exists(office.home)
