# SPDX-License-Identifier: Apache-2.0
"""``watchword report``: verify the attestation report of a running guest."""

from __future__ import annotations

import argparse

from ..errors import UsageError
from ..files import read_base64_or_raw, read_file
from ..sev.attestation_report import AttestationReport, verify_report
from ..sev.certificates import SevCertificate
from ..sev.measurement_files import LARGEST_ANSWER, REPORT_SIZE, read_told
from ..sev.policy import parse_policy
from .command import Parser, Subparsers, add_command, add_group
from .hex_text import parse_hex, parse_nonce
from .output import Console, Result, grouped
from .platform_options import add_platform_files, load_platform


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``report verify``."""
    group = add_group(subparsers, "report", "verify attestation reports of running guests")
    parser = add_command(
        group,
        "verify",
        summary="verify a report that the platform's PEK signed for a nonce of yours",
        example="watchword report verify report.bin --platform chain.cert --nonce HEX",
        run=_verify,
    )
    parser.add_argument("file", metavar="FILE", help="208 bytes, their base64, or QMP's answer")
    add_platform_files(parser)
    parser.add_argument("--nonce", metavar="HEX", required=True, help="the nonce you asked with")
    parser.add_argument("--launch-digest", metavar="HEX", help="what must have been loaded")
    parser.add_argument("--policy", metavar="P", help="the policy that the guest must run under")


def _read_report(path: str) -> bytes:
    """The report's bytes from a file in any form; how many there are is judged elsewhere."""
    content = read_file(path, "FILE", LARGEST_ANSWER)
    if content.lstrip().startswith(b"{"):
        told = read_told(content, "FILE")
        if told.report is not None:
            return told.report
    return read_base64_or_raw(path, "FILE", (REPORT_SIZE,))


def _verify(arguments: argparse.Namespace, console: Console) -> Result:
    nonce = parse_nonce(arguments.nonce, "--nonce")
    digest, policy = arguments.launch_digest, arguments.policy
    expected = None if digest is None else parse_hex(digest, "--launch-digest", 32)
    value = None if policy is None else parse_policy(policy).value
    report = AttestationReport.parse(_read_report(arguments.file), "FILE")
    named = load_platform(arguments, console)
    if named is None:
        raise UsageError(
            "no-platform",
            "The platform's certificates are missing",
            "A report says nothing until it is known whose key signed it.",
            "Give --platform FILE, the platform's chain.",
        )
    platform = named.platform
    # The very bytes that were verified: the file may be another one by now.
    pek = SevCertificate.parse(named.certificates.pek or b"", "PEK")
    verified = verify_report(report, pek, nonce, launch_digest=expected, policy=value)
    warnings = [*named.warnings, *verified.warnings]
    for warning in warnings:
        console.note(f"warning: {warning}")
    payload: dict[str, object] = {
        "platform": platform.name,
        "root": platform.report.root.value,
        "launch_digest": report.launch_digest.hex(),
        "policy": report.policy,
        "nonce": report.nonce.hex(),
        "checked": {"launch_digest": expected is not None, "policy": value is not None},
        "warnings": warnings,
    }
    lines = (
        f"The platform's PEK signed this report for your nonce (platform: {platform.name}).",
        f"launch digest  {grouped(report.launch_digest.hex())}",
        f"policy         0x{report.policy:x}",
    )
    return Result(payload, lines)
