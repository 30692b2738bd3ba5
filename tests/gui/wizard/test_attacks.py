# SPDX-License-Identifier: Apache-2.0
"""Every attack of the simulator ends on a page that refuses and says why."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QToolButton

from watchword.core.launch.engine import StepState
from watchword.core.rehearsal.stepwise import host_behaviours
from watchword.gui.wizard.flow import Action, buttons

ATTACKS = [one.attack for one in host_behaviours() if one.attack is not None]
PLATFORM = {
    "forged-chain",
    "swapped-pdh",
    "foreign-cek",
    "unsigned-cek",
    "silence",
    "slow-drip",
    "disconnect-mid-command",
    "flood",
    "huge-reply",
    "deep-json",
    "garbage-json",
    "wrong-types",
    "second-client",
    "error-with-markup",
}
MEASUREMENT = {
    "wrong-firmware",
    "wrong-kernel",
    "replayed-measurement",
    "policy-downgrade",
    "low-api",
    "known-bad-build",
}
SECRET = {"cloned-launch", "state-lies", "corrupt-packet-reply", "answers-late"}
RUN = {"says-injected-but-not"}
PAGE = {
    attack: page
    for page, attacks in (
        ("platform", PLATFORM),
        ("measurement", MEASUREMENT),
        ("secret", SECRET),
        ("run", RUN),
    )
    for attack in attacks
}


def test_every_attack_is_expected_to_end_somewhere() -> None:
    assert set(ATTACKS) == PAGE.keys()


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_ends_on_a_page_that_refuses_and_says_why(driver, attack: str) -> None:
    driver.choose(attack)
    for _ in range(4):
        if driver.launch.marks:
            break
        driver.go_on()
    assert driver.page == PAGE[attack]
    assert driver.launch.status(driver.page).state is StepState.FAILED
    reason = driver.launch.marks[driver.page].reason
    banner = driver.frame.page.banner
    assert banner.isVisible()
    assert banner.accessibleName() == f"Problem: {reason['title']}"
    for words in (reason["message"], reason["remedy"]):
        assert words
        assert words in banner.accessibleDescription()
    assert_details_are_folded_and_can_be_copied(driver, reason)
    assert_nothing_leads_on(driver)
    assert_the_secret_was_not_seen(driver)


def assert_details_are_folded_and_can_be_copied(driver, reason) -> None:
    banner = driver.frame.page.banner
    assert not banner._details.opened
    (copy,) = (
        button
        for button in banner.findChildren(QToolButton)
        if button.accessibleName().startswith("Copy")
    )
    driver.click(copy)
    assert reason["title"] in QGuiApplication.clipboard().text()
    assert reason["code"] in QGuiApplication.clipboard().text()


def assert_nothing_leads_on(driver) -> None:
    situation = driver.frame.conductor.situation()
    offered = buttons(situation, driver.page)
    actions = {offered.primary.action, *(button.action for button in offered.others)}
    assert Action.START_OVER in actions
    assert actions <= {Action.START_OVER, Action.RUN}
    if driver.launch.marks[driver.page].reason["exit_status"] == 3:
        assert actions == {Action.START_OVER}
    later = [s for s in driver.launch.statuses() if s.state is StepState.BLOCKED]
    assert all(not status.settled for status in later)


def assert_the_secret_was_not_seen(driver) -> None:
    happened = driver.frame.conductor._run.what_happened()
    assert not happened.secret_seen
    if driver.page in ("platform", "measurement"):
        assert happened.packets == 0
        assert "did not leave" in driver.frame.page.assurance._label.text()
        assert driver.frame.page.assurance.isVisible()


def test_what_the_host_did_is_told_once_it_was_caught(driver) -> None:
    driver.choose("wrong-firmware")
    driver.to("secret")
    assert driver.page == "measurement"
    assert driver.frame.page.story.isVisible()
    assert "another firmware" in driver.frame.page.story._label.text()


def test_a_mismatch_shows_both_values_and_what_was_tried_to_explain_it(driver) -> None:
    driver.choose("wrong-firmware")
    driver.to("secret")
    details = driver.launch.marks["measurement"].reason["details"]
    shown = {
        label.accessibleName()
        for label in driver.frame.page.findChildren(type(driver.frame.page.banner._title))
    }
    assert any("usual mistakes" in text for text in shown)
    assert any(
        str(details["reported"][:8]) in label.accessibleName()
        for label in driver.frame.page.findChildren(object)
        if hasattr(label, "accessibleName")
    )


def test_words_of_a_host_are_shown_and_never_obeyed(driver) -> None:
    driver.choose("error-with-markup")
    driver.to("secret")
    banner = driver.frame.page.banner
    assert "\x1b" not in banner._message.text()
    assert "\u202e" not in banner._message.text()
    assert banner._message.textFormat().name == "PlainText"


def test_a_new_launch_after_a_refusal_begins_at_the_first_page_with_another_host(driver) -> None:
    driver.choose("forged-chain")
    driver.to("secret")
    assert driver.page == "platform"
    driver.go_on()
    assert driver.page == "guest"
    assert driver.launch.marks == {}
    driver.choose(None)
    driver.to("secret")
    assert driver.page == "secret"
