# SPDX-License-Identifier: Apache-2.0
"""Looks a host over before a launch is begun on it, as ``platform preflight`` does. No Qt."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from watchword.core.errors import HostError, UsageError
from watchword.core.handover.profile_from_domain import DraftProfile
from watchword.core.hosts.libvirt_url import LibvirtAddress
from watchword.core.hosts.locality import is_local
from watchword.core.hosts.protocol import DomainTeller, GuestLister, GuestRow, Host
from watchword.core.hosts.urls import ExchangeAddress, parse_host_url
from watchword.core.launch.domain_draft import draft_from_host
from watchword.core.launch.orders import LaunchOrder
from watchword.core.launch.preflight import Expectations, Preflight, look_over
from watchword.core.launch.sev_plan import CertificateFile, MoreCertificates
from watchword.core.sev.chain import PlatformCertificates

from .launch_service import CertificateFiles, LaunchService, read_certificates
from .wizard.wanted import Wanted


@dataclass(frozen=True, slots=True)
class HostLook:
    """What was found about the host at ``url``, and the VMs that it knows, if it tells them.

    ``shows_domains``  whether it shows how its VMs are defined
    ``local``          whether it is this very machine, by its URL
    """

    url: str
    found: Preflight
    guests: tuple[GuestRow, ...] = ()
    shows_domains: bool = False
    local: bool = False

    @property
    def named(self) -> str:
        """The VM that the URL names already, by name or UUID; empty where it names none."""
        address = parse_host_url(self.url)
        return address.domain or "" if isinstance(address, LibvirtAddress) else ""


@dataclass(frozen=True, slots=True)
class HostDraft:
    """What a VM's profile could be, by the word of the host at ``url``, which calls it ``name``."""

    url: str
    name: str
    draft: DraftProfile


async def look_at_host(service: LaunchService, wanted: Wanted) -> HostLook:
    """What the host shows that a launch would be begun on; nothing is begun, nothing recorded.

    Without a URL it is the host of the chosen profile. Raises BadInput for files and profile,
    HostError, and UsageError: ``no-host-to-ask``, ``bad-host-url``, ``host-not-by-qmp``.
    """
    order = await asyncio.to_thread(_order, service, wanted)
    url = wanted.host or ("" if order is None else order.profile.host or "")
    if not url:
        raise _no_host()
    if isinstance(parse_host_url(url), ExchangeAddress):
        raise _nobody_answers()
    surroundings = await asyncio.to_thread(service.surroundings, ask_amd=wanted.ask_amd)
    if order is None:
        given = await asyncio.to_thread(read_certificates, wanted.paths, wanted.pasted)
    else:
        given = tuple(order.certificate_files)
    expected = Expectations(
        surroundings.roots,
        surroundings.advisories,
        _with_given(given, surroundings.more_certificates),
        ceks=() if order is None else tuple(cek.sha256 for cek in order.profile.ceks),
        trusted_roots=() if order is None else order.trusted_roots,
    )
    async with await surroundings.connect(url, "preflight") as host:
        found, guests = await look_over(host, expected), await _guests(host)
        return HostLook(url, found, guests, isinstance(host, DomainTeller), is_local(url))


async def draft_of_guest(service: LaunchService, url: str, name: str) -> HostDraft:
    """What the profile of a VM could be; nothing is kept. Raises as ``draft_from_host``."""
    surroundings = await asyncio.to_thread(service.surroundings, ask_amd=False)
    async with await surroundings.connect(url, "preflight") as host:
        return HostDraft(url, name, await draft_from_host(host))


def with_guest(url: str, guest: GuestRow) -> str:
    """The URL of a libvirt host for one of its VMs; as it is where no VM belongs into it."""
    address = parse_host_url(url)
    if not isinstance(address, LibvirtAddress):
        return url
    named = replace(address, domain=guest.name).url
    try:
        parse_host_url(named)
    except UsageError:  # the host may call it what it likes
        return replace(address, domain=guest.uuid).url
    return named


async def _guests(host: Host) -> tuple[GuestRow, ...]:
    if isinstance(host, GuestLister):
        # What keeps the host from telling is among the findings already.
        with contextlib.suppress(HostError):
            return await host.guests()
    return ()


def _order(service: LaunchService, wanted: Wanted) -> LaunchOrder | None:
    return service.order(wanted) if wanted.guest else None


def _with_given(given: CertificateFiles, others: MoreCertificates) -> MoreCertificates:
    async def more(
        chip_id: bytes | None, so_far: PlatformCertificates
    ) -> Sequence[CertificateFile]:
        return (*given, *await others(chip_id, so_far))

    return more


def _no_host() -> UsageError:
    return UsageError(
        "no-host-to-ask",
        "No host is named yet",
        "The URL is empty, and the guest's profile names no host.",
        "Write the URL of the host.",
    )


def _nobody_answers() -> UsageError:
    return UsageError(
        "host-not-by-qmp",
        "Nobody answers there at once",
        "This is a folder that is carried by hand: its answers come when the operator sends them.",
        "Begin the launch: the first page says what to carry to the operator. What he sends can be"
        " checked under Check a platform.",
    )
