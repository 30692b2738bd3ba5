# SPDX-License-Identifier: Apache-2.0
"""Examines a platform's certificates from files or from its host, without a launch. No Qt."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from watchword.core.amd.advisories import published_advisories
from watchword.core.errors import BadInput, UsageError, WatchwordError
from watchword.core.hosts.connect import connect_host
from watchword.core.hosts.locality import is_local
from watchword.core.hosts.urls import ExchangeAddress, parse_host_url
from watchword.core.launch.host_certificates import read_host_certificates
from watchword.core.launch.sev_plan import MoreCertificates
from watchword.core.sev.chain import examine_chain
from watchword.core.sev.chain_files import RecognisedChain, is_signed_cek, recognise
from watchword.core.sev.platform import chain_refused, with_advisories

from .launch_service import LaunchService, read_certificates


@dataclass(frozen=True, slots=True, kw_only=True)
class ToCheck:
    """What was given; at least one of host and files."""

    host: str = ""
    paths: tuple[str, ...] = ()
    pasted: tuple[str, ...] = ()
    ask_amd: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """The chain as it was examined.

    ``report``   as ChainReport.as_json gives it
    ``refusal``  why it doesn't hold; None where it does
    ``local``    whether the host is this very machine, by its URL
    """

    report: Mapping[str, object]
    refusal: WatchwordError | None
    local: bool = False


async def check_platform(service: LaunchService, what: ToCheck) -> Checked:
    """Gather the certificates and judge every link. Raises BadInput, HostError, UsageError."""
    files = list(await asyncio.to_thread(read_certificates, what.paths, what.pasted))
    surroundings = await asyncio.to_thread(service.surroundings, ask_amd=what.ask_amd)
    chip_id: bytes | None = None
    if what.host:
        address = parse_host_url(what.host)
        if isinstance(address, ExchangeAddress):
            raise _no_folder()
        async with await connect_host(address) as host:
            answer = await host.platform()
        chip_id = answer.cpu_id
        files = [*read_host_certificates(answer.pdh, answer.cert_chain), *files]
    if not files:
        raise _nothing_given()
    recognised = recognise(files)
    certificates = recognised.certificates
    if chip_id is not None and certificates.chip_id is None:
        recognised = replace(recognised, certificates=replace(certificates, chip_id=chip_id))
    recognised = await _completed(recognised, surroundings.more_certificates)
    report = examine_chain(recognised.certificates, surroundings.roots)
    report = with_advisories(report.with_warnings(recognised.warnings), published_advisories())
    refusal = None if report.ok else chain_refused(report)
    return Checked(report.as_json(), refusal, is_local(what.host))


async def _completed(recognised: RecognisedChain, source: MoreCertificates) -> RecognisedChain:
    """With AMD's signed copy of the CEK, where it is known and the host's is unsigned."""
    so_far = recognised.certificates
    if so_far.cek is None or is_signed_cek(so_far.cek):
        return recognised
    found = await source(so_far.chip_id, so_far)
    if not found:
        return recognised
    unsigned = so_far.cek_from_host or so_far.cek
    return replace(
        recognised, certificates=replace(so_far, cek=found[0][1], cek_from_host=unsigned)
    )


def _nothing_given() -> UsageError:
    return UsageError(
        "nothing-to-check",
        "There is nothing to check yet",
        "Neither a host was named, nor were there any certificates.",
        "Name the host, or drop its certificate files.",
    )


def _no_folder() -> BadInput:
    return BadInput(
        "exchange-not-asked",
        "the URL of the host",
        "An exchange folder belongs to a launch, and is asked by carrying it to the operator.",
        "Drop the certificate files that the operator sent, or begin a launch.",
    )
