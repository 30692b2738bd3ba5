# SPDX-License-Identifier: Apache-2.0
"""A launch's step states follow from its facts, and turn stale when what they rest on changes."""

from __future__ import annotations

import pytest

from watchword.core.launch.engine import Launch, Step, StepState, digest_of

STEPS = (
    Step("guest", "What should run", answers=("firmware",)),
    Step("platform", "The platform", answers=("host",)),
    Step("session", "The blob", answers=("policy",), after=("platform",)),
    Step("measurement", "The measurement", after=("guest", "session")),
)


def states(launch: Launch) -> dict[str, StepState]:
    return {status.step.id: status.state for status in launch.statuses()}


@pytest.fixture
def answered() -> Launch:
    launch = Launch("one", "sev", STEPS)
    for name in ("firmware", "host", "policy"):
        launch = launch.answer(name, f"{name} 1")
    return launch


@pytest.fixture
def complete(answered: Launch) -> Launch:
    for step in STEPS:
        answered = answered.establish(step.id, {"seen": step.id})
    return answered


def test_a_step_is_ready_once_its_answers_and_predecessors_are_there(answered: Launch) -> None:
    fresh = Launch("one", "sev", STEPS)
    assert states(fresh)["guest"] is StepState.TODO
    assert "firmware" in fresh.status("guest").reason
    assert states(answered) == {
        "guest": StepState.READY,
        "platform": StepState.READY,
        "session": StepState.TODO,
        "measurement": StepState.TODO,
    }


def test_all_steps_established_make_a_complete_launch(complete: Launch) -> None:
    assert complete.complete
    assert complete.next_step() is None
    assert set(states(complete).values()) == {StepState.DONE}


def test_changing_an_answer_makes_its_step_and_all_that_rest_on_it_stale(complete: Launch) -> None:
    changed = complete.answer("policy", "another")
    assert states(changed) == {
        "guest": StepState.DONE,
        "platform": StepState.DONE,
        "session": StepState.STALE,
        "measurement": StepState.STALE,
    }
    assert changed.next_step() is STEPS[2]


def test_taking_an_answer_back_makes_the_facts_count_again(complete: Launch) -> None:
    there_and_back = complete.answer("policy", "another").answer("policy", "policy 1")
    assert there_and_back.complete


def test_a_new_fact_with_the_same_answer_makes_later_steps_stale(complete: Launch) -> None:
    again = complete.establish("platform", {"seen": "another PDH"})
    assert states(again)["session"] is StepState.STALE
    assert states(again)["measurement"] is StepState.STALE


def test_a_failed_step_blocks_those_after_it_and_says_which(answered: Launch) -> None:
    failed = answered.fail("platform", {"message": "forged"})
    assert states(failed)["platform"] is StepState.FAILED
    assert failed.status("platform").reason == "forged"
    assert states(failed)["session"] is StepState.BLOCKED
    assert "The platform" in failed.status("session").reason
    assert states(failed)["guest"] is StepState.READY


def test_a_failure_counts_only_for_the_answers_that_it_was_met_with(answered: Launch) -> None:
    failed = answered.fail("platform", {"message": "forged"})
    assert states(failed.answer("host", "another host"))["platform"] is StepState.READY


def test_a_waived_fact_lets_later_steps_go_on_and_stays_visible(answered: Launch) -> None:
    waived = answered.establish("platform", {}, waived="lab machine")
    assert states(waived)["platform"] is StepState.WAIVED
    assert states(waived)["session"] is StepState.READY
    assert waived.waivers == {"platform": "lab machine"}


def test_waiting_and_busy_are_passing_conditions(answered: Launch) -> None:
    waiting = answered.wait("platform", {"message": "the host's operator"})
    assert states(waiting)["platform"] is StepState.WAITING
    assert states(waiting.begin("platform"))["platform"] is StepState.BUSY
    assert states(waiting.unmark("platform"))["platform"] is StepState.READY
    done = waiting.establish("platform", {})
    assert states(done)["platform"] is StepState.DONE


def test_every_change_leaves_the_launch_before_it_as_it_was(answered: Launch) -> None:
    before = states(answered)
    answered.establish("guest", {}).fail("platform", {}).answer("policy", "x")
    assert states(answered) == before
    with pytest.raises(TypeError):
        answered.answers["policy"] = "x"  # type: ignore[index]


def test_digests_do_not_depend_on_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": "1"})
