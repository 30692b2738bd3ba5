# SPDX-License-Identifier: Apache-2.0
"""The step list says where each step stands, to eyes and ears, and is driven by keys or mouse."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from watchword.core.launch.engine import Launch, Step, StepState
from watchword.gui.widgets.state_badge import StateBadge, step_look
from watchword.gui.widgets.stepper import StepEntry, Stepper

from .looks import name_of
from .sheets import entries


@pytest.fixture
def stepper(qtbot) -> Stepper:
    stepper = Stepper()
    qtbot.addWidget(stepper)
    stepper.set_entries(entries())
    stepper.set_current("guest")
    stepper.show()
    return stepper


def chosen(stepper: Stepper) -> list[str]:
    ids: list[str] = []
    stepper.stepChosen.connect(ids.append)
    return ids


@pytest.mark.parametrize("state", StepState)
def test_every_state_has_an_icon_and_a_word_of_its_own(state: StepState, qapp) -> None:
    look = step_look(state)
    others = [step_look(other) for other in StepState if other is not state]
    assert look.word
    assert look.icon not in [other.icon for other in others]
    assert look.word not in [other.word for other in others]


def test_a_step_tells_its_place_title_state_and_reason(stepper: Stepper) -> None:
    button = stepper.button("measurement")
    assert name_of(button) == "Step 5 of 7, Measurement, Failed"
    assert button.accessibleDescription() == "does not match"
    assert "does not match" in button.toolTip()


def test_the_step_that_is_looked_at_says_so(stepper: Stepper) -> None:
    assert name_of(stepper.button("guest")) == "Step 1 of 7, Guest, Done, shown now"
    stepper.set_current("platform")
    assert name_of(stepper.button("guest")) == "Step 1 of 7, Guest, Done"
    assert stepper.current == "platform"


def test_a_click_chooses_and_changes_nothing_by_itself(qtbot, stepper: Stepper) -> None:
    ids = chosen(stepper)
    qtbot.mouseClick(stepper.button("secret"), Qt.MouseButton.LeftButton)
    assert ids == ["secret"]
    assert stepper.current == "guest"


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space])
def test_keys_choose(qtbot, stepper: Stepper, key: Qt.Key) -> None:
    ids = chosen(stepper)
    stepper.button("platform").setFocus()
    qtbot.keyClick(stepper.button("platform"), key)
    assert ids == ["platform"]


def test_arrows_move_the_focus_within_the_list(qtbot, stepper: Stepper) -> None:
    stepper.button("guest").setFocus()
    for key, expected in (
        (Qt.Key.Key_Up, "guest"),
        (Qt.Key.Key_Down, "platform"),
        (Qt.Key.Key_Down, "session"),
        (Qt.Key.Key_Up, "platform"),
        (Qt.Key.Key_Home, "guest"),
    ):
        qtbot.keyClick(stepper.focusWidget(), key)
        assert stepper.focusWidget() is stepper.button(expected)


def test_the_list_is_one_tab_stop(stepper: Stepper) -> None:
    def tab_stops() -> list[str]:
        tab = Qt.FocusPolicy.TabFocus
        return [e.id for e in entries() if stepper.button(e.id).focusPolicy() & tab]

    assert tab_stops() == ["guest"]
    stepper.set_current("session")
    stepper.button("start").setFocus()
    assert tab_stops() == ["start"]


def test_a_step_that_is_not_enabled_can_not_be_chosen(qtbot, stepper: Stepper) -> None:
    ids = chosen(stepper)
    qtbot.mouseClick(stepper.button("evidence"), Qt.MouseButton.LeftButton)
    assert ids == []


def test_new_states_keep_the_buttons_and_the_focus(stepper: Stepper) -> None:
    button = stepper.button("platform")
    button.setFocus()
    changed = [StepEntry(e.id, e.title, StepState.DONE) for e in entries()]
    stepper.set_entries(changed)
    assert stepper.button("platform") is button
    assert stepper.focusWidget() is button
    assert button.look.word == "Done"


def test_other_steps_replace_the_buttons(stepper: Stepper) -> None:
    stepper.set_entries([StepEntry("only", "Only one", StepState.READY)])
    assert name_of(stepper.button("only")) == "Step 1 of 1, Only one, Ready"
    with pytest.raises(KeyError):
        stepper.button("guest")


def test_an_entry_is_made_from_a_step_of_a_launch() -> None:
    launch = Launch(
        "id", "sev", (Step("platform", "Platform"), Step("x", "X", after=("platform",)))
    )
    failed = launch.begin("platform").fail("platform", {"message": "forged"})
    first, second = (StepEntry.of(status) for status in failed.statuses())
    assert (first.title, first.state, first.reason) == ("Platform", StepState.FAILED, "forged")
    assert second.state is StepState.BLOCKED
    assert StepEntry.of(failed.status("x"), "My title").title == "My title"


def test_a_rehearsal_is_marked(stepper: Stepper) -> None:
    badge = stepper.findChild(StateBadge)
    assert not badge.isVisible()
    stepper.set_simulated(True)
    assert badge.isVisible()
    assert name_of(badge) == "SIMULATED"


def test_foreign_words_in_a_title_make_no_shortcut_and_no_markup(qtbot, stepper: Stepper) -> None:
    stepper.set_entries([StepEntry("a", "A&B <b>x</b>", StepState.FAILED, "<i>why</i>")])
    button = stepper.button("a")
    assert button.shortcut().isEmpty()
    assert "A&B <b>x</b>" in name_of(button)
    assert "<i>" not in button.toolTip()
    assert button.width() >= button.sizeHint().width()


def test_titles_are_never_cut(qtbot, stepper: Stepper) -> None:
    title = "A step with rather a long title"
    stepper.set_entries(
        [StepEntry("a", title, StepState.DONE), StepEntry("b", "B", StepState.TODO)]
    )
    stepper.set_current("a")
    stepper.button("b").setFocus()
    QApplication.processEvents()
    button = stepper.button("a")
    image = button.grab(button.rect().adjusted(0, 8, 0, -8)).toImage()

    def colours(columns: range) -> int:
        return len({image.pixel(x, y) for x in columns for y in range(image.height())})

    assert colours(range(image.width() - 40, image.width() - 20)) > 1
    assert colours(range(image.width() - 8, image.width())) == 1
