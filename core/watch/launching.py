# SPDX-License-Identifier: Apache-2.0
"""Takes a paused VM's launch to its end: the ordinary launch, and what a watch asks beyond it."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from ..errors import VerificationRefused, WatchwordError
from ..guest.watch_limits import FirstFirmware
from ..launch.profile_plan import recorded_profile
from ..launch.record import OVER, LaunchState
from .approvals import decision_of, request_approval
from .events import Launched, Paused
from .live import same_host
from .matching import SERVED, find_launch
from .watch_errors import (
    at_work,
    firmware_waits,
    first_firmware_refused,
    launch_over,
    not_for_watch,
    prepared_otherwise,
    refused_too_often,
    sealed_for_another,
    shown,
    too_many_instances,
)
from .world import World, step_teller

if TYPE_CHECKING:
    from ..guest.profile import GuestProfile
    from ..launch.launch_run import LaunchRun
    from ..launch.record import LaunchRecord

LAUNCH: Final = "watched_launch"
"""What an error's details name the launch by that was found for a VM."""
RECORDED: Final = "recorded_by_launch"
"""In the details of a refusal that the launch has recorded itself, with evidence."""
MOST_REFUSALS: Final = 8
"""Refusals after which a launch is not taken up again: each leaves evidence on the disk."""
_LIBVIRT: Final = "libvirt+"
"""A launch starts a domain by itself, where nobody has."""
_NOT_PART_OF_WHAT_RUNS: Final = ("watch", "description", "host")


async def launch_paused(world: World, paused: Paused) -> Launched:
    """Find the launch of a paused VM, and take it to its end: everything is verified anew.

    Raises what is in the way, as LaunchRun.run does; VerificationRefused before anything is
    touched where this VM is not to be launched at all; AnswerPending ``first-firmware``.
    """
    host = world.rules.host(paused.host)
    match = await find_launch(world, paused, host)
    if match.launch_id in world.under_way:
        later = at_work(match.launch_id)
        later.add_details(**{LAUNCH: match.launch_id})
        raise later
    world.under_way.add(match.launch_id)
    try:
        record = world.desk.checked(match.launch_id)
        if await _was_served(world, record, host):
            return Launched(record.id, record.state.value)
        profile = _check(world, record, host)
        await _check_started(world, host)
        world.observe({"event": "matched", "host": host, "launch": match.launch_id, "by": match.by})
        return await _take_on(world, record, profile, host)
    except WatchwordError as error:
        error.add_details(**{LAUNCH: match.launch_id})
        raise
    finally:
        world.under_way.discard(match.launch_id)


async def _take_on(
    world: World, record: LaunchRecord, profile: GuestProfile, host: str
) -> Launched:
    launch_id = record.id
    with world.desk.open(launch_id, step_teller(world, profile.name), host=host) as run:
        await _run(run, until="measurement")
        if run.record.packet is None:
            check_first_firmware(world, profile, launch_id, host)
        await _run(run)
        state = run.record.state.value
    world.observe({"event": "launched", "launch": launch_id, "guest": profile.name, "state": state})
    return Launched(launch_id, state)


async def _run(run: LaunchRun, until: str | None = None) -> None:
    try:
        await run.run(until)
    except VerificationRefused as refusal:
        refusal.add_details(**{RECORDED: True})
        raise


async def _was_served(world: World, record: LaunchRecord, host: str) -> bool:
    """Whether this is the very VM that the launch has served, told once more: nothing is sent."""
    measured = record.measured
    if record.state not in SERVED or measured is None:
        return False
    if same_host(record.host) != host:
        return False
    connection = await world.surroundings.connect(host, "watch")
    try:
        found = await connection.measurement()
    finally:
        await connection.close()
    return hmac.compare_digest(found, measured.reported)


# -- before anything is touched ------------------------------------------------------


async def _check_started(world: World, host: str) -> None:
    """HostError where the domain is shut off: an announcement starts none, whoever makes it."""
    if not host.startswith(_LIBVIRT):
        return
    connection = await world.surroundings.connect(host, "watch")
    try:
        await connection.measurement()
    finally:
        await connection.close()


def _check(world: World, record: LaunchRecord, host: str) -> GuestProfile:
    """The guest's profile, if a watch may take up this launch for a VM at this host."""
    profile = world.rules.guest(record.guest)
    order = record.order
    waived = order.platform_waiver or order.policy_waiver or order.firmware_waiver
    if waived or order.trusted_roots or record.simulated or not order.require_pinned:
        raise not_for_watch(record.id)
    if record.state in OVER or record.is_abandoned or record.running is not None:
        raise launch_over(record.id, record.state.value, shown(host))
    if record.keys_are_gone and same_host(record.host) != host:
        raise sealed_for_another(record.id, shown(host))
    # A packet that is sealed already fits the VM that was verified, and no other.
    if not record.keys_are_gone and _what_runs(recorded_profile(record)) != _what_runs(profile):
        raise prepared_otherwise(record.id, record.guest)
    if record.state is LaunchState.REFUSED:
        _check_refused(world, record, profile)
    return profile


def _what_runs(profile: GuestProfile) -> dict[str, object]:
    """The profile without what says nothing of what runs where."""
    document = profile.to_document()
    return {key: value for key, value in document.items() if key not in _NOT_PART_OF_WHAT_RUNS}


def _check_refused(world: World, record: LaunchRecord, profile: GuestProfile) -> None:
    """One that was refused was not counted as live; it may be tried again, but not for ever."""
    times = world.promises.times_refused(record.id)
    if times >= MOST_REFUSALS:
        raise refused_too_often(record.id, times)
    others = [one for one in world.live(record.guest) if one.id != record.id]
    live, limits = len(others), profile.watch
    if limits is None or live >= limits.instances_at_most:
        most = 0 if limits is None else limits.instances_at_most
        raise too_many_instances(record.guest, live, most)


# -- firmware that was never verified before -----------------------------------------


def check_first_firmware(world: World, profile: GuestProfile, launch_id: str, host: str) -> None:
    """Whether the firmware that was just measured may be given the secret.

    The profile approves it already. Where its owner wants to look when an image is used for
    the first time, a person's decision is awaited: one for each guest and image.
    Raises VerificationRefused ``first-firmware-refused``, AnswerPending ``first-firmware``.
    """
    limits = profile.watch
    if limits is None or limits.first_firmware is FirstFirmware.ALLOW:
        return
    found = world.promises.matched_firmware(launch_id)
    # Where it can't be told which image it was, each that it can have been has to be known.
    unseen = [sha256 for sha256 in found if not world.promises.has_verified(sha256)]
    folder = world.rules.approvals
    if found and not unseen:
        return
    if limits.first_firmware is FirstFirmware.REFUSE or folder is None or not unseen:
        raise first_firmware_refused(profile.name, (unseen or ["?"])[0], by_person=False)
    waiting = []
    for sha256 in unseen:
        decision = decision_of(folder, profile.name, sha256)
        if decision is False:
            raise first_firmware_refused(profile.name, sha256, by_person=True)
        if decision is None:
            asked = world.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            waiting.append(
                request_approval(
                    folder, profile.name, sha256, launch_id=launch_id, host=host, asked=asked
                )
            )
    if waiting:
        raise firmware_waits(launch_id, profile.name, tuple(waiting))
