# SPDX-License-Identifier: Apache-2.0
"""Finds what earlier runs left of a fleet's launches, and whether a batch may go on with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from ..errors import BadInput, UsageError, VerificationRefused
from ..hosts.urls import parse_host_url
from ..launch.profile_plan import recorded_profile
from ..launch.record import OVER, LaunchState
from .fleet import Fleet, FleetLaunch

if TYPE_CHECKING:
    from ..launch.record import LaunchRecord
    from ..launch.store import LaunchSummary

_DONE: Final = (LaunchState.RUNNING, LaunchState.STOPPED)
_MOST_NAMED: Final = 10


class LaunchList(Protocol):
    """What knows the launches of a guest: a desk, or the records alone."""

    def list(self, *, guest: str | None = None) -> Sequence[LaunchSummary]:
        """Summaries, the newest first."""


class EarlierLaunches:
    """The newest launch of each guest at each host, abandoned ones left out.

    One look at the records for a whole fleet; ``others_wrote`` tells when that was.
    """

    def __init__(self, known: LaunchList, fleet: Fleet, others_wrote: int = 0) -> None:
        self._others_wrote = others_wrote
        self._newest: dict[tuple[str, str], LaunchSummary] = {}
        for guest in {planned.profile.name for planned in fleet.launches}:
            for summary in known.list(guest=guest):
                if summary.state != LaunchState.ABANDONED:
                    key = guest, _canonical(summary.host)
                    other = self._newest.setdefault(key, summary)
                    self._newest[key] = max(other, summary, key=_newness)

    def of(self, planned: FleetLaunch) -> LaunchSummary | None:
        """The newest launch of this guest at this host."""
        return self._newest.get((planned.profile.name, planned.host))

    def is_current(self, others_wrote: int) -> bool:
        """Whether no other process has written anything since."""
        return others_wrote == self._others_wrote

    def refuse_under_way(self, fleet: Fleet) -> None:
        """BadInput ``launches-under-way`` if one that would be begun has been begun already.

        A refused one is not in the way, nor one that got no launch blob yet: a new launch
        has new keys. Only a folder that is carried by hand belongs to one launch.
        """
        found = [
            (planned, summary)
            for planned in fleet.launches
            if (summary := self.of(planned)) is not None
            and summary.state not in (*OVER, LaunchState.REFUSED)
            and (planned.by_hand or summary.state != LaunchState.PREPARING)
        ]
        if found:
            raise _under_way(found)


def may_go_on(record: LaunchRecord, planned: FleetLaunch) -> None:
    """Refuse a launch that this batch would not have begun in this way.

    VerificationRefused ``waived-in-batch`` for one in which something was waived, or a root
    that is not AMD's is trusted; BadInput ``prepared-otherwise`` for another profile.
    """
    order = record.order
    waived = order.platform_waiver or order.policy_waiver or order.firmware_waiver
    if waived or order.trusted_roots or record.simulated:
        raise VerificationRefused(
            "waived-in-batch",
            "A batch does not go on with what was waived",
            f"Launch {record.id} was prepared with a waiver, or for a root that is not AMD's.",
            f"Look at it, and complete it by itself: `watchword launch complete {record.id}`.",
            {"launch": record.id},
        )
    if recorded_profile(record) != planned.profile:
        raise BadInput(
            "prepared-otherwise",
            f"launch {record.id}",
            f"It was prepared for guest profile “{planned.profile.name}” as it was then; the"
            " profile has changed since.",
            f"Complete it by itself if it is still wanted: `watchword launch complete {record.id}`."
            f" Or give it up with `watchword launch abandon {record.id}`, and prepare it anew.",
            {"launch": record.id},
        )


def looks_done(summary: LaunchSummary) -> bool:
    """Whether the list says that nothing is left to be done; nobody vouches for that."""
    return summary.state in _DONE


def is_done(record: LaunchRecord) -> bool:
    """Whether a launch, as the vault vouches for it, came to its end."""
    return record.running is not None and not record.is_abandoned


def nothing_prepared(planned: FleetLaunch) -> BadInput:
    """The error for a launch that is to be completed and was never begun."""
    return BadInput(
        "nothing-prepared",
        f"launch {planned.name}",
        f"Guest “{planned.profile.name}” has no launch under way at {planned.host}.",
        "Prepare it first, with --phase prepare.",
    )


def _newness(summary: LaunchSummary) -> tuple[str, int]:
    """Its time; within one second, what is under way comes after what got nowhere."""
    ranks: dict[str, int] = {LaunchState.PREPARING: 0, LaunchState.REFUSED: 1}
    rank = 1 if summary.state in OVER else ranks.get(summary.state, 2)
    return summary.created, rank


def _canonical(host: str) -> str:
    try:
        return parse_host_url(host).url
    except UsageError:
        return host


def _under_way(found: Sequence[tuple[FleetLaunch, LaunchSummary]]) -> BadInput:
    named = [f"{planned.name} ({summary.id})" for planned, summary in found[:_MOST_NAMED]]
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return BadInput(
        "launches-under-way",
        "the manifest",
        f"An earlier run has begun: {', '.join(named)}{more}. Nothing was started now.",
        "Go on with --resume, or with --phase complete; or give them up with `watchword launch"
        " abandon ID`, and start anew.",
        {
            "launches": [
                {"name": planned.name, "launch": summary.id, "state": summary.state}
                for planned, summary in found
            ]
        },
    )
