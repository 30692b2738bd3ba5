# SPDX-License-Identifier: Apache-2.0
"""Gives a launch up: its keys are erased, and its packet is never sent again."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ..errors import BadInput, UsageError, VerificationRefused
from ..ledger.entries import EntryKind
from ..vault.launch_keys import erase_launch, launches_in
from .archive import Archive
from .fault_points import fault_point
from .ledger_bodies import launch_body
from .profile_plan import recorded_profile
from .record import LaunchRecord, LaunchState

_LONGEST_REASON: Final = 500
_ELSEWHERE: Final = "launch-of-another-vault"
_NOT_INTACT: Final = ("launch-record-changed", "launch-record-damaged", _ELSEWHERE)


def intact_record(archive: Archive, launch_id: str) -> LaunchRecord | None:
    """The record; None where it is damaged, or not what this vault vouches for."""
    try:
        return archive.seal.check(archive.store.load(launch_id))
    except (BadInput, VerificationRefused, UsageError) as error:
        if error.code not in _NOT_INTACT:
            raise
        return None


def abandon(archive: Archive, launch_id: str, reason: str) -> None:
    """Give a launch up, under its lock; see LaunchDesk.abandon."""
    told = _checked_reason(reason)
    guest, simulated = archive.store.owner(launch_id)
    record = _own_record(archive, launch_id)
    if record is not None and record.state is LaunchState.RUNNING:
        raise _running(launch_id)
    body: dict[str, object] = {"guest": guest, "record_changed": True}
    if record is not None:
        body = launch_body(record, recorded_profile(record), (), None)
    with archive.records.writing():
        if record is None:
            # Not sealed anew: nobody shall take what was put there for ours.
            archive.store.mark_abandoned(launch_id)
        else:
            archive.store.save(_given_up(record, archive.timestamp()), archive.seal)
        entry = {**body, "reason": told}
        archive.ledger.append(EntryKind.LAUNCH_ABANDONED, launch_id, entry, simulated=simulated)
    fault_point("abandonment-recorded")
    erase_launch(archive.vault, launch_id)


def _given_up(record: LaunchRecord, now: str) -> LaunchRecord:
    state = LaunchState.ABANDONED
    return replace(record, state=state, abandoned=now, waits_for="", changed=now)


def _own_record(archive: Archive, launch_id: str) -> LaunchRecord | None:
    """The record if it is intact, None for a changed one.

    Raises UsageError ``launch-of-another-vault``: to say that keys are erased which lie
    elsewhere would be worse than to leave the launch as it is.
    """
    try:
        return archive.seal.check(archive.store.load(launch_id))
    except (BadInput, VerificationRefused, UsageError) as error:
        elsewhere = error.code == _ELSEWHERE and launch_id not in launches_in(archive.vault)
        if elsewhere or error.code not in _NOT_INTACT:
            raise
        return None


def _checked_reason(text: str) -> str:
    reason = text.strip()
    if 0 < len(reason) <= _LONGEST_REASON and reason.isprintable():
        return reason
    raise UsageError(
        "bad-reason",
        "Why the launch is given up is to be recorded",
        f"A reason has 1 to {_LONGEST_REASON} characters that can be shown.",
        "Say it in a few words, such as “the host was reinstalled”.",
    )


def _running(launch_id: str) -> UsageError:
    return UsageError(
        "launch-running",
        "The guest runs",
        f"Launch {launch_id} came to its end: its keys are gone, and nothing is sent any more.",
        f"Stop the guest if it is not to run: `watchword launch stop {launch_id}`.",
        {"launch": launch_id},
    )
