# SPDX-License-Identifier: Apache-2.0
"""Answers a request with a fresh launch blob for a verified, pinned platform, or refuses it."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Final

from ..errors import BadInput
from ..launch.host_certificates import read_host_certificates
from ..launch.orders import LaunchOrder
from ..launch.record import OVER, LaunchState
from ..sev.chain import PlatformCertificates, examine_chain
from ..sev.chain_files import recognise
from ..sev.platform import judge_chain
from ..sev.secret_packet import platform_not_proven
from .events import Asked, BlobAnswer
from .live import make_room
from .promise_index import Promise
from .promises import request_content, request_key
from .rules import not_watched
from .watch_errors import (
    at_work,
    bad_request,
    busy,
    firmware_not_approved,
    nothing_to_ask,
    request_over,
    request_taken,
    shown,
    too_many_instances,
    too_many_starts,
)
from .world import World, step_teller

if TYPE_CHECKING:
    from ..guest.profile import GuestProfile
    from ..launch.launch_run import LaunchRun

_REQUEST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+:-]{0,127}", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST_CERTIFICATES: Final = 1 << 20
"""Bytes of certificates in one request."""
_UNTIL: Final = "session"


async def answer_request(world: World, asked: Asked) -> BlobAnswer:
    """The blob of a request: a fresh one, or the one that it was given before.

    Raises what is in the way: VerificationRefused (exit 3), HostError (4), BadInput (6),
    AnswerPending (9) and UsageError (2), before anything was given away.
    """
    _check_form(asked)
    profile = world.rules.guest(asked.guest)
    host = None if asked.host is None else world.rules.host(asked.host)
    content = request_content(asked, host)
    async with world.requests.hold(request_key(asked)):
        promise = world.promises.find(request_key(asked))
        if promise is not None:
            return await _again(world, asked, promise, content)
        _check_firmware(profile, asked)
        files = await _gather(world, profile, asked, host)
        await make_room(world, profile)
        # From here to the promise nothing is awaited: what was counted still holds.
        order = LaunchOrder(
            profile=profile,
            host=host,
            ask_host=not files,
            certificate_files=files,
            require_pinned=True,
        )
        run = _begin(world, asked, order, content)
        return await _answer(world, asked, run, again=False)


def _check_form(asked: Asked) -> None:
    if not _REQUEST.fullmatch(asked.request):
        raise bad_request("request", "It takes 1 to 128 letters, digits or . _ @ + : -")
    if sum(len(data) for _, data in asked.certificates) > _MOST_CERTIFICATES:
        raise bad_request(
            "certificates", f"Together they have more than {_MOST_CERTIFICATES} bytes."
        )
    if asked.firmware_sha256 is not None and not _SHA256.fullmatch(asked.firmware_sha256):
        raise bad_request("firmware_sha256", "It takes the 64 hex digits of a SHA-256.")


def _check_firmware(profile: GuestProfile, asked: Asked) -> None:
    """Refuse early what could not be verified later; whether it is true, the measurement says."""
    told = asked.firmware_sha256
    if told is not None and all(file.sha256 != told for file in profile.firmware):
        raise firmware_not_approved(profile.name, told)


# -- the platform, before anything is begun ------------------------------------------


async def _gather(
    world: World, profile: GuestProfile, asked: Asked, host: str | None
) -> tuple[tuple[str, bytes], ...]:
    """The request's certificate files, once the platform that they (or the host) show would do.

    The launch verifies all of it again; here it is kept from being begun for nothing.
    """
    told = asked.certificates or asked.known_certificates
    files = [(shown(name), data) for name, data in told]
    if not files:
        if host is None:
            raise nothing_to_ask()
        answer = await _ask_host(world, host)
        _judge(world, profile, await _completed(world, profile, answer[0], answer[1]))
        return ()
    more = await _completed(world, profile, files, None)
    _judge(world, profile, more)
    return tuple(more)


async def _ask_host(world: World, host: str) -> tuple[list[tuple[str, bytes]], bytes | None]:
    connection = await world.surroundings.connect(host, "watch")
    try:
        answer = await connection.platform()
    finally:
        await connection.close()
    return read_host_certificates(answer.pdh, answer.cert_chain), answer.cpu_id


async def _completed(
    world: World, profile: GuestProfile, files: list[tuple[str, bytes]], chip_id: bytes | None
) -> list[tuple[str, bytes]]:
    """The files with AMD's copy of the CEK, asked for only where the chip may be a pinned one."""
    known = recognise(files).certificates
    if known.cek is not None or known.cek_from_host is not None:
        profile.check_cek(examine_chain(known, world.surroundings.roots))
    return [*files, *await world.surroundings.more_certificates(chip_id or known.chip_id, known)]


