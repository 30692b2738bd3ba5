# SPDX-License-Identifier: Apache-2.0
"""What holds for every page of the wizard: names, room for its words, no sideways scrolling."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QScrollArea, QWidget

from watchword.core.launch.engine import Launch
from watchword.core.launch.sev_steps import LAUNCH_STEPS
from watchword.gui.widgets.foldable import Foldable
from watchword.gui.wizard.evidence import EvidencePage
from watchword.gui.wizard.flow import PAGES, Situation
from watchword.gui.wizard.runs import RECORDED
from watchword.gui.wizard.secret import SecretPage

from ..widgets.looks import cut_off, nameless, shown

# 1366x768 at 150 %, in device-independent pixels, less a panel and the window's own title.
SMALLEST = (910, 512 - 64)
STEPS = [page.step for page in PAGES]


def pages(driver) -> Iterator[str]:
    """Each page as it is shown at the end of a launch, with everything unfolded."""
    for step in STEPS:
        driver.frame.go(step)
        settle()
        for foldable in driver.frame.page.findChildren(Foldable):
            foldable.set_open(True)
        settle()
        yield step


def settle() -> None:
    for _ in range(5):
        QApplication.processEvents()


def whole_launch(driver) -> None:
    driver.frame.go("guest")
    driver.to("run")
    assert driver.launch.complete


def sideways(root: QWidget) -> list[str]:
    """Areas that must be scrolled sideways to be read."""
    return [
        repr(area)
        for area in shown(root)
        if isinstance(area, QScrollArea) and area.horizontalScrollBar().maximum() > 0
    ]


def test_whatever_can_have_the_focus_has_a_name_before_and_after(driver) -> None:
    found = {f"before: {step}": nameless(driver.wizard) for step in pages(driver)}
    whole_launch(driver)
    found |= {f"after: {step}": nameless(driver.wizard) for step in pages(driver)}
    assert {step: names for step, names in found.items() if names} == {}


@pytest.mark.parametrize("attack", [None, "wrong-firmware", "forged-chain"])
def test_every_page_fits_a_small_screen_at_150_percent(driver, attack) -> None:
    assert driver.wizard.minimumSizeHint().width() <= SMALLEST[0]
    assert driver.wizard.minimumSizeHint().height() <= SMALLEST[1]
    driver.wizard.resize(*SMALLEST)
    driver.choose(attack)
    driver.to("run")
    assert (driver.wizard.width(), driver.wizard.height()) == SMALLEST
    found = {step: cut_off(driver.wizard) + sideways(driver.wizard) for step in pages(driver)}
    assert {step: problems for step, problems in found.items() if problems} == {}


def test_nothing_is_cut_off_in_a_language_with_longer_words(longer_words, make_wizard) -> None:
    driver = make_wizard()
    driver.wizard.resize(1120, 760)
    assert driver.wizard.minimumSizeHint().width() <= 1120
    whole_launch(driver)
    found = {step: cut_off(driver.wizard) + sideways(driver.wizard) for step in pages(driver)}
    assert {step: problems for step, problems in found.items() if problems} == {}
    assert "éx" in driver.frame.row.primary.text()


def test_no_text_is_taken_for_markup_where_a_host_could_have_written_it(driver) -> None:
    whole_launch(driver)
    for step in pages(driver):
        for label in driver.frame.page.findChildren(QLabel):
            rich = label.textFormat() != Qt.TextFormat.PlainText
            # Digests are coloured by us; they are hex digits and nothing else.
            assert not rich or "measurement" in label.accessibleName(), (step, label.text())


def test_no_two_buttons_of_a_page_share_a_shortcut(driver) -> None:
    for step in pages(driver):
        texts = [b.text() for b in driver.frame.row.findChildren(QWidget) if hasattr(b, "text")]
        texts = [t for t in texts if "&" in t]
        letters = [text[text.index("&") + 1].lower() for text in texts]
        assert len(letters) == len(set(letters)), (step, texts)


def test_what_was_waived_is_never_told_as_proven(qtbot, theme) -> None:
    made = Launch("one", "sev", LAUNCH_STEPS)
    for step in STEPS:
        waived = "a lab machine" if step == "platform" else None
        made = made.establish(step, {"root": "not-amd", "report_nonce": "00"}, waived)
    for page in (SecretPage(), EvidencePage()):
        qtbot.addWidget(page)
        page.show_launch(Situation(made, RECORDED), None)
        words = [label.text() for label in page.findChildren(QLabel)]
        assert any("Waived, not verified" in text and "a lab machine" in text for text in words)
        assert not any("chain holds" in text or "genuine" in text for text in words)
    assert any("Nothing: all of it rests on the platform" in text for text in words)
    assert not any("to the last byte" in text or "signed a report" in text for text in words)


def words_on(page: QWidget) -> str:
    settle()
    return "\n".join(label.accessibleName() for label in page.findChildren(QLabel))


def test_before_the_secret_leaves_it_is_told_what_goes_to_whom_and_that_it_is_final(driver) -> None:
    driver.to("secret")
    words = words_on(driver.frame.page)
    assert "can't be taken back" in words
    assert "What will be handed over, and to whom" in words
    assert "the VM that was measured, and nobody else" in words
    assert "no debugging" in words


def test_a_rehearsal_never_says_that_it_has_proven_anything(driver) -> None:
    whole_launch(driver)
    words = words_on(driver.frame.page).splitlines()
    assert "Proven" not in words
    assert "What this would prove on a real platform" in words
