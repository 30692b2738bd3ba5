# SPDX-License-Identifier: Apache-2.0
"""How the launches of a fleet are spoken of: what became of them, and what would be done."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Final

from PySide6.QtCore import QCoreApplication

from watchword.core.batch.intent import Intent
from watchword.core.batch.results import AWAITED, UNFINISHED, UNSUCCESSFUL, Outcome
from watchword.core.launch.engine import StepState
from watchword.core.launch.sev_steps import LAUNCH_STEPS

from ..widgets.escape import shown_line
from ..widgets.state_badge import Look, step_look
from ..widgets.tones import Tone


class Standing(StrEnum):
    """How a launch stands, as the bar of the whole fleet counts it."""

    DONE = "done"
    FAILED = "failed"
    WAITING = "waiting"
    AT_WORK = "at-work"
    TO_COME = "to-come"


# Words as they are in the source; they are translated when they are shown.
_STANDINGS: Final = {
    Standing.DONE: Look("ok", "done", Tone.OK),
    Standing.FAILED: Look("bad", "failed", Tone.BAD),
    Standing.WAITING: Look("clock", "waiting", Tone.WARN),
    Standing.AT_WORK: Look("busy", "under way", Tone.INFO),
    Standing.TO_COME: Look("circle", "to come", Tone.NEUTRAL),
}
_OUTCOMES: Final = {
    Outcome.DONE: Look("ok", "Done: it has its secrets", Tone.OK),
    Outcome.VERIFIED: Look("ok", "Verified, nothing handed over", Tone.OK),
    Outcome.PREPARED: Look("ok", "Prepared", Tone.OK),
    Outcome.DONE_BEFORE: Look("ok", "Done before", Tone.OK),
    Outcome.WAITING: Look("clock", "Waits for somebody", Tone.WARN),
    Outcome.FAILED: Look("bad", "Failed", Tone.BAD),
    Outcome.INTERRUPTED: Look("stop", "Stopped under way", Tone.NEUTRAL),
    Outcome.NOT_BEGUN: Look("circle", "Not begun", Tone.NEUTRAL),
    Outcome.NOT_TRIED: Look("blocked", "Not tried", Tone.BAD),
    Outcome.ELSEWHERE: Look("info", "Another batch has it", Tone.WARN),
}
_INTENTS: Final = {
    Intent.BEGIN: Look("circle", "Would be begun", Tone.NEUTRAL),
    Intent.GO_ON: Look("ready", "Would be taken further", Tone.INFO),
    Intent.LEAVE_DONE: Look("ok", "Done before", Tone.NEUTRAL),
    Intent.LEAVE_REFUSED: Look("bad", "Refused before", Tone.WARN),
    Intent.NOTHING_THERE: Look("missing", "Was never begun", Tone.WARN),
}


def standing_of(outcome: Outcome) -> Standing:
    """Where a launch is counted that has ended so."""
    if outcome in UNSUCCESSFUL:
        return Standing.FAILED
    if outcome in AWAITED:
        return Standing.WAITING
    return Standing.TO_COME if outcome in UNFINISHED else Standing.DONE


def _say(text: str) -> str:
    return QCoreApplication.translate("Fleet", text)


def standing_look(standing: Standing) -> Look:
    """How launches that stand so are shown; the word follows their number."""
    return _look(_STANDINGS[standing])


def outcome_look(outcome: Outcome) -> Look:
    """How a launch is shown that has ended so."""
    return _look(_OUTCOMES[outcome])


def intent_look(intent: Intent) -> Look:
    """How a launch is shown of which only is known what would be done."""
    return _look(_INTENTS[intent])


def _look(plain: Look) -> Look:
    """The same in the user's language."""
    return Look(plain.icon, _say(plain.word), plain.tone)


@lru_cache(maxsize=1)
def _titles() -> dict[str, str]:
    return {step.id: step.title for step in LAUNCH_STEPS}


def step_words(step: str, state: str) -> str:
    """How far a launch is: the step that was told of last, and how that stands."""
    title = _titles().get(step) or shown_line(step, 40)
    try:
        return f"{title}: {step_look(StepState(state)).word.lower()}"
    except ValueError:  # one that is not known: the step alone
        return title


def state_words() -> tuple[str, ...]:
    """All that is said of an outcome or a plan, for the room that it needs."""
    looks = (*map(outcome_look, Outcome), *map(intent_look, Intent))
    return tuple(look.word for look in looks)


def begun_words() -> str:
    """How far a launch is of which no step was told of yet."""
    return _say("Begun")


def by_buttons(remedy: str) -> str:
    """A remedy that names options of the command line, with the buttons that do the same."""
    retry, resume = _say("“Retry failed”"), _say("“Resume”")
    for option, button in (
        ("--resume --retry-failed", retry),
        ("--retry-failed", retry),
        ("--resume", resume),
        ("--phase complete", resume),
    ):
        remedy = remedy.replace(option, button)
    return remedy


def counted(number: Callable[[Standing], int]) -> str:
    """The numbers of launches that stand so and so, in a sentence."""
    parts = [
        f"{count} {standing_look(standing).word}"
        for standing in Standing
        if (count := number(standing))
    ]
    return ", ".join(parts)
