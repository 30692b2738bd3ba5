# SPDX-License-Identifier: Apache-2.0
"""What the parts of a watch work with, and small things that several of them ask."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..launch.engine import StepState
from ..launch.record import LaunchState
from .events import WatchObserver
from .promises import Promises
from .rules import WatchRules
from .turns import Turns

if TYPE_CHECKING:
    from datetime import datetime

    from ..launch.desk import LaunchDesk
    from ..launch.driver import Observer
    from ..launch.engine import Launch
    from ..launch.store import LaunchSummary
    from ..launch.surroundings import Surroundings

LIVE: Final = (
    LaunchState.PREPARING,
    LaunchState.PREPARED,
    LaunchState.VERIFIED,
    LaunchState.SEALED,
    LaunchState.HANDED_OVER,
    LaunchState.RUNNING,
    LaunchState.STOPPED,
)
"""A VM may be live with such a launch. One that is stopped is paused, and can go on at any time."""

_TOLD: Final = (StepState.DONE, StepState.FAILED, StepState.WAITING)


@dataclass(slots=True, kw_only=True)
class World:
    """What one watch works with; ``rules`` are replaced whole at a reload.

    ``under_way``  launches that are being worked on here
    ``look_pause``  seconds between two looks which VMs of a guest are gone; ``next_looks`` has
    by guest when the next one may begin, in the loop's time
    """

    desk: LaunchDesk
    surroundings: Surroundings
    promises: Promises
    rules: WatchRules
    observe: WatchObserver
    under_way: set[str] = field(default_factory=set)
    look_pause: float = 30.0
    next_looks: dict[str, float] = field(default_factory=dict)
    requests: Turns = field(default_factory=Turns)
    blobs: BlobIndex = field(init=False)

    def __post_init__(self) -> None:
        self.blobs = BlobIndex(self)

    def now(self) -> datetime:
        """The time, in UTC."""
        return self.surroundings.clock()

    def live(self, guest: str) -> tuple[LaunchSummary, ...]:
        """Launches of a guest, whoever began them, whose VM isn't known to be gone.

        A launch that got no blob counts while a watch has promised it: the blob may come. One
        that was refused counts while it is tried again.
        """
        found = self.desk.list(guest=guest, states=(*LIVE, LaunchState.REFUSED))
        gone = self.promises.gone_among([one.id for one in found])
        return tuple(one for one in found if self._is_live(one, gone))

    def _is_live(self, summary: LaunchSummary, gone: Collection[str]) -> bool:
        if summary.state == LaunchState.PREPARING:
            return self.promises.of_launch(summary.id) is not None
        if summary.state == LaunchState.REFUSED:
            return summary.id in self.under_way
        return summary.id not in gone

    def open_launches(self) -> Iterator[LaunchSummary]:
        """Launches that watches have begun and that are not over, the newest first."""
        for summary in self.desk.list(only_open=True):
            if self.promises.of_launch(summary.id) is not None:
                yield summary


class BlobIndex:
    """Which open launch a GODH is of. Only a hint: nobody vouches for it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._by_godh: dict[bytes, str] = {}
        self._known: set[str] = set()

    def find(self, godh: bytes) -> str | None:
        """The id of the open launch that has this GODH in its blob."""
        key = hashlib.sha256(godh).digest()
        if key not in self._by_godh:
            self._look()
        return self._by_godh.get(key)

    def _look(self) -> None:
        """Read the records of open launches that were not read yet."""
        still_open = {one.id for one in self._world.open_launches()}
        self._by_godh = {godh: one for godh, one in self._by_godh.items() if one in still_open}
        self._known &= still_open
        for launch_id in still_open - self._known:
            session = self._world.desk.show(launch_id).session
            if session is not None:
                self._by_godh[hashlib.sha256(session.godh).digest()] = launch_id
                self._known.add(launch_id)


def step_teller(world: World, guest: str) -> Observer:
    """Tells a watch's observer of each step of a launch once it is over."""
    told: dict[str, str] = {}

    def tell(launch: Launch) -> None:
        for status in launch.statuses():
            step, state = status.step.id, status.state.value
            if state in _TOLD and told.get(step) != state:
                told[step] = state
                body = {"launch": launch.id, "guest": guest, "step": step, "state": state}
                world.observe({"event": "step", **body})

    return tell
