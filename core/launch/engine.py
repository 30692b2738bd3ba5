# SPDX-License-Identifier: Apache-2.0
"""A launch as an immutable value: answers, facts with provenance, and step states derived.

The engine knows no technology. A fact records the digests of what it was
established from, and counts only while those still match: a changed answer makes
the facts that rest on it stale, and there is no "next page" logic anywhere. The
wizard, the command line and the batch all look at this one object.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType


class StepState(StrEnum):
    """Where a step stands."""

    TODO = "todo"
    READY = "ready"
    BUSY = "busy"
    WAITING = "waiting"
    DONE = "done"
    WAIVED = "waived"
    STALE = "stale"
    FAILED = "failed"
    BLOCKED = "blocked"


SETTLED = frozenset({StepState.DONE, StepState.WAIVED})


@dataclass(frozen=True, slots=True)
class Step:
    """One step: which answers it needs, and which steps' facts it builds on."""

    id: str
    title: str
    answers: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """What a step established.

    ``record``  JSON values for people and files, never a secret and never a verdict to rely on
    ``inputs``  SHA-256 of each answer and fact that it was established from
    ``waived``  the owner's typed reason, if the step was not fulfilled but waived
    """

    record: Mapping[str, object]
    inputs: Mapping[str, str]
    waived: str | None = None

    def digest(self) -> str:
        """SHA-256 over record and inputs, in hex."""
        return digest_of({"record": dict(self.record), "inputs": dict(self.inputs)})


@dataclass(frozen=True, slots=True)
class Mark:
    """A passing condition of a step: at work, waiting for somebody, or failed.

    ``inputs`` as in a fact: a failure counts only for the inputs that it was met with.
    """

    state: StepState
    reason: Mapping[str, object]
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StepStatus:
    """A step's derived state, and why in words."""

    step: Step
    state: StepState
    reason: str = ""

    @property
    def settled(self) -> bool:
        """Whether later steps may build on it."""
        return self.state in SETTLED


def digest_of(value: object) -> str:
    """SHA-256 in hex over a JSON value with sorted keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _empty() -> Mapping[str, object]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Launch:
    """The state of one launch; every change makes a new value.

    ``steps`` come in an order in which each follows what it builds on.
    """

    id: str
    technology: str
    steps: tuple[Step, ...]
    simulated: bool = False
    answers: Mapping[str, object] = field(default_factory=_empty)
    facts: Mapping[str, Fact] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)

    # -- changes ---------------------------------------------------------------

    def answer(self, name: str, value: object) -> Launch:
        """With the owner's answer ``name`` (a JSON value); facts stay, and may turn stale."""
        return replace(self, answers=MappingProxyType({**self.answers, name: value}))

    def begin(self, step_id: str) -> Launch:
        """With a step at work."""
        return self._mark(step_id, StepState.BUSY, {})

    def wait(self, step_id: str, reason: Mapping[str, object]) -> Launch:
        """With a step that waits for somebody; ``reason`` says for whom and since when."""
        return self._mark(step_id, StepState.WAITING, reason)

    def fail(self, step_id: str, error: Mapping[str, object]) -> Launch:
        """With a step that failed; ``error`` as errors appear in JSON, with ``exit_status``."""
        return self._mark(step_id, StepState.FAILED, error)

    def unmark(self, step_id: str) -> Launch:
        """Without the passing condition of a step, after a cancellation."""
        return replace(self, marks={k: v for k, v in self.marks.items() if k != step_id})

    def establish(
        self, step_id: str, record: Mapping[str, object], waived: str | None = None
    ) -> Launch:
        """With a fact for a step, resting on the answers and facts as they are now."""
        fact = Fact(MappingProxyType(dict(record)), self._inputs(self._step(step_id)), waived)
        return replace(self.unmark(step_id), facts={**self.facts, step_id: fact})

    def _mark(self, step_id: str, state: StepState, reason: Mapping[str, object]) -> Launch:
        mark = Mark(state, MappingProxyType(dict(reason)), self._inputs(self._step(step_id)))
        return replace(self, marks={**self.marks, step_id: mark})

    # -- states ----------------------------------------------------------------

    def _step(self, step_id: str) -> Step:
        return next(step for step in self.steps if step.id == step_id)

    def _inputs(self, step: Step) -> dict[str, str]:
        inputs = {f"answer:{name}": digest_of(self.answers.get(name)) for name in step.answers}
        for name in step.after:
            if name in self.facts:
                inputs[f"fact:{name}"] = self.facts[name].digest()
        return inputs

    def status(self, step_id: str) -> StepStatus:
        """The state of one step, derived."""
        return next(status for status in self.statuses() if status.step.id == step_id)

    def statuses(self) -> tuple[StepStatus, ...]:
        """All steps' states in order."""
        known: dict[str, StepStatus] = {}
        for step in self.steps:
            known[step.id] = self._derive(step, [known[name] for name in step.after])
        return tuple(known.values())

    def _derive(self, step: Step, earlier: list[StepStatus]) -> StepStatus:
        fact, mark, inputs = self.facts.get(step.id), self.marks.get(step.id), self._inputs(step)
        if mark is not None and (mark.state is not StepState.FAILED or mark.inputs == inputs):
            words = mark.reason.get("message") or mark.reason.get("title") or ""
            return StepStatus(step, mark.state, str(words))
        if fact is not None:
            return self._of_fact(step, fact, inputs, earlier)
        return self._of_prerequisites(step, earlier)

    def _of_fact(
        self, step: Step, fact: Fact, inputs: Mapping[str, str], earlier: list[StepStatus]
    ) -> StepStatus:
        if fact.inputs != inputs or not all(status.settled for status in earlier):
            return StepStatus(step, StepState.STALE, "what it was established from has changed")
        if fact.waived is not None:
            return StepStatus(step, StepState.WAIVED, fact.waived)
        return StepStatus(step, StepState.DONE)

    def _of_prerequisites(self, step: Step, earlier: list[StepStatus]) -> StepStatus:
        for status in earlier:
            if status.state in (StepState.FAILED, StepState.BLOCKED):
                reason = f"{status.step.title} did not succeed"
                return StepStatus(step, StepState.BLOCKED, reason)
        if not all(status.settled for status in earlier):
            return StepStatus(step, StepState.TODO)
        missing = [name for name in step.answers if name not in self.answers]
        if missing:
            return StepStatus(step, StepState.TODO, "still to answer: " + ", ".join(missing))
        return StepStatus(step, StepState.READY)

    def next_step(self) -> Step | None:
        """The first step that is not settled, None when all are."""
        return next((status.step for status in self.statuses() if not status.settled), None)

    @property
    def complete(self) -> bool:
        """Whether every step is done or waived."""
        return self.next_step() is None

    @property
    def waivers(self) -> dict[str, str]:
        """The typed reasons of all waived steps."""
        return {name: fact.waived for name, fact in self.facts.items() if fact.waived is not None}
