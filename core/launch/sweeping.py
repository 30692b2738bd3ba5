# SPDX-License-Identifier: Apache-2.0
"""Erases keys that stayed behind: of launches that ended, and that nobody takes up any more."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import WatchwordError
from ..ledger.entries import EntryKind
from ..vault.launch_keys import erase_launch, launches_in
from .abandoning import intact_record
from .archive import Archive
from .launch_lock import LaunchLock
from .loading import erase_served
from .record import LaunchState

_IN_USE: Final = (LaunchState.PREPARING, LaunchState.PREPARED, LaunchState.VERIFIED)


@dataclass(frozen=True, slots=True)
class StrayKeys:
    """Keys that nobody but their owner can decide about: the ids of their launches.

    ``unknown``     of launches that the records do not know at all
    ``unfinished``  of launches that ended before anybody was given their blob
    """

    unknown: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()


def sweep_keys(archive: Archive, home: Path) -> None:
    """Erase what the vault holds of launches that are over, sealed or abandoned.

    A process may have died before it erased them, or an older vault was put back. One that
    another process works on, or whose record is not intact, is left alone; so is all that
    can't be erased now: it is looked for again the next time.
    """
    ids = launches_in(archive.vault)
    if not ids:
        return
    given_up = _given_up(archive)
    for launch_id in sorted(ids):
        if launch_id in given_up or archive.store.state(launch_id) not in (None, *_IN_USE):
            with contextlib.suppress(WatchwordError):
                _sweep(archive, home, launch_id, given_up=launch_id in given_up)


def _sweep(archive: Archive, home: Path, launch_id: str, *, given_up: bool) -> None:
    lock = LaunchLock.take(home, launch_id, archive.timestamp(), 0)
    try:
        if given_up:
            erase_launch(archive.vault, launch_id)
        elif (record := intact_record(archive, launch_id)) is not None:
            erase_served(archive, record)
    finally:
        lock.release()


def stray_keys(archive: Archive) -> StrayKeys:
    """Keys that are left, and serve no launch that could go on as it is."""
    states = {one: archive.store.state(one) for one in sorted(launches_in(archive.vault))}
    return StrayKeys(
        tuple(one for one, state in states.items() if state is None),
        tuple(one for one, state in states.items() if state == LaunchState.PREPARING),
    )


def _given_up(archive: Archive) -> frozenset[str | None]:
    kinds = (EntryKind.LAUNCH_ABANDONED,)
    entries = archive.ledger.entries(kinds=kinds, skip_damaged=True)
    return frozenset(entry.launch_id for entry in entries)
