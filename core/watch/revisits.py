# SPDX-License-Identifier: Apache-2.0
"""VMs to which a watch comes back by itself: a person decides first, or the host failed for now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import AnswerPending, HostError, VaultError
from .approvals import all_decided
from .events import Paused
from .launching import LAUNCH

if TYPE_CHECKING:
    from ..errors import WatchwordError
    from .events import WatchEvent

OWN: Final = "records"
"""The source of what nobody announces but the watch itself."""
_MOST_TRIES: Final = 6
_MOST: Final = 10_000
_LONGEST_PAUSE: Final = 300.0
_OURS: Final = (
    *("launch-busy", "lock-not-taken", "records-busy", "records-not-written", "records-damaged"),
    *("file-not-written", "approvals-not-private", "too-many-approvals", "bad-folder"),
)


def is_ours(error: WatchwordError) -> bool:
    """Whether something here is in the way, not the asker or his host: mended, it may go on."""
    return isinstance(error, VaultError) or error.code in _OURS


@dataclass(slots=True)
class _Visit:
    event: Paused
    tries: int
    due: float
    approvals: tuple[str, ...] = ()


class Revisits:
    """At most one visit for each launch, or host; ``retry`` seconds before the first one."""

    def __init__(self, retry: float) -> None:
        self._retry = retry
        self._visits: dict[str, _Visit] = {}

    def add(self, event: Paused) -> None:
        """Come to this VM at the next look."""
        self._put(event, 0, 0.0, ())

    def note(self, event: WatchEvent, error: WatchwordError) -> None:
        """Come back to the VM of this event, if what kept it is worth a second look."""
        launch_id = error.details.get(LAUNCH)
        if not isinstance(event, Paused) or not isinstance(launch_id, str):
            return
        known = self._visits.get(launch_id)
        tries = 0 if known is None else known.tries
        own = replace(event, source=OWN, launch=launch_id, godh=None)
        if isinstance(error, AnswerPending) and "approvals" in error.details:
            told = error.details["approvals"]
            waits_for = tuple(map(str, told)) if isinstance(told, list | tuple) else ()
            self._put(own, 0, 0.0, waits_for)
        elif is_ours(error) or (
            isinstance(error, AnswerPending | HostError) and tries < _MOST_TRIES
        ):
            pause = min(self._retry * 2 ** min(tries, _MOST_TRIES), _LONGEST_PAUSE)
            self._put(own, tries + 1, time.monotonic() + pause, ())
        else:
            self.forget(launch_id)

    def forget(self, launch_id: str) -> None:
        """There is no need to come back to this launch."""
        self._visits.pop(launch_id, None)

    def all_due(self) -> None:
        """The rules have changed: whatever waits is looked at again."""
        for visit in self._visits.values():
            visit.due, visit.approvals = 0.0, ()

    def due(self, approvals: Path | None, room: int) -> Iterator[Paused]:
        """The VMs to come to now, each once until something is noted of it; ``room`` at most."""
        now = time.monotonic()
        for visit in list(self._visits.values()):
            if room <= 0:
                return
            if visit.due > now or not all_decided(approvals, visit.approvals):
                continue
            room -= 1
            # Whatever comes of it puts it back here, or forgets it.
            visit.due = float("inf")
            visit.approvals = ()
            if visit.event.launch is None:
                self._visits.pop(visit.event.host, None)
            yield visit.event

    def _put(self, event: Paused, tries: int, due: float, approvals: tuple[str, ...]) -> None:
        key = event.launch or event.host
        if key in self._visits or len(self._visits) < _MOST:
            self._visits[key] = _Visit(event, tries, due, approvals)
