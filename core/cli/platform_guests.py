# SPDX-License-Identifier: Apache-2.0
"""``watchword platform guests``: the VMs that a host knows, by what goes into a host's URL."""

from __future__ import annotations

import argparse
import asyncio

from ..errors import UsageError
from ..hosts.connect import connect_host
from ..hosts.host_words import visible
from ..hosts.libvirt_url import LibvirtAddress
from ..hosts.protocol import GuestLister, GuestRow
from ..hosts.urls import parse_host_url
from .host_notes import note_host_warnings
from .output import Console, Result, table


def guests(arguments: argparse.Namespace, console: Console) -> Result:
    """Run the command."""
    note_host_warnings(arguments.host, console)
    found = asyncio.run(_ask(arguments.host))
    rows = [(row.uuid, visible(row.name)) for row in found]
    payload = {
        "host": arguments.host,
        "guests": [{"uuid": row.uuid, "name": row.name} for row in found],
    }
    lines = table(rows) if rows else ["libvirt knows no VM there."]
    return Result(payload, (*lines, "A VM's URL is this one with ?domain=NAME or &domain=NAME."))


async def _ask(url: str) -> tuple[GuestRow, ...]:
    address = parse_host_url(url)
    if not isinstance(address, LibvirtAddress):
        raise _lists_none(url)
    async with await connect_host(address) as host:
        if not isinstance(host, GuestLister):
            raise _lists_none(url)
        return await host.guests()


def _lists_none(url: str) -> UsageError:
    return UsageError(
        "host-lists-no-guests",
        "This host doesn't know which VMs there are",
        f"{url} is one VM, and only libvirt knows them all.",
        "Name a libvirt host: libvirt+qemu:///system or libvirt+qemu+ssh://user@host/system.",
    )
