# SPDX-License-Identifier: Apache-2.0
"""The wizard's thinking half: which page is shown, and what its buttons do. Knows no Qt.

Everything is worked out from the ``Launch`` anew each time, so there is no state here
that could contradict it. A verified step lets the wizard go on by itself; a refusal
never does, and what only the owner may decide is never decided here: giving the
launch blob away, and handing over the secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

from watchword.core.errors import ExitStatus
from watchword.core.launch.engine import Launch, StepState, StepStatus

from .runs import RunKind


@dataclass(frozen=True, slots=True)
class PageInfo:
    """One page; each belongs to one step of the launch.

    ``verb``   what the button says that has the step taken
    ``until``  the last step that is taken then without asking the owner again
    """

    step: str
    title: str
    verb: str
    until: str


PAGES: Final = (
    PageInfo("guest", "Guest", "&Look at the guest", "session"),
    PageInfo("platform", "Platform", "&Check the platform", "session"),
    PageInfo("session", "Launch blob", "&Make the launch blob", "session"),
    PageInfo("start", "Start", "&Give it to the host", "measurement"),
    PageInfo("measurement", "Measurement", "&Verify the measurement", "measurement"),
    PageInfo("secret", "Secret", "&Hand over the secret", "run"),
    PageInfo("run", "Evidence", "&Let the guest run", "run"),
)
"""The pages in the order of a launch; the last one also shows what was proven."""

_DECIDED_BY_OWNER: Final = "secret"
_FIRST_STEP: Final = PAGES[0].step


class Action(StrEnum):
    """What a button does."""

    GO = "go"
    RUN = "run"
    CANCEL = "cancel"
    START_OVER = "start-over"
    LEAVE = "leave"
    FINISH = "finish"


class Need(StrEnum):
    """What a launch needs a person for."""

    BLOB = "blob"
    VM = "vm"
    ANSWER = "answer"
    VERDICT = "verdict"
    REFUSAL = "refusal"
    FAILURE = "failure"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Button:
    """A button in the wizard's lower edge.

    ``target``   the page to go to, or the last step to take
    ``words``    what is put for ``%1`` in the label
    ``careful``  what can't be taken back: the keyboard's focus is not put on it
    """

    action: Action
    label: str
    target: str | None = None
    words: str = ""
    enabled: bool = True
    careful: bool = False


@dataclass(frozen=True, slots=True)
class Buttons:
    """All buttons of a page, from left to right: ``back``, then ``others``, then ``primary``."""

    back: Button
    others: tuple[Button, ...]
    primary: Button


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the buttons follow from, but for the page that is shown.

    ``opening``  the launch is not there yet
    ``over``     the launch could not be opened, or is closed: no step can be taken
    ``busy``     steps are being taken
    ``slow``     the owner wants to stop after each step
    """

    launch: Launch
    kind: RunKind
    opening: bool = False
    over: bool = False
    busy: bool = False
    slow: bool = False

    @property
    def at_work(self) -> bool:
        """Whether something is going on that can be cancelled."""
        return self.opening or self.busy


def page_of(step: str) -> PageInfo:
    """The page of a step."""
    return next(page for page in PAGES if page.step == step)


def index_of(step: str) -> int:
    """Where the page of a step stands, counted from 0."""
    return PAGES.index(page_of(step))


def failed_step(launch: Launch) -> str | None:
    """The step that was refused or failed, if one is."""
    return _first(launch, StepState.FAILED)


def is_refusal(launch: Launch, step: str) -> bool:
    """Whether a failed step did not verify, which no second try will change."""
    mark = launch.marks.get(step)
    return mark is not None and mark.reason.get("exit_status") == ExitStatus.REFUSED


def may_have_left(launch: Launch) -> bool:
    """Whether a sealed packet may have been sent; before that nothing secret can have."""
    mark = launch.marks.get(_DECIDED_BY_OWNER)
    return _DECIDED_BY_OWNER in launch.facts or (mark is not None)


def was_cancelled(launch: Launch, until: str) -> bool:
    """Whether steps that were to be taken were given up: not taken, and nothing went wrong."""
    return not launch.status(until).settled and not launch.marks


def was_begun(launch: Launch) -> bool:
    """Whether anything was done but look at the guest, which is done at once."""
    return bool(launch.marks or launch.facts.keys() - {_FIRST_STEP})


def exit_status(launch: Launch) -> ExitStatus:
    """What the program tells its caller of a launch that was begun, and of one given up midway."""
    if launch.complete:
        return ExitStatus.WAIVED if launch.waivers else ExitStatus.OK
    if not launch.marks:
        return ExitStatus.INTERRUPTED
    reason = next(iter(launch.marks.values())).reason
    return ExitStatus(cast("int", reason.get("exit_status", ExitStatus.UNEXPECTED)))


