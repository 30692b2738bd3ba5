# SPDX-License-Identifier: Apache-2.0
"""What a batch is asked to do, and what that comes to for each launch by what the records know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from ..launch.record import LaunchState
from .taking_up import looks_done

if TYPE_CHECKING:
    from ..launch.store import LaunchSummary


class Phase(StrEnum):
    """How far the launches of a batch are taken."""

    PREPARE = "prepare"
    """Up to the files that the host needs."""
    COMPLETE = "complete"
    """Those that were prepared, to their end."""
    ALL = "all"
    """From the beginning to the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """What is to be done with a fleet.

    ``folder``        the manifest's, in which start commands run
    ``environment``   what start commands find; no secret belongs in it
    ``jobs``          launches that are under way at once, waiting ones counted
    ``per_host``      the same for each machine for which the manifest says nothing else
    ``resume``        take up what earlier runs left, and begin what they never did
    ``retry_failed``  with ``resume``: take up what was refused, too
    """

    phase: Phase
    folder: Path
    environment: Mapping[str, str]
    jobs: int = 1
    per_host: int | None = None
    resume: bool = False
    retry_failed: bool = False


class Intent(StrEnum):
    """What is to be done with one launch."""

    BEGIN = "begin"
    """A new launch."""
    GO_ON = "go-on"
    """The one that the records know is taken further."""
    LEAVE_DONE = "done-before"
    """It came to its end before."""
    LEAVE_REFUSED = "refused-before"
    """It was refused before, and nobody has asked to try again."""
    NOTHING_THERE = "nothing-prepared"
    """It was to be completed, and never begun."""


def intent_of(order: BatchOrder, earlier: LaunchSummary | None) -> Intent:
    """What to do with a launch of which ``earlier`` is the newest that the records know."""
    if order.phase is not Phase.COMPLETE and not order.resume:
        return Intent.BEGIN
    if earlier is None:
        return Intent.NOTHING_THERE if order.phase is Phase.COMPLETE else Intent.BEGIN
    if looks_done(earlier):
        return Intent.LEAVE_DONE
    left = order.resume and not order.retry_failed
    if left and earlier.state == LaunchState.REFUSED:
        return Intent.LEAVE_REFUSED
    return Intent.GO_ON
