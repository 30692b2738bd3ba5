# SPDX-License-Identifier: Apache-2.0
"""What came of the launches of a batch, as JSON values for programs to read line by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from ..errors import ExitStatus, WatchwordError


class Outcome(StrEnum):
    """How a launch of a batch ended."""

    DONE = "done"
    """The guest runs and has its secrets."""
    VERIFIED = "verified"
    """The measurement is verified, and no secret was to be handed over."""
    PREPARED = "prepared"
    """What the host needs is written."""
    DONE_BEFORE = "done-before"
    """An earlier run has brought it to its end; nothing was done now."""
    WAITING = "waiting"
    """Somebody has to do something first."""
    FAILED = "failed"
    """It was refused, or something went wrong; ``error`` says what."""
    INTERRUPTED = "interrupted"
    """The batch was ended while it was under way."""
    NOT_BEGUN = "not-begun"
    """The batch was ended before."""
    NOT_TRIED = "not-tried"
    """Its machine was refused for another launch, so it was left alone; ``error`` says which."""
    ELSEWHERE = "elsewhere"
    """Another batch launches it at the same time."""


UNFINISHED: Final = (Outcome.INTERRUPTED, Outcome.NOT_BEGUN)
UNSUCCESSFUL: Final = (Outcome.FAILED, Outcome.NOT_TRIED)
AWAITED: Final = (Outcome.WAITING, Outcome.ELSEWHERE)
_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """What came of one launch.

    ``launch_id``  None if it was never begun
    ``files``      the folder with what the host needs, where it was written
    ``state``      how far the records say that it is
    """

    name: str
    guest: str
    host: str
    outcome: Outcome
    launch_id: str | None = None
    error: WatchwordError | None = None
    files: Path | None = None
    state: str | None = None

    def as_json(self) -> dict[str, object]:
        """The result with stable field names."""
        error = self.error
        return {
            "event": "result",
            "name": self.name,
            "guest": self.guest,
            "host": self.host,
            "launch": self.launch_id,
            "outcome": self.outcome.value,
            **({} if self.state is None else {"state": self.state}),
            **({} if self.files is None else {"files": str(self.files)}),
            **(
                {}
                if error is None
                else {"exit_status": int(error.exit_status), "error": error.as_json()}
            ),
        }


@dataclass(frozen=True, slots=True)
class Cause:
    """What several launches have in their way.

    ``example``  what one of them says of it
    """

    outcome: Outcome
    example: WatchwordError
    names: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """The cause with stable field names; the first 20 launches by name."""
        return {
            "outcome": self.outcome.value,
            "code": self.example.code,
            "title": self.example.title,
            "count": len(self.names),
            "names": list(self.names[:_MOST_NAMED]),
        }


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """The results of all launches of a batch, in the manifest's order."""

    results: tuple[LaunchResult, ...]

    def count(self, outcome: Outcome) -> int:
        """How many ended so."""
        return sum(result.outcome is outcome for result in self.results)

    @property
    def interrupted(self) -> bool:
        """Whether the batch was ended before it was through."""
        return any(result.outcome in UNFINISHED for result in self.results)

    @property
    def exit_status(self) -> ExitStatus:
        """0 if all is done, 7 if a launch failed, 9 if one waits, 130 after an interruption."""
        if self.interrupted:
            return ExitStatus.INTERRUPTED
        if any(map(self.count, UNSUCCESSFUL)):
            return ExitStatus.BATCH_PARTLY_FAILED
        return ExitStatus.WAITING if any(map(self.count, AWAITED)) else ExitStatus.OK

    @property
    def causes(self) -> tuple[Cause, ...]:
        """What was in the way of launches, what was so most often first."""
        found: dict[tuple[Outcome, str], list[LaunchResult]] = {}
        for result in self.results:
            if result.error is not None:
                found.setdefault((result.outcome, result.error.code), []).append(result)
        causes = [
            Cause(outcome, results[0].error, tuple(one.name for one in results))
            for (outcome, _), results in found.items()
            if results[0].error is not None
        ]
        return tuple(sorted(causes, key=lambda cause: -len(cause.names)))

    def as_json(self) -> dict[str, object]:
        """The summary with stable field names; failed and waiting launches by name."""
        return {
            "event": "summary",
            "launches": len(self.results),
            "outcomes": {one.value: count for one in Outcome if (count := self.count(one))},
            "failed": [_brief(one) for one in self._of(*UNSUCCESSFUL)],
            "waiting": [_brief(one) for one in self._of(*AWAITED)],
            "causes": [cause.as_json() for cause in self.causes],
            "exit_status": int(self.exit_status),
        }

    def _of(self, *outcomes: Outcome) -> Sequence[LaunchResult]:
        return [result for result in self.results if result.outcome in outcomes]


def _brief(result: LaunchResult) -> dict[str, object]:
    """A launch's name, id and what is in its way."""
    error = result.error
    return {
        "name": result.name,
        "launch": result.launch_id,
        "code": None if error is None else error.code,
        "title": None if error is None else error.title,
    }