def need(now: Situation) -> Need | None:
    """What a person is needed for at this moment; None while Watchword gets on by itself."""
    launch = now.launch
    start = launch.marks.get("start")
    if start is not None and start.state is StepState.BUSY and start.reason:
        return Need.VM
    if now.at_work or now.over:
        return None
    if (failed := failed_step(launch)) is not None:
        return Need.REFUSAL if is_refusal(launch, failed) else Need.FAILURE
    if _first(launch, StepState.WAITING) is not None:
        return Need.ANSWER
    if launch.complete:
        return Need.DONE
    if launch.status(_DECIDED_BY_OWNER).state is StepState.READY:
        return Need.VERDICT
    return Need.BLOB if launch.status("start").state is StepState.READY else None


# -- which page ----------------------------------------------------------------------


def page_at_work(launch: Launch, current: str) -> str:
    """The page to show while steps are taken: that of the step at work."""
    return _first(launch, StepState.BUSY) or current


def page_at_rest(now: Situation, current: str, until: str) -> str:
    """The page to show once no more steps are taken, after they were to be taken ``until``."""
    stopped = failed_step(now.launch) or _first(now.launch, StepState.WAITING)
    if stopped is not None:
        return stopped
    if not now.launch.status(until).settled:
        return current
    following = _after(until)
    if following is not None and following.step == _DECIDED_BY_OWNER and not now.slow:
        return following.step
    return until


def _first(launch: Launch, state: StepState) -> str | None:
    return next((s.step.id for s in launch.statuses() if s.state is state), None)


def _after(step: str) -> PageInfo | None:
    following = PAGES[index_of(step) + 1 :]
    return following[0] if following else None


# -- which buttons -------------------------------------------------------------------


def buttons(now: Situation, page: str) -> Buttons:
    """The state of every button on a page."""
    return Buttons(back=_back(page), others=tuple(_others(now, page)), primary=_primary(now, page))


def _back(page: str) -> Button:
    index = index_of(page)
    if index == 0:
        return Button(Action.GO, "&Back", enabled=False)
    return Button(Action.GO, "&Back", PAGES[index - 1].step)


def _others(now: Situation, page: str) -> list[Button]:
    if now.at_work:
        return [Button(Action.CANCEL, "C&ancel")]
    state = now.launch.status(page).state
    waits = page == "start" and state in (StepState.WAITING, StepState.READY)
    if now.kind.recorded and waits:
        return [Button(Action.LEAVE, "I'll come back &later")]
    if state is StepState.FAILED and not now.over and _may_retry(now, page):
        return [_start_over(now)]
    return []


def _start_over(now: Situation) -> Button:
    return Button(Action.START_OVER, now.kind.begin)


def _primary(now: Situation, page: str) -> Button:
    status = now.launch.status(page)
    if now.at_work:
        return Button(Action.RUN, page_of(page).verb, enabled=False)
    if now.over:
        return _start_over(now)
    if status.settled:
        return _onwards(now, page)
    if status.state is StepState.FAILED:
        return _run(now, page, "&Try again") if _may_retry(now, page) else _start_over(now)
    if status.state is StepState.WAITING:
        return _run(now, page, "&Look again")
    if status.state is StepState.READY:
        return _run(now, page, page_of(page).verb)
    return _of_unready(now, page, status)


def _of_unready(now: Situation, page: str, status: StepStatus) -> Button:
    """Something before this page is to be done first, or done again."""
    failed = failed_step(now.launch)
    if status.state is StepState.BLOCKED and failed is not None:
        return Button(Action.GO, "&See what went wrong", failed)
    if status.state is StepState.STALE and index_of(page) < index_of(_DECIDED_BY_OWNER):
        return _run(now, page, "&Check again")
    unsettled = now.launch.next_step()
    target = _FIRST_STEP if unsettled is None else unsettled.id
    return Button(Action.GO, "&Go to: %1", target, page_of(target).title)


def _onwards(now: Situation, page: str) -> Button:
    """What comes after a settled step."""
    following = _after(page)
    if following is None:
        return Button(Action.FINISH, "&Finish")
    status = now.launch.status(following.step)
    if status.state is StepState.FAILED:
        return Button(Action.GO, "&See what went wrong", following.step)
    if status.state is StepState.STALE and index_of(following.step) < index_of(_DECIDED_BY_OWNER):
        return _run(now, following.step, "&Check again")
    if status.state is StepState.READY and following.step != _DECIDED_BY_OWNER:
        return _run(now, following.step, following.verb)
    return Button(Action.GO, "&Next: %1", following.step, following.title)


def _run(now: Situation, step: str, label: str) -> Button:
    until = step if now.slow and step != _DECIDED_BY_OWNER else page_of(step).until
    return Button(Action.RUN, label, until, careful=step == _DECIDED_BY_OWNER)


def _may_retry(now: Situation, step: str) -> bool:
    """Whether trying again makes sense: not after a refusal, nor where a packet may be out.

    A launch that resumes sends the very same packet again, and no other.
    """
    if is_refusal(now.launch, step):
        return False
    return now.kind.resumes or index_of(step) < index_of(_DECIDED_BY_OWNER)
