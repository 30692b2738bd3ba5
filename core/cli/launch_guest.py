# SPDX-License-Identifier: Apache-2.0
"""``watchword launch status`` and ``stop``: what became of a launch's guest."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import ExitStatus
from ..hosts.urls import parse_host_url
from .command import Parser, Subparsers, add_command
from .desk_options import add_desk_options, opened_desk
from .output import Console, Result, grouped

if TYPE_CHECKING:
    from ..launch.guest_status import GuestStatus


def declare_guest(group: Subparsers[Parser]) -> None:
    """Add ``launch status`` and ``launch stop``."""
    status = add_command(
        group,
        "status",
        summary="ask for a running guest's state, and for a fresh report that its platform signs",
        example="watchword launch status ID",
        run=_status,
    )
    stop = add_command(
        group,
        "stop",
        summary="have the host pause a launch's guest",
        example="watchword launch stop ID",
        run=_stop,
    )
    for parser in (status, stop):
        parser.add_argument("id", metavar="ID", help="the launch")
        parser.add_argument("--host", metavar="URL", help="where the guest is, if it moved")
        add_desk_options(parser)


def _status(arguments: argparse.Namespace, console: Console) -> Result:
    _check_host(arguments)
    with opened_desk(arguments, console) as desk:
        status = asyncio.run(desk.status(arguments.id, host=arguments.host))
    waiver = status.platform.waiver
    payload = {**status.as_json(), "waivers": {} if waiver is None else {"platform": waiver}}
    end = ExitStatus.OK if waiver is None else ExitStatus.WAIVED
    return Result(payload, tuple(_lines(status)), end)


_PLATFORMS = {
    "verified": "its chain leads up to AMD's root",
    "foreign-root": "its chain leads up to a root that is NOT AMD's",
}


def _lines(status: GuestStatus) -> Iterator[str]:
    runs = "runs" if status.state.running else "is paused"
    yield f"The host says: the VM {runs} (SEV state {status.state.state.value})."
    waived = f"WAIVED: {status.platform.waiver}"
    yield f"The platform, judged again now: {_PLATFORMS.get(status.platform.name, waived)}."
    digest = status.confirmation.digest
    if digest is None:
        yield f"Not confirmed by the platform itself: {status.note}"
        return
    yield "Confirmed by a fresh report that the platform's PEK signed: an approved launch runs."
    yield f"launch digest  {grouped(digest.hex())}"
    if not status.recomputed:
        yield (
            "The digest was compared with the recorded ones: an approved file has changed since,"
            " or is not here."
        )


def _check_host(arguments: argparse.Namespace) -> None:
    """Say what is wrong with a URL before the vault is opened."""
    if arguments.host is not None:
        parse_host_url(arguments.host)


def _stop(arguments: argparse.Namespace, console: Console) -> Result:
    _check_host(arguments)
    with opened_desk(arguments, console) as desk:
        asyncio.run(desk.stop(arguments.id, host=arguments.host))
        record = desk.show(arguments.id)
    lines = [f"The host says that the guest of launch {arguments.id} is paused."]
    if record.is_open:
        lines.append(
            f"The launch is not over by that ({record.state.value}): `watchword launch abandon"
            f" {arguments.id}` gives it up."
        )
    return Result({"launch": arguments.id, "state": record.state.value}, tuple(lines))
