# SPDX-License-Identifier: Apache-2.0
"""``watchword platform``: verify a platform's certificate chain, export it, complete it."""

from __future__ import annotations

import argparse

from ..amd.advisories import published_advisories
from ..amd.roots import amd_roots
from ..errors import ExitStatus
from ..sev.chain import ChainReport, Link, Role, Root, Verdict, examine_chain
from ..sev.platform import chain_refused, with_advisories
from .command import HOST_HELP, Parser, Subparsers, add_command, add_group
from .output import Console, Result, grouped
from .peer_output import add_form_option
from .platform_options import (
    add_cek_options,
    add_key_service_option,
    add_trust_options,
    load_cek_pins,
    load_oca_pin,
    load_trusted_roots,
    recognise_platform,
)

_MARKS = {
    Verdict.OK: "ok     ",
    Verdict.FAILED: "FAILED ",
    Verdict.MISSING: "MISSING",
    Verdict.SKIPPED: "skipped",
}
_DEPTHS = {Role.ARK: 0, Role.ASK: 1, Role.CEK: 2, Role.OCA: 2, Role.PEK: 3, Role.PDH: 4}


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``platform verify``, ``export``, ``fetch-cek``, ``preflight`` and ``guests``."""
    group = add_group(subparsers, "platform", "verify or export a platform's certificate chain")
    verify = add_command(
        group,
        "verify",
        summary="verify a platform's certificates up to AMD's root, with a verdict for each link",
        example="watchword platform verify pdh.cert cert_chain.cert cek.cert",
        run=_verify,
    )
    verify.add_argument("files", nargs="+", metavar="FILE", help="certificates in any layout")
    add_trust_options(verify)
    add_cek_options(verify)
    export = add_command(
        group,
        "export",
        summary="save what a host says are its certificates",
        example="watchword platform export --host qmp+unix:///run/vm1.sock --out host1.json",
        run=_export,
    )
    export.add_argument("--host", metavar="URL", required=True, help=HOST_HELP)
    export.add_argument(
        "--out",
        metavar="FILE",
        required=True,
        help="PDH|PEK|OCA|CEK in binary; with the ending .json also the chip id; with --form a"
        " folder",
    )
    add_form_option(export, "the certificates")
    fetch = add_command(
        group,
        "fetch-cek",
        summary="get AMD's signed copy of a chip's CEK, from the cache or AMD's key service",
        example="watchword platform fetch-cek --host qmp+unix:///run/vm1.sock --out cek.cert",
        run=_fetch_cek,
    )
    which = fetch.add_mutually_exclusive_group(required=True)
    which.add_argument("--chip-id", metavar="HEX", help="the chip's id: 128 hex digits, or base64")
    which.add_argument("--host", metavar="URL", help="ask this host for chip id and CEK")
    add_key_service_option(fetch)
    fetch.add_argument("--offline", action="store_true", help="look into the cache only")
    fetch.add_argument("--out", metavar="FILE", help="where to write the 2084 bytes")
    preflight = add_command(
        group,
        "preflight",
        summary="look a host over before a launch: what it shows, and what would go wrong on it",
        example="watchword platform preflight --host qmp+unix:///run/vm1.sock --launch ID",
        run=_preflight,
    )
    preflight.add_argument("--host", metavar="URL", required=True, help="as `launch prepare` takes")
    preflight.add_argument(
        "--launch", metavar="ID", help="a prepared launch: is its blob still for this PDH?"
    )
    preflight.add_argument("--guest", metavar="NAME", help="a profile: does it allow this machine?")
    preflight.add_argument(
        "--trust-root",
        metavar="FILE",
        action="append",
        default=[],
        help="an ARK that is not AMD's and is to be trusted all the same",
    )
    add_cek_options(preflight)
    guests = add_command(
        group,
        "guests",
        summary="list the VMs that a host's libvirt knows, started or not",
        example="watchword platform guests --host libvirt+qemu+ssh://user@host/system",
        run=_guests,
    )
    guests.add_argument("--host", metavar="URL", required=True, help="libvirt+…: docs/hosts.md")


def _verify(arguments: argparse.Namespace, console: Console) -> Result:
    recognised = recognise_platform(arguments, console)
    report = examine_chain(
        recognised.certificates,
        amd_roots(),
        trusted_roots=load_trusted_roots(arguments),
        oca_pin=load_oca_pin(arguments),
        cek_pins=load_cek_pins(arguments),
    )
    report = with_advisories(report.with_warnings(recognised.warnings), published_advisories())
    lines = describe_chain(report)
    if report.ok:
        return Result(report.as_json(), lines)
    return Result(report.as_json(), lines, ExitStatus.REFUSED, chain_refused(report))


def describe_chain(report: ChainReport) -> tuple[str, ...]:
    """The chain as an indented tree with a verdict for each link."""
    lines = [_describe_link(link) for link in report.links]
    lines.append("")
    if report.ok and report.root is Root.AMD:
        lines.append(f"The chain holds, up to AMD's {report.generation} root.")
    elif report.ok:
        lines.append("The chain holds, up to a root that is NOT AMD's and that you trusted.")
    for name, value in (("PDH", report.pdh_sha256), ("CEK", report.cek_sha256)):
        if value is not None:
            lines.append(f"{name} fingerprint  {grouped(value)}")
    if report.chip_id is not None:
        lines.append(f"chip id, as the host says  {report.chip_id}")
    lines += [f"warning: {warning}" for warning in report.warnings]
    return tuple(lines)


def _describe_link(link: Link) -> str:
    own = link.certificate is link.signed_by
    signer = "itself" if own else link.signed_by.name
    place = "  " * _DEPTHS[link.certificate] + link.certificate.name
    return f"{_MARKS[link.verdict]}  {place.ljust(12)} under {signer.ljust(6)}  {link.reason}"


def _export(arguments: argparse.Namespace, console: Console) -> Result:
    from .platform_host import export  # noqa: PLC0415 - talks to a host

    return export(arguments, console)


def _fetch_cek(arguments: argparse.Namespace, console: Console) -> Result:
    from .platform_fetch import fetch_cek  # noqa: PLC0415 - talks to the key service

    return fetch_cek(arguments, console)


def _preflight(arguments: argparse.Namespace, console: Console) -> Result:
    from .platform_preflight import preflight  # noqa: PLC0415 - talks to a host

    return preflight(arguments, console)


def _guests(arguments: argparse.Namespace, console: Console) -> Result:
    from .platform_guests import guests  # noqa: PLC0415 - talks to a host

    return guests(arguments, console)
