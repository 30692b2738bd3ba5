# SPDX-License-Identifier: Apache-2.0
"""What the owner's assignments say of a launch before it is given out, signatures held again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..batch.results import LaunchResult, Outcome
from ..errors import WatchwordError
from ..ledger.canonical import parse_canonical
from .envelope import open_document
from .signed_result import RESULT, Sealed

if TYPE_CHECKING:
    from ..batch.fleet import FleetLaunch
    from .assignments import Assignments
    from .signed_job import Assignment

_DONE: Final = (Outcome.DONE.value, Outcome.DONE_BEFORE.value)


def done_before(assignments: Assignments, owner: str, planned: FleetLaunch) -> LaunchResult | None:
    """The result of a launch that its worker has signed as done; None for any other."""
    guest = planned.profile.name
    latest = assignments.latest(owner, guest, planned.host)
    if latest is None:
        return None
    said = _said(assignments, latest[0].job_id, latest[0].worker)
    if said.get("outcome") not in _DONE or said.get("job") != latest[0].job_id:
        return None
    launch, state = said.get("launch"), said.get("state")
    return LaunchResult(
        planned.name,
        guest,
        planned.host,
        Outcome.DONE_BEFORE,
        launch if isinstance(launch, str) else None,
        state=state if isinstance(state, str) else None,
    )


def under_way(assignments: Assignments, owner: str, planned: FleetLaunch) -> bool:
    """Whether an earlier run has given it out, and its worker has not signed that it failed."""
    latest = assignments.latest(owner, planned.profile.name, planned.host)
    if latest is None or not latest[1]:
        return False
    said = _said(assignments, latest[0].job_id, latest[0].worker)
    return said.get("outcome") != Outcome.FAILED.value


def gave_up(assignments: Assignments, turn: Assignment) -> bool:
    """Whether the worker of a turn has signed that it never seals for it."""
    return bool(_said(assignments, turn.job_id, turn.worker).get("sealed") == Sealed.NEVER.value)


def _said(assignments: Assignments, job_id: str, worker: str) -> dict[str, Any]:
    """What the worker has signed of a turn; nothing where that does not hold."""
    envelope = assignments.result(job_id)
    if envelope is None:
        return {}
    try:
        said = parse_canonical(open_document(RESULT, envelope, "a kept result", worker).payload)
    except WatchwordError:
        return {}
    return said if isinstance(said, dict) else {}
