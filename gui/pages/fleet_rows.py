# SPDX-License-Identifier: Apache-2.0
"""One launch of a fleet as a row knows it, and what events make of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from watchword.core.batch.results import Outcome

from ..fleet_service import PlannedLaunch
from ..widgets.escape import shown_line
from ..widgets.state_badge import Look
from ..widgets.tones import Tone
from .fleet_words import (
    Standing,
    begun_words,
    by_buttons,
    intent_look,
    outcome_look,
    standing_of,
    step_words,
)

_WIDEST: Final = 120
"""Characters of a cell."""
_DIGITS: Final = re.compile(r"([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is in a launch's way, as the batch tells it; foreign words may be in it."""

    code: str
    title: str
    message: str
    remedy: str

    @classmethod
    def of(cls, error: object) -> Trouble | None:
        """From an event's ``error``; None without one."""
        if not isinstance(error, Mapping):
            return None
        code, title, message = (str(error.get(key, "")) for key in ("code", "title", "message"))
        return cls(code, title, message, by_buttons(str(error.get("remedy", ""))))


class FleetRow:
    """A launch: what was planned, how far it is, and what came of it."""

    __slots__ = (
        "_look",
        "_searched",
        "guest",
        "host",
        "intent",
        "launch_id",
        "name",
        "number",
        "outcome",
        "standing",
        "step",
        "trouble",
    )

    def __init__(self, number: int, planned: PlannedLaunch) -> None:
        self.number = number
        self.name, self.guest, self.host = planned.name, planned.guest, planned.host
        self.intent, self.launch_id = planned.intent, planned.launch_id
        self._look: Look | None = None
        self._searched = ""
        self.step = ""
        self.outcome: Outcome | None = None
        self.trouble: Trouble | None = None
        self.standing = Standing.TO_COME

    def restart(self) -> None:
        """Forget what came of it in the run before."""
        self._look, self._searched = None, ""
        self.step, self.outcome, self.trouble = "", None, None
        self.standing = Standing.TO_COME

    def apply(self, event: Mapping[str, object]) -> None:
        """Take note of an event about this launch."""
        self._look, self._searched = None, ""
        launch = event.get("launch")
        if isinstance(launch, str):
            self.launch_id = launch
        if event["event"] == "result":
            self.outcome = Outcome(str(event["outcome"]))
            self.standing = standing_of(self.outcome)
            self.trouble = Trouble.of(event.get("error"))
        elif self.outcome is None:
            self.standing = Standing.AT_WORK
            if "step" in event:
                self.step = step_words(str(event["step"]), str(event.get("state", "")))

    # -- how it is shown -----------------------------------------------------------

    @property
    def look(self) -> Look:
        """Icon, words and tone of its state."""
        if self._look is None:
            self._look = self._looked()
        return self._look

    def _looked(self) -> Look:
        if self.outcome is not None:
            return outcome_look(self.outcome)
        if self.standing is Standing.AT_WORK:
            return Look("busy", self.step or begun_words(), Tone.INFO)
        return intent_look(self.intent)

    @property
    def why(self) -> str:
        """What is in its way, in a few words."""
        return "" if self.trouble is None else short(self.trouble.title)

    @property
    def searched(self) -> str:
        """All that a filter looks into."""
        if not self._searched:
            code = "" if self.trouble is None else self.trouble.code
            words = (self.name, self.guest, self.host, self.launch_id, self.look.word, self.why)
            self._searched = " ".join((*words, code)).lower()
        return self._searched


def short(text: str) -> str:
    """A foreign text for a cell."""
    return shown_line(text, _WIDEST)


@lru_cache(maxsize=1 << 15)
def natural(text: str) -> tuple[tuple[int, str], ...]:
    """A key by which web10 comes after web2."""
    parts = _DIGITS.split(text.lower())
    # Every second part is a number; others may hold what is a digit only by name, such as “²”.
    return tuple((int(part), "") if place % 2 else (-1, part) for place, part in enumerate(parts))
