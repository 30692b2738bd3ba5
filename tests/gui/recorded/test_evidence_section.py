# SPDX-License-Identifier: Apache-2.0
"""Signed documents from the window: saved in each form, without names, checked, opened again."""

from __future__ import annotations

import asyncio
import json

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton

from watchword.core.cli.main import main
from watchword.core.evidence.envelope import open_envelope
from watchword.core.evidence.signing_key import SIGNING_KEY_ENTRY
from watchword.gui.pages.ledger_page import LedgerPage
from watchword.gui.pages.ledger_service import LedgerService
from watchword.gui.widgets.tones import Tone

from ...core.launch.support import PASSPHRASE, Stage, prepared
from ..widgets.looks import cut_off, nameless


@pytest.fixture
def launch_id(office, keys):
    """A launch that ran to its end under a root that its owner trusts, and left a document."""
    office.roots = ()

    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run()
            return launch_id

    return asyncio.run(scenario())


@pytest.fixture
def root(keys, tmp_path):
    path = tmp_path / "ark.cert"
    path.write_bytes(keys.root.ark)
    return path


@pytest.fixture
def page(qtbot, bridge, theme, vaults, launch_id):
    made = LedgerPage(bridge, LedgerService(vaults=vaults))
    qtbot.addWidget(made)
    made.resize(900, 800)
    made.show()
    made.refresh()
    rest(qtbot, made)
    made.evidence.set_open(True)
    rest(qtbot, made)
    yield made
    qtbot.waitUntil(lambda: not bridge.busy)


def rest(qtbot, page):
    qtbot.waitUntil(lambda: not page.work.busy)


def press(qtbot, page, button):
    assert button.isVisible()
    qtbot.waitUntil(button.isEnabled)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    rest(qtbot, page)


def dialog_of(qtbot, page, button):
    """The dialog that a button opens, once the vault was looked at."""
    press(qtbot, page, button)
    qtbot.waitUntil(lambda: page.dialog is not None)
    return page.dialog


def words(widget):
    labels = [*widget.findChildren(QLabel), *widget.findChildren(QPushButton)]
    return "\n".join(one.text().replace("\u200b", "") for one in labels if one.isVisible())


def saved(qtbot, page, path):
    dialog = dialog_of(qtbot, page, page.evidence.saving)
    dialog.file.set_path(str(path))
    press(qtbot, page, dialog.agreeing)
    qtbot.waitUntil(lambda: page.dialog is None or page.dialog.banner.isVisible())
    rest(qtbot, page)
    return dialog


def checked(qtbot, page, path, root, **fields):
    dialog = dialog_of(qtbot, page, page.evidence.checking)
    assert not dialog.agreeing.isEnabled()
    dialog.files.add_files([str(path)])
    dialog.root.set_path(str(root))
    dialog.unknown.setChecked(not fields.get("signer"))
    dialog.signer.setText(fields.get("signer", ""))
    dialog.firmware.set_path(fields.get("firmware", ""))
    press(qtbot, page, dialog.agreeing)
    assert page.dialog is dialog
    return dialog


@pytest.mark.parametrize(
    ("name", "start"),
    [("kept.json", b"{"), ("kept.html", b"<!DOCTYPE"), ("kept.pdf", b"%PDF")],
)
def test_a_document_is_saved_in_the_form_that_its_name_says(qtbot, page, tmp_path, name, start):
    path = tmp_path / name
    saved(qtbot, page, path)
    assert page.evidence.banner.tone is Tone.OK
    assert path.read_bytes().startswith(start)
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_over_a_file_that_is_there(qtbot, page, tmp_path):
    path = tmp_path / "kept.json"
    path.write_text("mine")
    dialog = saved(qtbot, page, path)
    assert "exists already" in dialog.banner.report
    assert path.read_text() == "mine"
    dialog.reject()


def test_a_saved_document_is_verified_and_says_what_each_statement_rests_on(
    qtbot, page, tmp_path, root, office, vaults
):
    path = tmp_path / "kept.json"
    saved(qtbot, page, path)
    press(qtbot, page, page.evidence.signing)
    qtbot.waitUntil(page.evidence.copying.isVisible)
    rest(qtbot, page)
    signer = page.evidence._signer.digits
    firmware = str(office.firmware)
    dialog = checked(qtbot, page, path, root, signer=signer, firmware=firmware)
    (view,) = dialog.views
    assert view.banner.tone is Tone.OK
    assert "is verified" in view.banner.report
    view.findings.set_open(True)
    said = words(view)
    for basis in ("Worked out again here", "Signed by the platform", "The owner's word"):
        assert basis in said
    assert "the launch digest was recomputed" in said
    dialog.unknown.setChecked(True)
    assert dialog.views == []
    dialog.reject()


