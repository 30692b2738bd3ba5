# SPDX-License-Identifier: Apache-2.0
"""What the desk works with beside records and vault: hosts, time, randomness, AMD's keys."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadInput
from ..hosts.limits import DEFAULT_LIMITS, HostLimits
from ..hosts.protocol import Host
from ..sev.advisories import Advisories
from ..sev.chain import RootKeys
from .deny_list import DenyList, read_deny_list
from .sealing_guard import BeforeSealing, nobody_to_ask
from .sev_plan import MoreCertificates, no_other_firmware, nobody_else_knows

if TYPE_CHECKING:
    from typing import Self

    from ..sev.firmware import FirmwareImage

Connect = Callable[[str, str], Awaitable[Host]]
"""Reaches the host of a URL for a launch: folders that are carried by hand bear its id."""
LOCK_SECONDS = 10.0
"""How long a launch that another process works on is waited for."""


def now_utc() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What launches work with; tests and rehearsals give their own.

    ``connect``  reaches the host of a URL for a launch of this id; UsageError or HostError
    ``random``   a source such as ``os.urandom``
    ``clock``    the time in UTC
    ``roots``, ``advisories``  AMD's keys, and what is publicly known against processors
    ``more_certificates``  what others than the host know, such as AMD's copy of a CEK
    ``deny_list``     platforms that the owner never wants again
    ``other_firmware``  images at hand that a VM may have been started with by mistake, by name;
    read only after a mismatch
    ``before_sealing``  may refuse that a launch's one packet is sealed
    ``lock_seconds``  how long another process that works on the same launch is waited for
    """

    connect: Connect
    roots: tuple[RootKeys, ...]
    advisories: Advisories
    random: Callable[[int], bytes] = os.urandom
    clock: Callable[[], datetime] = now_utc
    more_certificates: MoreCertificates = nobody_else_knows
    deny_list: DenyList = DenyList()  # noqa: RUF009 - a constant: nothing in it ever changes
    other_firmware: Callable[[], tuple[tuple[str, FirmwareImage], ...]] = no_other_firmware
    before_sealing: BeforeSealing = nobody_to_ask
    lock_seconds: float = LOCK_SECONDS

    @classmethod
    def of_this_machine(
        cls,
        home: Path,
        limits: HostLimits = DEFAULT_LIMITS,
        more_certificates: MoreCertificates = nobody_else_knows,
    ) -> Self:
        """The real ones; ``home`` is where the owner's deny-list may be. Raises BadInput."""
        from ..amd.advisories import published_advisories  # noqa: PLC0415 - reads a resource
        from ..amd.roots import amd_roots  # noqa: PLC0415 - reads a resource

        return cls(
            connect=connector(limits),
            roots=amd_roots(),
            advisories=published_advisories(),
            more_certificates=more_certificates,
            deny_list=read_deny_list(home),
            other_firmware=installed_firmware,
        )


def installed_firmware() -> tuple[tuple[str, FirmwareImage], ...]:
    """The images that QEMU's descriptors name on this machine; none where those are a mess."""
    from ..handover.firmware_descriptors import (  # noqa: PLC0415 - after a mismatch alone
        installed_images,
        standard_folders,
    )

    try:
        return installed_images(standard_folders())
    except BadInput:
        return ()


def connector(limits: HostLimits = DEFAULT_LIMITS) -> Connect:
    """Reaches hosts by their URLs; every scheme that there is, each within the limits."""

    # A list of launches needs no hosts.
    async def connect(url: str, launch_id: str) -> Host:
        from ..hosts.urls import ExchangeAddress, parse_host_url  # noqa: PLC0415

        address = parse_host_url(url)
        if isinstance(address, ExchangeAddress):
            from ..hosts.exchange import ExchangeHost  # noqa: PLC0415

            return ExchangeHost(address, launch_id)
        from ..hosts.connect import connect_host  # noqa: PLC0415

        return await connect_host(address, limits)

    return connect
