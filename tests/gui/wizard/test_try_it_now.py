# SPDX-License-Identifier: Apache-2.0
"""*Try it now* from its first page to its last, by mouse and by keyboard alone."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QToolButton

from watchword.core.launch.engine import StepState
from watchword.gui.wizard.flow import PAGES

PAGE_STEPS = [page.step for page in PAGES]


def states(driver) -> dict[str, StepState]:
    return {status.step.id: status.state for status in driver.launch.statuses()}


def test_three_presses_lead_from_the_guest_to_a_running_vm(driver) -> None:
    assert driver.page == "guest"
    driver.go_on()
    assert driver.page == "session"
    driver.go_on()
    assert driver.page == "secret"
    assert states(driver)["secret"] is StepState.READY
    driver.go_on()
    assert driver.page == "run"
    assert set(states(driver).values()) == {StepState.DONE}
    assert "Finish" in driver.frame.row.primary.text()


def test_nothing_is_sealed_before_the_owner_says_so(driver) -> None:
    driver.to("secret")
    run = driver.frame.conductor._run
    assert run.what_happened().packets == 0
    assert not run.what_happened().secret_in_guest
    driver.go_on()
    assert run.what_happened().packets == 1
    assert run.what_happened().secret_in_guest
    assert not run.what_happened().secret_seen


def test_the_wizard_walks_through_every_verified_page_by_itself(make_wizard, qtbot) -> None:
    driver = make_wizard(dwell=5)
    seen: list[str] = []
    driver.frame._stack.currentChanged.connect(lambda _: seen.append(driver.page))
    for _ in range(3):
        driver.go_on()
    assert seen == ["platform", "session", "start", "measurement", "secret", "run"]


def test_who_wants_to_stay_stays_and_finds_everything_verified(make_wizard, qtbot) -> None:
    driver = make_wizard(dwell=60_000)
    driver.click(driver.frame.row.primary)
    qtbot.waitUntil(lambda: states(driver)["session"] is StepState.DONE)
    qtbot.waitUntil(lambda: not driver.frame.conductor_at_work)
    # The guest was read before; the platform's page is the first with something new.
    qtbot.waitUntil(lambda: driver.page == "platform")
    driver.click(driver.frame.row.staying)
    assert not driver.frame.row.staying.isVisible()
    assert not driver.frame._walk.isActive()
    driver.go_on()
    assert driver.page == "session"


def test_step_by_step_stops_at_every_page(driver) -> None:
    driver.wizard.choices.slow.click()
    seen = [driver.page]
    for _ in range(7):
        driver.go_on()
        seen.append(driver.page)
    # One press more than there are steps: from the measurement one goes to the secret's page.
    assert seen == [*PAGE_STEPS, "run"]


def test_back_keeps_everything(driver) -> None:
    driver.to("secret")
    before = dict(driver.launch.facts)
    for page in reversed(PAGE_STEPS[: PAGE_STEPS.index("secret")]):
        driver.click(driver.frame.row.back)
        assert driver.page == page
    assert dict(driver.launch.facts) == before
    for page in PAGE_STEPS[1 : PAGE_STEPS.index("secret") + 1]:
        driver.go_on()
        assert driver.page == page
    assert dict(driver.launch.facts) == before


def test_another_number_of_vcpus_makes_what_rests_on_it_stale_until_checked_again(
    driver, qtbot
) -> None:
    driver.to("secret")
    driver.frame.go("guest")
    driver.wizard.choices.vcpus.setValue(3)
    qtbot.waitUntil(lambda: states(driver)["measurement"] is StepState.STALE)
    driver.rest()
    assert states(driver)["platform"] is StepState.DONE
    driver.frame.go("measurement")
    assert "changed" in driver.frame.page.banner.accessibleName()
    driver.frame.go("guest")
    driver.go_on()
    driver.to("secret")
    assert states(driver)["measurement"] is StepState.DONE
    digest = driver.launch.facts["guest"].record["launch_digests"][0]
    assert digest["components"][-1]["count"] == 2
    driver.go_on()
    assert driver.launch.complete


def test_the_first_page_shows_the_digest_of_what_is_chosen_before_anything_happens(
    driver, qtbot
) -> None:
    first = driver.launch.facts["guest"].digest()
    driver.wizard.choices.vcpus.setValue(5)
    qtbot.waitUntil(lambda: driver.launch.facts["guest"].digest() != first)
    driver.rest()
    assert states(driver)["guest"] is StepState.DONE


def test_cancel_stops_within_a_second_and_leaves_the_step_to_be_taken(driver, qtbot) -> None:
    driver.choose("silence")
    driver.click(driver.frame.row.primary)
    qtbot.waitUntil(lambda: states(driver)["platform"] is StepState.BUSY)
    with qtbot.waitSignal(driver.frame.conductor.rested):
        driver.click(driver.frame.row.other)
    assert states(driver)["platform"] is StepState.READY
    assert driver.launch.marks == {}
    assert "Cancelled" in driver.frame.row.note.text()
    driver.choose(None)
    driver.to("secret")
    assert states(driver)["measurement"] is StepState.DONE


def test_escape_cancels_what_is_at_work(driver, qtbot) -> None:
    driver.choose("silence")
    driver.click(driver.frame.row.primary)
    qtbot.waitUntil(lambda: states(driver)["platform"] is StepState.BUSY)
    with qtbot.waitSignal(driver.frame.conductor.rested):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
    assert driver.launch.marks == {}


def test_leaving_in_the_middle_ends_the_simulated_host(driver, qtbot, bridge) -> None:
    driver.to("session")
    driver.wizard.close_launch()
    qtbot.waitUntil(lambda: not bridge.busy)


def press(qtbot, key: Qt.Key, times: int = 1) -> None:
    for _ in range(times):
        qtbot.keyClick(QApplication.focusWidget(), key)


def tab_to(qtbot, wanted: QPushButton) -> None:
    for _ in range(60):
        if QApplication.focusWidget() is wanted:
            return
        press(qtbot, Qt.Key.Key_Tab)
    raise AssertionError(f"Tab does not lead to {wanted.text()}")


def test_the_whole_flow_by_keyboard_alone(driver, qtbot) -> None:
    row = driver.frame.row
    # Enter goes on, since the focus is where one goes on...
    assert QApplication.focusWidget() is row.primary
    press(qtbot, Qt.Key.Key_Return)
    driver.rest()
    assert driver.page == "session"
    assert QApplication.focusWidget() is row.primary
    press(qtbot, Qt.Key.Key_Return)
    driver.rest()
    assert driver.page == "secret"
    # ...but for what can't be taken back: Enter alone hands nothing over.
    assert QApplication.focusWidget() is not row.primary
    press(qtbot, Qt.Key.Key_Return, 3)
    driver.rest()
    assert (driver.page, states(driver)["secret"]) == ("secret", StepState.READY)
    tab_to(qtbot, row.primary)
    press(qtbot, Qt.Key.Key_Space)
    driver.rest()
    assert driver.page == "run"
    assert driver.launch.complete


def test_a_second_enter_while_the_first_is_at_work_does_nothing(driver, qtbot) -> None:
    press(qtbot, Qt.Key.Key_Return)
    assert driver.frame.conductor_at_work
    assert driver.frame.stepper.isAncestorOf(QApplication.focusWidget())
    press(qtbot, Qt.Key.Key_Return, 3)
    driver.rest()
    assert driver.page == "session"
    assert states(driver)["start"] is StepState.READY


def test_a_refusal_is_shown_even_to_those_who_stayed_on_a_page(driver) -> None:
    driver.choose("low-api")
    driver.to("session")
    driver.click(driver.frame.row.primary)
    driver.frame.stay()
    driver.rest()
    assert driver.page == "measurement"


def test_the_arrows_walk_through_the_steps_without_leaving_the_list(driver, qtbot) -> None:
    driver.to("secret")
    driver.frame.stepper.button("secret").setFocus()
    press(qtbot, Qt.Key.Key_Up, 2)
    press(qtbot, Qt.Key.Key_Return)
    assert driver.page == "start"
    assert driver.frame.stepper.button("start").hasFocus()


def test_both_files_for_the_host_can_be_copied(driver) -> None:
    driver.to("session")
    material = driver.frame.conductor.material
    for name, text in (
        ("godh.b64", material.godh_base64),
        ("session.b64", material.session_base64),
    ):
        (copy,) = (
            button
            for button in driver.frame.page.findChildren(QToolButton)
            if button.accessibleName() == f"Copy {name}"
        )
        driver.click(copy)
        assert QGuiApplication.clipboard().text() == text


def test_a_file_for_the_host_is_written_where_the_owner_says(driver, qtbot, tmp_path) -> None:
    driver.to("session")
    path = tmp_path / "godh.b64"
    driver.frame.page.saving.emit(str(path), "text")
    qtbot.waitUntil(path.exists)
    assert path.read_text() == "text"
    qtbot.waitUntil(lambda: "Saved" in driver.frame.row.note.text())
    assert not driver.frame.problem.isVisible()


def test_a_file_that_can_not_be_written_is_told_on_the_page(driver, qtbot, tmp_path) -> None:
    driver.to("session")
    driver.frame.page.saving.emit(str(tmp_path / "no-folder" / "godh.b64"), "text")
    qtbot.waitUntil(driver.frame.problem.isVisible)
    assert "Can't use the file" in driver.frame.problem.accessibleName()


def test_everything_is_marked_as_simulated(driver) -> None:
    for page in PAGE_STEPS:
        driver.frame.go(page)
        assert driver.frame.ribbon.isVisible()
        assert driver.frame.ribbon.accessibleName().startswith("SIMULATED")


def test_a_rehearsal_can_only_be_ended_since_it_is_not_kept(driver) -> None:
    row = driver.frame.row
    for step in PAGE_STEPS:
        driver.frame.go(step)
        assert row.leaving.text().replace("&", "") == "End the rehearsal"
        assert "come back" not in row.other.text()
    assert row.leaving.toolTip() == "A rehearsal is not kept."


def test_on_the_last_page_there_is_one_way_out(driver, qtbot) -> None:
    driver.to("run")
    assert not driver.frame.row.leaving.isVisible()
    driver.frame.go("secret")
    assert driver.frame.row.leaving.isVisible()
    driver.frame.go("run")
    with qtbot.waitSignal(driver.wizard.left):
        driver.click(driver.frame.row.primary)


def test_nobody_is_said_to_have_named_the_simulated_root(driver) -> None:
    driver.to("secret")
    for step in PAGE_STEPS:
        driver.frame.go(step)
        words = " ".join(label.text() for label in driver.frame.page.findChildren(QLabel))
        assert "named" not in words, step
    driver.frame.go("platform")
    words = " ".join(label.text() for label in driver.frame.page.findChildren(QLabel))
    assert "Not AMD's: the simulated root" in words
