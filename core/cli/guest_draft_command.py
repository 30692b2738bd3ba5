# SPDX-License-Identifier: Apache-2.0
"""``watchword guest draft``: what a profile for a libvirt domain could be, by the host's word."""

from __future__ import annotations

import argparse
import asyncio
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..guest.fields import NAME
from .command import HOST_HELP, Parser, Subparsers, add_command
from .host_notes import note_host_warnings
from .output import Console, Result, table

if TYPE_CHECKING:
    from ..handover.profile_from_domain import DraftProfile


def declare_draft(group: Subparsers[Parser]) -> None:
    """Add ``guest draft``."""
    draft = add_command(
        group,
        "draft",
        summary="read from a libvirt domain's XML what its profile could be; keeps nothing",
        example="watchword guest draft vm1 --host 'libvirt+qemu+ssh://me@server1/system?domain=vm1'",
        run=_draft,
    )
    draft.add_argument("name", metavar="NAME", help="how the profile is to be called")
    draft.add_argument("--host", metavar="URL", required=True, help=HOST_HELP)


def _draft(arguments: argparse.Namespace, console: Console) -> Result:
    from ..launch.domain_draft import HOSTS_WORD  # noqa: PLC0415 - for this command alone

    _check_name(arguments.name)
    note_host_warnings(arguments.host, console)
    draft = asyncio.run(_ask(arguments.host))
    command = shlex.join(_command(arguments.name, arguments.host, draft))
    payload = {"host": arguments.host, "draft": draft.as_json(), "command": command}
    lines = [*table(list(_rows(draft))), *draft.notes, HOSTS_WORD]
    lines += ["What you find right, keep with your own files:", "", f"  {command}"]
    return Result(payload, tuple(lines))


async def _ask(url: str) -> DraftProfile:
    from ..hosts.connect import connect_host  # noqa: PLC0415 - for this command alone
    from ..hosts.libvirt_url import LibvirtAddress  # noqa: PLC0415 - as above
    from ..hosts.urls import parse_host_url  # noqa: PLC0415 - as above
    from ..launch.domain_draft import draft_from_host, shows_none  # noqa: PLC0415 - as above

    address = parse_host_url(url)
    if not isinstance(address, LibvirtAddress):
        raise shows_none(url)
    async with await connect_host(address) as host:
        return await draft_from_host(host)


def _rows(draft: DraftProfile) -> Iterator[tuple[str, str]]:
    if draft.policy is not None:
        yield "policy", str(draft.policy)
    for component, path in draft.host_files:
        yield f"{component} on the host", path
    if draft.cmdline is not None:
        yield "command line", f"“{draft.cmdline}”"
    if draft.vcpus is not None:
        yield "vCPUs", str(draft.vcpus)
    if draft.cpu is not None:
        yield "CPU", draft.cpu


def _command(name: str, host: str, draft: DraftProfile) -> Iterator[str]:
    """The command that keeps it; each file is a word in capitals, to be written over."""
    yield from ("watchword", "guest", "add", name, f"--host={host}")
    if draft.policy is not None:
        yield f"--policy=0x{draft.policy.value:x}"
    components = {"firmware": "", **dict(draft.host_files)}
    for component in components:
        yield f"--{component}=YOUR-{component.upper()}"
    if draft.cmdline is not None:
        yield f"--cmdline={draft.cmdline}"
    if draft.encrypted_state:
        yield f"--vcpus={draft.vcpus or 'NUMBER'}"
        yield f"--cpu={draft.cpu or 'MODEL'}"


def _check_name(name: str) -> None:
    if NAME.fullmatch(name) is None:
        raise UsageError(
            "bad-profile-name",
            "No profile can have this name",
            "A name has letters, digits, dots, hyphens and underscores, 64 at most.",
            "Give another one, such as vm1.",
        )
