# SPDX-License-Identifier: Apache-2.0
"""The wizard's thinking half: pages and buttons follow from the launch alone."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace

import pytest

from watchword.core.launch.engine import Launch, Mark, StepState
from watchword.core.launch.sev_steps import LAUNCH_STEPS
from watchword.gui.wizard.flow import (
    PAGES,
    Action,
    Button,
    Need,
    Situation,
    buttons,
    failed_step,
    may_have_left,
    need,
    page_at_rest,
    page_at_work,
)
from watchword.gui.wizard.runs import RECORDED, REHEARSAL

STEPS = [step.id for step in LAUNCH_STEPS]
REFUSED = {"code": "x", "title": "T", "message": "M", "remedy": "R", "exit_status": 3}
HOST_FAILED = {**REFUSED, "exit_status": 4}


def launch(done_until: str | None = None) -> Launch:
    """A launch whose steps are done up to and including the one that is named."""
    made = Launch("one", "sev", LAUNCH_STEPS, simulated=True)
    for name in ("contents", "policy", "certificates", "secrets"):
        made = made.answer(name, name)
    if done_until is not None:
        for step in STEPS[: STEPS.index(done_until) + 1]:
            made = made.establish(step, {"of": step})
    return made


def now(made: Launch, **changes: object) -> Situation:
    return Situation(made, changes.pop("kind", REHEARSAL), **changes)


def primary(situation: Situation, page: str) -> Button:
    return buttons(situation, page).primary


def others(situation: Situation, page: str) -> list[Action]:
    return [button.action for button in buttons(situation, page).others]


def test_it_is_imported_without_qt() -> None:
    code = (
        "import sys, watchword.gui.wizard.flow\n"
        "print([n for n in sys.modules if n.split('.')[0] in ('PySide6', 'shiboken6')])"
    )
    seen = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert seen.stdout.strip() == "[]"


def test_there_is_one_page_for_each_step_in_the_order_of_the_launch() -> None:
    assert [page.step for page in PAGES] == STEPS


@pytest.mark.parametrize(
    ("done", "page", "action", "target"),
    [
        # What is verified lets the next steps be taken in one go, up to the owner's next move.
        ("guest", "guest", Action.RUN, "session"),
        ("platform", "platform", Action.RUN, "session"),
        ("session", "session", Action.RUN, "measurement"),
        ("start", "start", Action.RUN, "measurement"),
        # The secret's page is gone to; nothing is run by that.
        ("measurement", "measurement", Action.GO, "secret"),
        ("measurement", "secret", Action.RUN, "run"),
        ("secret", "secret", Action.RUN, "run"),
        ("run", "run", Action.FINISH, None),
        # Back, and forward again through what is done.
        ("session", "guest", Action.GO, "platform"),
        ("run", "measurement", Action.GO, "secret"),
        # A page whose turn has not come names the one whose turn it is.
        ("guest", "secret", Action.GO, "platform"),
        (None, "measurement", Action.GO, "guest"),
        ("guest", "platform", Action.RUN, "session"),
    ],
)
def test_the_primary_button_leads_on(done, page: str, action: Action, target) -> None:
    button = primary(now(launch(done)), page)
    assert (button.action, button.target) == (action, target)
    assert button.enabled


def test_only_handing_over_is_careful() -> None:
    ready = launch("measurement")
    assert primary(now(ready), "secret").careful
    for page in STEPS:
        button = primary(now(ready), page)
        assert button.careful == (page == "secret")


@pytest.mark.parametrize("done", [None, *STEPS])
@pytest.mark.parametrize("page", STEPS)
@pytest.mark.parametrize("kind", [REHEARSAL, RECORDED])
@pytest.mark.parametrize("slow", [False, True])
def test_nothing_but_the_button_of_the_secrets_page_takes_the_secrets_step(
    done, page: str, kind, slow: bool
) -> None:
    made = launch(done)
    button = primary(now(made, kind=kind, slow=slow), page)
    if button.action is Action.RUN and button.target in ("secret", "run"):
        assert page in ("secret", "run")
        assert made.status("measurement").settled
        assert button.careful or made.status("secret").settled


@pytest.mark.parametrize("step", ["platform", "measurement", "secret", "run"])
@pytest.mark.parametrize("kind", [REHEARSAL, RECORDED])
def test_a_refusal_leads_nowhere_but_to_a_new_launch(step: str, kind) -> None:
    before = STEPS[STEPS.index(step) - 1]
    refused = launch(before).fail(step, REFUSED)
    assert primary(now(refused, kind=kind), step).action is Action.START_OVER
    assert failed_step(refused) == step
    for page in STEPS:
        button = primary(now(refused, kind=kind), page)
        assert button.action is not Action.RUN


@pytest.mark.parametrize("step", ["platform", "start", "measurement"])
def test_a_host_that_failed_may_be_tried_again(step: str) -> None:
    before = STEPS[STEPS.index(step) - 1]
    failed = now(launch(before).fail(step, HOST_FAILED))
    assert primary(failed, step).action is Action.RUN
    assert others(failed, step) == [Action.START_OVER]


def test_where_a_packet_may_be_out_only_the_same_packet_is_sent_again() -> None:
    failed = launch("measurement").fail("secret", HOST_FAILED)
    assert primary(now(failed, kind=REHEARSAL), "secret").action is Action.START_OVER
    assert primary(now(failed, kind=RECORDED), "secret").action is Action.RUN
    assert may_have_left(failed)
    assert not may_have_left(launch("measurement"))


def test_a_later_page_leads_to_what_went_wrong() -> None:
    failed = now(launch("guest").fail("platform", REFUSED))
    button = primary(failed, "secret")
    assert (button.action, button.target) == (Action.GO, "platform")
    assert primary(failed, "guest").target == "platform"


def test_a_changed_answer_makes_later_pages_stale_and_lets_them_be_checked_again() -> None:
    changed = launch("measurement").answer("contents", "others")
    assert changed.status("measurement").state is StepState.STALE
    assert changed.status("platform").state is StepState.DONE
    assert primary(now(changed), "guest").action is Action.RUN
    assert primary(now(changed), "measurement").action is Action.RUN
    assert primary(now(changed), "secret").action is Action.GO


def test_what_was_handed_over_is_never_handed_over_again_because_an_answer_changed() -> None:
    changed = launch("run").answer("contents", "others")
    for page in ("secret", "run"):
        assert primary(now(changed), page).action is Action.GO


def test_waiting_can_be_ended_looked_at_again_and_left() -> None:
    waits = launch("session").wait("start", {"message": "the host has not started it"})
    assert primary(now(waits), "start").action is Action.RUN
    assert others(now(waits, kind=RECORDED), "start") == [Action.LEAVE]
    assert others(now(waits, kind=REHEARSAL), "start") == []


@pytest.mark.parametrize("page", STEPS)
@pytest.mark.parametrize("work", [{"opening": True}, {"busy": True}])
def test_while_something_is_at_work_there_is_only_cancel(page: str, work) -> None:
    situation = now(launch("guest"), **work)
    assert not primary(situation, page).enabled
    assert others(situation, page) == [Action.CANCEL]


@pytest.mark.parametrize("page", STEPS)
def test_a_launch_that_could_not_be_opened_can_only_be_started_over(page: str) -> None:
    assert primary(now(launch(), over=True), page).action is Action.START_OVER


def test_back_leads_one_page_back_and_not_before_the_first() -> None:
    situation = now(launch("run"))
    assert not buttons(situation, "guest").back.enabled
    for earlier, page in itertools.pairwise(STEPS):
        assert buttons(situation, page).back.target == earlier


def test_step_by_step_each_button_takes_one_step() -> None:
    targets = [primary(now(launch(done), slow=True), done).target for done in STEPS[:4]]
    assert targets == ["platform", "session", "start", "measurement"]


def test_while_steps_are_taken_the_page_is_that_of_the_step_at_work() -> None:
    assert page_at_work(launch("platform").begin("session"), "guest") == "session"
    assert page_at_work(launch("platform"), "guest") == "guest"


@pytest.mark.parametrize(
    ("made", "until", "slow", "page"),
    [
        (launch("session"), "session", False, "session"),
        (launch("measurement"), "measurement", False, "secret"),
        (launch("measurement"), "measurement", True, "measurement"),
        (launch("run"), "run", False, "run"),
        (launch("guest").fail("platform", REFUSED), "session", False, "platform"),
        (launch("session").wait("start", {}), "measurement", False, "start"),
        # Cancelled: nothing is known of the step, so the page stays.
        (launch("guest"), "session", False, "current"),
    ],
)
def test_at_rest_the_page_is_where_the_owner_is_needed(made, until, slow, page) -> None:
    assert page_at_rest(now(made, slow=slow), "current", until) == page


WAITS_FOR_VM = Mark(StepState.BUSY, {"code": "vm-not-started"}, {})


@pytest.mark.parametrize(
    ("situation", "needed"),
    [
        (now(launch()), None),
        (now(launch("guest")), None),
        (now(launch("guest"), busy=True), None),
        (now(launch("session")), Need.BLOB),
        (now(launch("session"), busy=True), None),
        (now(replace(launch("session"), marks={"start": WAITS_FOR_VM}), busy=True), Need.VM),
        (now(launch("session").begin("start"), busy=True), None),
        (now(launch("session").wait("start", {})), Need.ANSWER),
        (now(launch("measurement")), Need.VERDICT),
        (now(launch("measurement"), busy=True), None),
        (now(launch("start").fail("measurement", REFUSED)), Need.REFUSAL),
        (now(launch("start").fail("measurement", HOST_FAILED)), Need.FAILURE),
        (now(launch("run")), Need.DONE),
        (now(launch("measurement"), over=True), None),
    ],
)
def test_a_person_is_needed_where_watchword_does_not_get_on_alone(situation, needed) -> None:
    assert need(situation) is needed
