# SPDX-License-Identifier: Apache-2.0
"""A whole launch against a simulated host that is started for it, honest or not."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ..errors import WatchwordError
from ..hosts.limits import DEFAULT_LIMITS, HostLimits
from ..launch.engine import Launch
from ..launch.sev_steps import Observer
from ..simulator import PlatformKeys
from .guest import RehearsedGuest
from .stepwise import RehearsalRun, WhatHappened

__all__ = ["RehearsalOutcome", "RehearsedGuest", "rehearse"]


@dataclass(frozen=True, slots=True)
class RehearsalOutcome(WhatHappened):
    """What came of a rehearsal: the launch as it ended, and what ended it before its time."""

    launch: Launch
    error: WatchwordError | None


async def rehearse(
    guest: RehearsedGuest,
    observe: Observer,
    *,
    attack: str | None = None,
    keys: PlatformKeys | None = None,
    limits: HostLimits = DEFAULT_LIMITS,
) -> RehearsalOutcome:
    """Play a launch from beginning to end; a refusal is an outcome, not an exception.

    The arguments are those of RehearsalRun.
    """
    error: WatchwordError | None = None
    async with RehearsalRun(guest, observe, attack=attack, keys=keys, limits=limits) as run:
        try:
            await run.run()
        except WatchwordError as problem:
            error = problem
        happened = run.what_happened()
    return RehearsalOutcome(**asdict(happened), launch=run.launch, error=error)
