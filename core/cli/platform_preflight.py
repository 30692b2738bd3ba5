# SPDX-License-Identifier: Apache-2.0
"""``watchword platform preflight``: what a host shows of itself, judged before a launch."""

from __future__ import annotations

import argparse
import asyncio
import base64
from collections.abc import Sequence

from ..amd.advisories import published_advisories
from ..amd.roots import amd_roots
from ..errors import BadInput, ExitStatus, UsageError
from ..guest.store import ProfileStore, profiles_folder
from ..hosts.urls import ExchangeAddress, parse_host_url
from ..launch.preflight import Expectations, Finding, Preflight, Standing, look_over
from ..launch.sev_plan import CertificateFile, MoreCertificates
from ..launch.store import LaunchStore, no_such_launch
from ..launch.surroundings import connector
from ..records.database import Records, records_folder
from ..sev.chain import PlatformCertificates
from ..vault.launch_keys import check_launch_id
from .cek_options import cek_source
from .output import Console, Result
from .platform_options import load_trusted_roots, read_certificate_files

_MARKS = {
    Standing.GOOD: "ok     ",
    Standing.WARNING: "WARNING",
    Standing.PROBLEM: "PROBLEM",
    Standing.UNKNOWN: "?      ",
}


def preflight(arguments: argparse.Namespace, console: Console) -> Result:
    """Run the command; exit 4 where a launch would fail."""
    expected = Expectations(
        amd_roots(),
        published_advisories(),
        _more_certificates(arguments, console),
        None if arguments.launch is None else _session_pdh(arguments.launch),
        () if arguments.guest is None else _pins(arguments.guest),
        load_trusted_roots(arguments),
    )
    found = asyncio.run(_look(arguments.host, expected))
    lines = [line for finding in found.findings for line in _describe(finding)]
    lines += ["", "All of this is what the host shows; only a launch verifies it."]
    status = ExitStatus.OK if found.hopeful else ExitStatus.HOST
    return Result(found.as_json(), tuple(lines), status)


def _more_certificates(arguments: argparse.Namespace, console: Console) -> MoreCertificates:
    """AMD's copy of the CEK: the one that is given, or what cache and key service have."""
    if arguments.cek is None:
        source = cek_source(arguments, console, online=arguments.fetch_cek)
        return source.more_certificates
    given = read_certificate_files([arguments.cek], "--cek")

    async def from_file(
        chip_id: bytes | None, so_far: PlatformCertificates
    ) -> Sequence[CertificateFile]:
        del chip_id, so_far
        return given

    return from_file


async def _look(url: str, expected: Expectations) -> Preflight:
    if isinstance(parse_host_url(url), ExchangeAddress):
        raise UsageError(
            "host-not-by-qmp",
            "This needs a connection to the host",
            f"{url} is a folder that is carried by hand; nobody answers there at once.",
            "Check what the operator sends: `watchword platform verify FILE…`.",
        )
    host = await connector()(url, "preflight")
    async with host:
        return await look_over(host, expected)


def _describe(finding: Finding) -> list[str]:
    lines = [f"{_MARKS[finding.standing]}  {finding.sentence}"]
    return [*lines, f"         {finding.remedy}"] if finding.remedy else lines


def _session_pdh(launch_id: str) -> bytes:
    """The PDH that a launch was prepared for. Raises UsageError and BadInput."""
    if not Records.exists(records_folder()):
        raise no_such_launch(check_launch_id(launch_id))
    with Records.open(records_folder()) as records:
        launch = LaunchStore(records).load(launch_id).record.launch()
    fact = launch.facts.get("platform")
    certificates = {} if fact is None else fact.record.get("certificates")
    pdh = certificates.get("pdh") if isinstance(certificates, dict) else None
    if not isinstance(pdh, str):
        raise BadInput(
            "launch-not-prepared",
            "--launch",
            f"Launch {launch_id} has no verified platform yet.",
            "Leave --launch out, or name a launch that is prepared.",
        )
    return base64.b64decode(pdh)


def _pins(name: str) -> tuple[str, ...]:
    return tuple(cek.sha256 for cek in ProfileStore(profiles_folder()).load(name).profile.ceks)
