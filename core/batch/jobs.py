# SPDX-License-Identifier: Apache-2.0
"""Where a batch's workers get the next launch from: as many at once as each machine may have."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from ..errors import WatchwordError
from .fleet import FleetLaunch


class JobSource(Protocol):
    """Gives launches out, each once. What is given out is told of again when it is over."""

    async def take(self) -> FleetLaunch | None:
        """The next launch, as soon as there is one that may begin; None when none is left."""

    def over(self, launch: FleetLaunch) -> None:
        """A launch that was given out has come to its end."""


class FleetJobs:
    """The launches of one manifest: machines take turns, each within its limit.

    ``limits``    launches at once, by machine; ``per_host`` holds for the others, and
    nothing for launches of which the machine is not known
    """

    def __init__(
        self,
        launches: Sequence[FleetLaunch],
        limits: Mapping[str, int],
        per_host: int | None,
    ) -> None:
        self._limits = limits
        self._per_host = per_host
        self._waiting: dict[str, deque[FleetLaunch]] = {}
        self._busy: dict[str, int] = {}
        self._turns: deque[str] = deque()
        self._left = len(launches)
        self._changed = asyncio.Event()
        for launch in launches:
            if launch.machine not in self._waiting:
                self._waiting[launch.machine] = deque()
                self._turns.append(launch.machine)
            self._waiting[launch.machine].append(launch)

    async def take(self) -> FleetLaunch | None:
        """The next launch of the machine whose turn it is."""
        while self._left:
            if self._turns:
                return self._next()
            self._changed.clear()
            await self._changed.wait()
        self._changed.set()  # whoever waits has nothing to wait for any more
        return None

    def over(self, launch: FleetLaunch) -> None:
        """The machine has room for another."""
        machine = launch.machine
        was_full = self._full(machine)
        self._busy[machine] -= 1
        if was_full and self._waiting[machine]:
            self._turns.append(machine)
            self._changed.set()

    def _next(self) -> FleetLaunch:
        machine = self._turns.popleft()
        launch = self._waiting[machine].popleft()
        self._left -= 1
        self._busy[machine] = self._busy.get(machine, 0) + 1
        if self._waiting[machine] and not self._full(machine):
            self._turns.append(machine)
        return launch

    def _full(self, machine: str) -> bool:
        limit = self._limits.get(machine, self._per_host if machine else None)
        return limit is not None and self._busy.get(machine, 0) >= limit


class RefusedMachines:
    """Machines whose platform was refused for a launch: no other is begun on them.

    What one profile pins may be what another one doesn't: a refusal is for those that ask
    the same of a machine.
    """

    def __init__(self) -> None:
        self._why: dict[_Asked, tuple[str, WatchwordError]] = {}

    def refuse(self, launch: FleetLaunch, error: WatchwordError) -> None:
        """Begin nothing more like this launch on its machine, if it is that which was refused."""
        if launch.machine and error.code in _OF_THE_MACHINE:
            self._why.setdefault(_asked(launch), (launch.name, error))

    def why(self, launch: FleetLaunch) -> tuple[str, WatchwordError] | None:
        """The launch for which its machine was refused, and the refusal."""
        return self._why.get(_asked(launch)) if launch.machine else None


_Asked = tuple[str, tuple[str, ...], str]
_OF_THE_MACHINE: Final = frozenset(("chain-refused", "platform-denied"))


def _asked(launch: FleetLaunch) -> _Asked:
    """The machine, and what the profile asks of one: its pins."""
    profile = launch.profile
    return launch.machine, tuple(cek.sha256 for cek in profile.ceks), str(profile.oca)
