# SPDX-License-Identifier: Apache-2.0
"""A ``Launch`` as it is recorded, for people: nothing is ever concluded from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pydantic import ConfigDict

from .engine import Fact, Launch, Mark, Step, StepState

MOST_DIGESTS_TOLD: Final = 64
"""Launch digests of the first step that are kept with what they are made of."""
STRICT: Final = ConfigDict(extra="forbid", strict=True)
"""How pydantic reads what is recorded: nothing is converted, nothing unknown let through."""
_DIGESTS: Final = "launch_digests"


@dataclass(frozen=True, slots=True)
class ToldFact:
    """A fact of the engine's in JSON values."""

    __pydantic_config__ = STRICT
    record: dict[str, Any]
    inputs: dict[str, str]
    waived: str | None


@dataclass(frozen=True, slots=True)
class ToldMark:
    """A mark of the engine's in JSON values."""

    __pydantic_config__ = STRICT
    state: StepState
    reason: dict[str, Any]
    inputs: dict[str, str]


@dataclass(frozen=True, slots=True)
class ToldLaunch:
    """Answers, facts and marks of a launch in JSON values."""

    __pydantic_config__ = STRICT
    answers: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, ToldFact] = field(default_factory=dict)
    marks: dict[str, ToldMark] = field(default_factory=dict)

    @classmethod
    def of(cls, launch: Launch, earlier: ToldLaunch) -> ToldLaunch:
        """What a launch knows now; what an earlier process established stays told."""
        facts = {step: _told_fact(fact) for step, fact in launch.facts.items()}
        marks = {
            step: ToldMark(mark.state, _plain(mark.reason), dict(mark.inputs))
            for step, mark in launch.marks.items()
        }
        return cls(_plain(launch.answers), {**earlier.facts, **facts}, marks)

    def launch(
        self, launch_id: str, technology: str, steps: tuple[Step, ...], *, simulated: bool
    ) -> Launch:
        """The launch as it was told; steps that are not known any more are left out."""
        known = {step.id for step in steps}
        return Launch(
            launch_id,
            technology,
            steps,
            simulated,
            answers=MappingProxyType(self.answers),
            facts={
                step: Fact(MappingProxyType(fact.record), fact.inputs, fact.waived)
                for step, fact in self.facts.items()
                if step in known
            },
            marks={
                step: Mark(mark.state, MappingProxyType(mark.reason), mark.inputs)
                for step, mark in self.marks.items()
                if step in known
            },
        )


def _told_fact(fact: Fact) -> ToldFact:
    """Of very many approved digests only the first are told: the record has them all."""
    record = _plain(fact.record)
    digests = record.get(_DIGESTS)
    if isinstance(digests, list) and len(digests) > MOST_DIGESTS_TOLD:
        record = {**record, _DIGESTS: digests[:MOST_DIGESTS_TOLD], "more_digests": len(digests)}
    return ToldFact(record, dict(fact.inputs), fact.waived)


def _plain(value: Any) -> Any:
    """A copy in dicts and lists alone, whatever views and tuples it came in."""
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return value