def test_an_unknown_signer_is_loud_and_another_key_is_refused(qtbot, page, tmp_path, root):
    path = tmp_path / "kept.json"
    saved(qtbot, page, path)
    dialog = checked(qtbot, page, path, root)
    assert dialog.views[0].banner.tone is Tone.WARN
    assert "Nobody vouches for its key" in dialog.views[0].banner.report
    dialog.reject()
    dialog = checked(qtbot, page, path, root, signer="ab" * 32)
    assert dialog.views[0].banner.tone is Tone.BAD
    assert "unknown-signer" in dialog.views[0].banner.report
    dialog.signer.setText("nonsense")
    press(qtbot, page, dialog.agreeing)
    assert dialog.banner.isVisible()
    dialog.reject()


def test_a_changed_document_is_refused_and_the_others_are_checked_all_the_same(
    qtbot, page, tmp_path, root
):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    saved(qtbot, page, good)
    envelope = json.loads(good.read_text())
    envelope["payload"] = envelope["payload"][:-8] + "AAAA" + envelope["payload"][-4:]
    bad.write_text(json.dumps(envelope))
    dialog = dialog_of(qtbot, page, page.evidence.checking)
    dialog.files.add_files([str(bad), str(good), str(tmp_path / "none.json")])
    dialog.root.set_path(str(root))
    dialog.unknown.setChecked(True)
    press(qtbot, page, dialog.agreeing)
    assert [view.banner.tone for view in dialog.views] == [Tone.BAD, Tone.WARN, Tone.BAD]
    page.resize(731, 512)
    assert nameless(dialog) == []
    dialog.reject()


@pytest.mark.parametrize("ending", ["json", "html"])
def test_a_document_without_names_is_saved_with_what_opens_it(
    qtbot, page, tmp_path, root, launch_id, ending
):
    out, salts = tmp_path / f"given.{ending}", tmp_path / f"given.{ending}.salts"
    dialog = dialog_of(qtbot, page, page.evidence.redacting)
    dialog.file.set_path(str(out))
    assert dialog.salts.edit.placeholderText() == str(salts)
    press(qtbot, page, dialog.agreeing)
    assert page.dialog is None
    assert page.evidence.banner.tone is Tone.OK
    assert salts.exists()
    if ending == "html":
        assert "REDACTED" in out.read_text()
        assert launch_id not in out.read_text()
        return
    told = open_envelope(out.read_bytes(), "it").statement.to_json()
    assert launch_id not in json.dumps(told)
    (view,) = checked(qtbot, page, out, root).views
    assert "REDACTED" in view.banner.report
    page.dialog.reject()
    opening = dialog_of(qtbot, page, page.evidence.opening)
    opening.file.set_path(str(out))
    opening.salts.set_path(str(salts))
    press(qtbot, page, opening.agreeing)
    assert launch_id in words(opening.texts)
    assert cut_off(opening.texts) == []
    opening.salts.set_path(str(out))
    press(qtbot, page, opening.agreeing)
    assert "bad-salts" in opening.banner.report
    assert words(opening.texts) == ""
    opening.reject()


def test_a_signing_key_is_made_only_when_it_is_asked_for(qtbot, page, vaults):
    with vaults.opened() as vault:
        vault.remove(SIGNING_KEY_ENTRY)
    press(qtbot, page, page.evidence.signing)
    qtbot.waitUntil(page.evidence.banner.isVisible)
    rest(qtbot, page)
    assert SIGNING_KEY_ENTRY not in vaults.names()
    making = next(b for b in page.evidence.banner.findChildren(QPushButton) if "ake" in b.text())
    press(qtbot, page, making)
    assert SIGNING_KEY_ENTRY in vaults.names()
    assert len(page.evidence._signer.digits) == 64


def test_what_the_window_saves_and_what_the_command_line_saves_is_the_same(
    qtbot, page, tmp_path, launch_id, root, capsys, vaults
):
    """The twin: the same document, page, texts and fingerprint by both ways."""
    secret = tmp_path / "passphrase"
    secret.write_bytes(PASSPHRASE + b"\n")
    opening = ["--passphrase-file", str(secret)]
    for ending, more in (("json", []), ("html", ["--html", "--trust-root", str(root)])):
        by_window, by_command = tmp_path / f"w.{ending}", tmp_path / f"c.{ending}"
        saved(qtbot, page, by_window)
        assert main(["evidence", "export", launch_id, "--out", str(by_command), *more]) == 0
        assert by_window.read_bytes() == by_command.read_bytes()
    capsys.readouterr()
    assert main(["evidence", "signer", *opening]) == 0
    told = capsys.readouterr().out.split()[0]
    press(qtbot, page, page.evidence.signing)
    qtbot.waitUntil(lambda: page.evidence._signer.digits == told)
    dialog = dialog_of(qtbot, page, page.evidence.redacting)
    dialog.file.set_path(str(tmp_path / "wr.json"))
    press(qtbot, page, dialog.agreeing)
    redacting = ["evidence", "export", launch_id, "--redact", "--out", str(tmp_path / "cr.json")]
    assert main([*redacting, *opening]) == 0
    capsys.readouterr()
    found = []
    for name in ("wr.json", "cr.json"):
        path = tmp_path / name
        shown = ["evidence", "open", str(path), "--salts", f"{path}.salts", "--json"]
        assert main(shown) == 0
        found.append(json.loads(capsys.readouterr().out)["opened"])
    assert found[0] == found[1]
