# SPDX-License-Identifier: Apache-2.0
"""Finds the prepared launch with which a paused VM waits; that is a hint where to look, no more."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..launch.record import LaunchState
from ..sev.firmware_version import FirmwareVersion
from ..sev.measurement import ReportedMeasurement
from .events import Paused
from .watch_errors import several_launches, unknown_vm
from .world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..launch.record import LaunchRecord

MOST_TRIED: Final = 64
"""Launches whose TIK is tried on a measurement, the newest ones of that platform."""
_MOST_READ: Final = 1024
_GODH_BYTES: Final = 2084
_WITH_KEYS: Final = (LaunchState.PREPARED, LaunchState.VERIFIED, LaunchState.REFUSED)
_WITH_PACKET: Final = (LaunchState.SEALED, LaunchState.HANDED_OVER)
SERVED: Final = (LaunchState.RUNNING, LaunchState.STOPPED)
"""A VM was let run with such a launch; it may have been paused since."""


@dataclass(frozen=True, slots=True)
class Match:
    """The launch, and by what it was found: ``id``, ``godh``, ``measurement`` or ``records``."""

    launch_id: str
    by: str


async def find_launch(world: World, paused: Paused, host: str) -> Match:
    """The one launch that a paused VM at this host can belong to.

    Raises VerificationRefused ``unknown-vm`` or ``ambiguous-vm``, and HostError for a host
    that has to be asked and does not answer. What is told of a VM counts alone: one whose
    ``dhCert`` is unknown is not measured to find another launch for it.
    """
    if paused.launch is not None:
        if world.promises.of_launch(paused.launch) is None:
            raise unknown_vm(host, "names a launch that no request has begun")
        return Match(paused.launch, "id")
    if paused.godh is not None:
        found = world.blobs.find(paused.godh) if len(paused.godh) == _GODH_BYTES else None
        found = found or _served_with(world, paused, host)
        if found is None:
            raise unknown_vm(host, "was started with a GODH of no launch that is under way")
        return Match(found, "godh")
    return await _by_measurement(world, paused, host)


async def _by_measurement(world: World, paused: Paused, host: str) -> Match:
    """Over a bare monitor: ask which platform it is, and whose measurement that can be."""
    connection = await world.surroundings.connect(host, "watch")
    try:
        state = await connection.state()
        reported = ReportedMeasurement.parse(await connection.measurement())
        pdh = (await connection.platform()).pdh
    finally:
        await connection.close()
    candidates = list(_candidates(world, paused, pdh))
    for record in candidates:
        if record.state in _WITH_PACKET and _is_of(record, reported):
            return Match(record.id, "records")
    version = FirmwareVersion(state.api_major, state.api_minor, state.build)
    with_keys = [one.id for one in candidates if one.state in _WITH_KEYS]
    owners = world.desk.owners(with_keys, reported, version)
    if len(owners) > 1:
        raise several_launches(host, len(owners))
    if not owners:
        for record in _served_there(world, paused, host):
            if _is_of(record, reported):
                return Match(record.id, "records")
        raise unknown_vm(host, "has a measurement of no launch that is under way there")
    return Match(owners[0], "measurement")


def _candidates(world: World, paused: Paused, pdh: bytes) -> Iterator[LaunchRecord]:
    """The newest open launches of watched guests whose blob was made for this very PDH."""
    wanted = hashlib.sha256(pdh).digest()
    guests = world.rules.guests if paused.guest is None else (paused.guest,)
    read = found = 0
    for summary in world.open_launches():
        if summary.guest not in guests or summary.state == LaunchState.PREPARING:
            continue
        read += 1
        if read > _MOST_READ or found >= MOST_TRIED:
            return
        record = world.desk.show(summary.id)
        own = (record.certificates or {}).get("pdh", b"")
        if hmac.compare_digest(hashlib.sha256(own).digest(), wanted):
            found += 1
            yield record


def _served_with(world: World, paused: Paused, host: str) -> str | None:
    """The launch of a VM that was let run at this very host, and is paused once more."""
    for record in _served_there(world, paused, host):
        if record.session is not None and record.session.godh == paused.godh:
            return record.id
    return None


def _served_there(world: World, paused: Paused, host: str) -> Iterator[LaunchRecord]:
    """The newest launch of each watched guest at this host, where it came to its end."""
    guests = world.rules.guests if paused.guest is None else (paused.guest,)
    for guest in guests:
        newest = world.desk.newest(guest, host)
        served = newest is not None and newest.state in SERVED
        if newest is not None and served and world.promises.of_launch(newest.id) is not None:
            yield world.desk.show(newest.id)


def _is_of(record: LaunchRecord, reported: ReportedMeasurement) -> bool:
    measured = record.measured
    return measured is not None and hmac.compare_digest(measured.reported, reported.build())
