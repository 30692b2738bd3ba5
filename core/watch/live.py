# SPDX-License-Identifier: Apache-2.0
"""Keeps count of live VMs: who is gone, by the host's word or by looking, and what has expired."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ..errors import HostError, UsageError, WatchwordError
from ..hosts.urls import parse_host_url
from ..launch.record import LaunchState
from ..launch.vm_presence import nobody_there
from .events import Gone
from .world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..guest.profile import GuestProfile
    from ..launch.store import LaunchSummary

_MOST_LOOKED_AT: Final = 64
_AT_ONCE: Final = 8
_NOT_RUNNING: Final = ("libvirt-domain-not-running", "libvirt-domain-unknown")
_OVER_AND_LIVE: Final = (LaunchState.RUNNING, LaunchState.STOPPED)
_PAST_MEASUREMENT: Final = (LaunchState.VERIFIED, LaunchState.SEALED, LaunchState.HANDED_OVER)
_EXPIRING: Final = (LaunchState.PREPARING, LaunchState.PREPARED, LaunchState.REFUSED)
_GONE: Final = "The host says that its VM is gone."
_EXPIRED: Final = "No VM was verified with it in time."


async def make_room(world: World, profile: GuestProfile) -> None:
    """Where a guest has as many live VMs as may be, look which of them are gone.

    Not all of it is the host's word: a VM in another's place has another measurement. While
    somebody looks, and for some time after, nobody else does: hosts that stall would otherwise
    hold up one request after the other.
    """
    limits = profile.watch
    live = world.live(profile.name)
    if limits is None or len(live) < limits.instances_at_most:
        return
    clock = asyncio.get_running_loop().time
    if clock() < world.next_looks.get(profile.name, 0.0):
        return
    world.next_looks[profile.name] = math.inf
    try:
        await _look(world, live)
    finally:
        world.next_looks[profile.name] = clock() + world.look_pause


async def _look(world: World, live: Sequence[LaunchSummary]) -> None:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def look(summary: LaunchSummary) -> None:
        async with turns:
            if await _is_gone(world, summary):
                release(world, summary.id)

    settled = [one for one in live if one.state in (*_OVER_AND_LIVE, *_PAST_MEASUREMENT)]
    oldest = settled[-_MOST_LOOKED_AT:]
    await asyncio.gather(*(look(one) for one in oldest if one.host))


async def _is_gone(world: World, summary: LaunchSummary) -> bool:
    """Whether nobody is there, or somebody else; what can't be told is no."""
    if summary.id in world.under_way:
        return False
    with contextlib.suppress(WatchwordError):
        measured = world.desk.show(summary.id).measured
        try:
            host = await world.surroundings.connect(world.rules.host(summary.host), "watch")
        except HostError as error:
            return nobody_there(error) or error.code in _NOT_RUNNING
        try:
            found = await host.measurement()
        except HostError as error:
            return error.code in _NOT_RUNNING
        finally:
            await host.close()
        return measured is not None and not hmac.compare_digest(found, measured.reported)
    return False


def release(world: World, launch_id: str) -> bool:
    """One live VM less: its launch is given up, or noted as gone if it came to its end.

    A blob that no VM was measured with stays as it is: it may still be started, and expires.
    False where there was nothing to release.
    """
    promise = world.promises.of_launch(launch_id)
    record = world.desk.show(launch_id)
    if promise is None or launch_id in world.under_way or world.promises.is_gone(launch_id):
        return False
    if record.state in _PAST_MEASUREMENT:
        world.desk.abandon(launch_id, _GONE)
    elif record.state in _OVER_AND_LIVE:
        world.promises.note_gone(launch_id, record.guest, record.host)
    else:
        return False
    world.observe({"event": "gone", "launch": launch_id, "host": record.host})
    return True


async def note_gone(world: World, gone: Gone) -> tuple[str, ...]:
    """The launches that an announced end releases; none where it means none of ours there.

    Where it is not the host who says so, its VM has to be missed there.
    """
    host = world.rules.host(gone.host)
    released = []
    for summary in tuple(_meant(world, gone, host)):
        if (gone.seen or await _is_gone(world, summary)) and release(world, summary.id):
            released.append(summary.id)
    return tuple(released)


def _meant(world: World, gone: Gone, host: str) -> Iterator[LaunchSummary]:
    """Watched launches whose VM was at this very host; others are not the teller's to end."""
    states = (*_OVER_AND_LIVE, *_PAST_MEASUREMENT)
    for guest in world.rules.guests:
        for summary in world.desk.list(guest=guest, states=states):
            if gone.launch not in (None, summary.id) or same_host(summary.host) != host:
                continue
            record = world.desk.show(summary.id)
            godh = None if record.session is None else record.session.godh
            if gone.godh is None or gone.godh == godh:
                yield summary


def same_host(url: str) -> str:
    """A recorded URL in its one form, as far as it is one."""
    try:
        return parse_host_url(url).url
    except UsageError:
        return url


def expire(world: World) -> None:
    """Give up blobs that no VM was verified with in the time that the rules state.

    Their keys are erased: whatever is started with them later is an unknown VM.
    """
    now = world.now()
    for summary in tuple(world.open_launches()):
        if summary.state not in _EXPIRING or summary.id in world.under_way:
            continue
        age = (now - _time(summary.changed)).total_seconds()
        if age < world.rules.expire_seconds:
            continue
        with contextlib.suppress(WatchwordError):  # another process is at work on it, perhaps
            world.desk.abandon(summary.id, _EXPIRED)
            world.observe({"event": "expired", "launch": summary.id})


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:  # edited by somebody; the desk will say so
        return datetime.max.replace(tzinfo=UTC)
