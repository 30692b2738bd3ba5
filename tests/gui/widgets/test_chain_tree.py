# SPDX-License-Identifier: Apache-2.0
"""The chain is shown link by link, in plain sentences; nothing that fails looks as if it held."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtWidgets import QLabel

from watchword.core.sev.chain import (
    ChainReport,
    Link,
    PlatformCertificates,
    Role,
    Root,
    Verdict,
    examine_chain,
)
from watchword.gui.widgets.chain_tree import ChainTree
from watchword.gui.widgets.copy_button import CopyButton
from watchword.gui.widgets.tones import Tone

from .looks import name_of
from .sheets import digest, forged_report, report


@pytest.fixture
def tree(qtbot) -> ChainTree:
    tree = ChainTree()
    qtbot.addWidget(tree)
    return tree


CERTIFICATES = ["ark", "ask", "cek", "oca", "pek", "pek", "pdh"]


def texts(tree: ChainTree) -> str:
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    labels = tree.findChildren(QLabel)
    return "\n".join(label.text().replace("\u200b", "") for label in labels)


def test_every_link_has_a_title_a_verdict_and_a_sentence(tree: ChainTree) -> None:
    tree.show_report(report())
    assert [name_of(row) for row in tree.rows][:3:2] == [
        "ARK, signed by itself: Holds. This is AMD's own root key, as Watchword knows it.",
        "CEK, signed by ASK: Holds. AMD's signing key vouches for the key of this chip.",
    ]
    assert len(tree.rows) == 7
    assert {row.words.look.tone for row in tree.rows} == {Tone.OK}


def test_a_link_that_fails_tells_the_reason_of_the_core(tree: ChainTree) -> None:
    tree.show_report(forged_report())
    words = {(row.words.certificate, row.words.look.word): row.words for row in tree.rows}
    assert words["ark", "Fails"].sentence.startswith("Not AMD's root: its key is none of")
    assert words["oca", "Missing"].look.tone is Tone.WARN
    assert words["cek", "Not checked"].look.tone is Tone.NEUTRAL


def test_in_a_broken_chain_no_link_looks_as_if_it_proved_anything(tree: ChainTree) -> None:
    tree.show_report(report(ark_ark=("failed", "altered")))
    assert [row.words.look.word for row in tree.rows] == ["Fails"] + ["Holds"] * 6
    assert Tone.OK not in {row.words.look.tone for row in tree.rows}


def test_a_root_that_is_not_amds_is_named_so_even_if_all_links_hold(tree: ChainTree) -> None:
    tree.show_report(report(ark_ark=("ok", "a root that you named as trusted"), root="not-amd"))
    first = tree.rows[0]
    assert name_of(first) == ("ARK, signed by itself: Not AMD's. A root that you named as trusted.")
    assert first.words.look.tone is Tone.WARN
    assert "Not AMD's; you named it as trusted" in texts(tree)
    assert "AMD's own" not in texts(tree)
    assert "From AMD" not in texts(tree)
    assert "AMD's signing key" not in texts(tree)


@pytest.mark.parametrize("verdict", ["", "OK", "okay", "yes", "ok ", "failed", "nonsense"])
def test_a_verdict_that_is_not_known_is_no_good_one(tree: ChainTree, verdict: str) -> None:
    tree.show_report(report(pdh_pek=(verdict, "")))
    assert tree.rows[-1].words.look.tone is Tone.BAD


def test_links_come_in_groups_from_amd_to_the_platform(tree: ChainTree) -> None:
    tree.show_report(report())
    shown = texts(tree)
    places = [
        shown.index(title)
        for title in ("From AMD to this chip", "The owner of the server", "This platform")
    ]
    assert places == sorted(places)
    assert [row.words.certificate for row in tree.rows] == CERTIFICATES


def test_a_link_of_an_unknown_certificate_is_shown_all_the_same(tree: ChainTree) -> None:
    strange = report()
    strange["links"].append({"certificate": "xyz", "signed_by": "pdh", "verdict": "failed"})
    tree.show_report(strange)
    assert tree.rows[-1].words.title == "XYZ, signed by PDH"


def test_fingerprints_are_copied_whole(qtbot, tree: ChainTree, clipboard) -> None:
    tree.show_report(report())
    buttons = {name_of(button): button for button in tree.findChildren(CopyButton)}
    assert set(buttons) == {
        "Copy PDH fingerprint",
        "Copy CEK fingerprint",
        "Copy OCA fingerprint",
        "Copy Chip id",
    }
    qtbot.mouseClick(buttons["Copy CEK fingerprint"], Qt.MouseButton.LeftButton)
    assert clipboard.text() == digest("cek").hex()


def test_warnings_are_shown(tree: ChainTree) -> None:
    tree.show_report(report(warnings=["Milan: <b>AMD-SB-3003</b>"]))
    assert "Milan: <b>AMD-SB-3003</b>" in texts(tree)


def test_arrow_keys_go_from_link_to_link(qtbot, tree: ChainTree) -> None:
    tree.show_report(report())
    tree.show()
    tree.rows[0].setFocus()
    qtbot.keyClick(tree.focusWidget(), Qt.Key.Key_Down)
    assert tree.focusWidget() is tree.rows[1]
    qtbot.keyClick(tree.focusWidget(), Qt.Key.Key_End)
    assert tree.focusWidget() is tree.rows[-1]


def test_another_report_replaces_the_first(tree: ChainTree) -> None:
    tree.show_report(report())
    tree.show_report({"ok": False, "links": [], "warnings": []})
    assert tree.rows == ()
    assert "Not known" in texts(tree)
    assert "PDH fingerprint" not in texts(tree)


@pytest.mark.parametrize("broken", [{}, {"links": None}, {"links": [{}], "warnings": 3}])
def test_a_report_that_lacks_fields_looks_like_no_good_one(tree: ChainTree, broken) -> None:
    tree.show_report(broken)
    assert Tone.OK not in {row.words.look.tone for row in tree.rows}


def test_it_takes_what_the_core_gives(tree: ChainTree) -> None:
    tree.show_report(examine_chain(PlatformCertificates(), []).as_json())
    assert len(tree.rows) == 7
    assert {row.words.look.word for row in tree.rows} == {"Missing"}
    link = Link(Role.PDH, Role.PEK, Verdict.OK, "signed by the PEK")
    good = ChainReport((link,), Root.AMD, "milan", "00", None, None, None, ())
    tree.show_report(good.as_json())
    assert name_of(tree.rows[0]).startswith("PDH, signed by PEK: Holds. The platform vouches")