def _judge(world: World, profile: GuestProfile, files: list[tuple[str, bytes]]) -> None:
    certificates: PlatformCertificates = recognise(files).certificates
    platform = judge_chain(
        certificates,
        world.surroundings.roots,
        world.surroundings.advisories,
        oca_pin=profile.require_oca_pin(),
        cek_pins=tuple(cek.sha256 for cek in profile.ceks),
        waiver=None,
    )
    if not platform.proven:
        raise platform_not_proven(platform.name)
    world.surroundings.deny_list.refuse(platform.report)


# -- the launch ----------------------------------------------------------------------


def _begin(world: World, asked: Asked, order: LaunchOrder, content: str) -> LaunchRun:
    """Begin the launch, if it is not one too many, and promise it to this request.

    Another watch of the same records must not count, and begin, at the same time.
    """
    guest = order.profile.name
    claim = world.desk.claim(guest, "watch")
    if claim is None:
        raise busy()
    try:
        if world.promises.find(request_key(asked)) is not None:
            raise busy()
        _refuse_one_too_many(world, order.profile)
        return _promised(world, asked, order, content)
    finally:
        claim.release()


def _promised(world: World, asked: Asked, order: LaunchOrder, content: str) -> LaunchRun:
    """The launch and its promise, recorded together or not at all."""
    run: LaunchRun | None = None
    try:
        with world.promises.recording():
            run = world.desk.new(order, step_teller(world, asked.guest))
            world.promises.promise(asked, run.id, content)
    except BaseException:
        if run is not None:
            run.close()
        raise
    return run


def _refuse_one_too_many(world: World, profile: GuestProfile) -> None:
    guest, limits = profile.name, profile.watch
    if limits is None:
        raise not_watched(guest)
    live = len(world.live(guest))
    if live >= limits.instances_at_most:
        raise too_many_instances(guest, live, limits.instances_at_most)
    if world.promises.starts_in_last_hour(guest) >= limits.starts_per_hour:
        raise too_many_starts(guest, limits.starts_per_hour)


async def _again(world: World, asked: Asked, promise: Promise, content: str) -> BlobAnswer:
    """The answer that this request was given before, or should have been given."""
    if not hmac.compare_digest(promise.content, content):
        raise request_taken(asked.request)
    launch_id = promise.launch_id
    if launch_id in world.under_way:
        raise at_work(launch_id)
    record = world.desk.checked(launch_id)
    refused = record.state is LaunchState.REFUSED and record.session is None
    if refused or record.state in OVER:
        raise request_over(asked.request, launch_id, record.state.value)
    run = world.desk.open(launch_id, step_teller(world, promise.guest))
    return await _answer(world, asked, run, again=True)


async def _answer(world: World, asked: Asked, run: LaunchRun, *, again: bool) -> BlobAnswer:
    world.under_way.add(run.id)
    try:
        if run.start_order is None:
            await run.run(until=_UNTIL)
        order = run.start_order
    finally:
        run.close()
        world.under_way.discard(run.id)
    if order is None:
        raise BadInput("no-blob", "the launch", "It has no launch blob.", "Ask anew.")
    world.observe(
        {
            "event": "answered",
            "source": asked.source,
            "request": shown(asked.request),
            "guest": asked.guest,
            "launch": run.id,
            "again": again,
        }
    )
    return BlobAnswer(asked.request, asked.guest, run.id, order)
