# SPDX-License-Identifier: Apache-2.0
"""``watchword measurement``: compute a launch measurement, or verify a reported one."""

from __future__ import annotations

import argparse

from ..errors import UsageError, VerificationRefused
from ..sev.firmware_version import FirmwareVersion
from ..sev.measurement import (
    ReportedMeasurement,
    check_measurement,
    compute_measurement,
    compute_measurement_before_api_0_17,
)
from ..sev.policy import OLDEST_SAFE_API
from .command import Parser, Subparsers, add_command, add_group
from .hex_text import parse_nonce
from .key_options import (
    add_policy_option,
    add_requirement_options,
    add_tik_options,
    add_version_options,
    load_policy,
    load_requirements,
    load_tek_and_tik,
    load_tik,
    load_version,
)
from .measurement_options import (
    add_expectation_options,
    add_reported_option,
    load_claims,
    load_expectation,
)
from .output import Console, Result, grouped, table
from .peer_output import add_form_option, in_form, write_in_form


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``measurement compute`` and ``measurement verify``."""
    group = add_group(subparsers, "measurement", "compute or verify a launch measurement")
    compute = add_command(
        group,
        "compute",
        summary="compute the measurement that a secure processor would report",
        example="watchword measurement compute --tik vm1_tik.bin --api 1.49 --build 6"
        " --policy default --nonce HEX --firmware OVMF.fd --vcpus 2 --cpu EPYC-Milan",
        run=_compute,
    )
    compute.add_argument("--nonce", metavar="HEX", required=True, help="mnonce, 16 bytes")
    add_form_option(compute, "the measurement")
    compute.add_argument("--out", metavar="DIR", help="where to write it")
    verify = add_command(
        group,
        "verify",
        summary="verify a measurement that a host reported",
        example="watchword measurement verify --tik vm1_tik.bin --api 1.49 --build 6"
        " --policy default --reported B64 --firmware OVMF.fd --vcpus 2 --cpu EPYC-Milan",
        run=_verify,
    )
    add_reported_option(verify)
    add_requirement_options(verify)
    for parser in (compute, verify):
        add_tik_options(parser, with_tek=False)
        add_version_options(parser, told_by_file=parser is verify)
        add_policy_option(parser, waivable=False)
        add_expectation_options(parser)


def _compute(arguments: argparse.Namespace, console: Console) -> Result:
    version, policy = load_version(arguments), load_policy(arguments)
    nonce = parse_nonce(arguments.nonce, "--nonce")
    digest = load_expectation(arguments, policy).digest
    tik = load_tik(arguments)
    if version.api < OLDEST_SAFE_API:
        console.note("warning: firmware before API 0.17 is never given a secret.")
        value = compute_measurement_before_api_0_17(tik, policy.value, digest, nonce)
    else:
        value = compute_measurement(tik, version, policy.value, digest, nonce)
    tik.wipe()
    reported = ReportedMeasurement(value, nonce)
    files = _write_measurement(arguments, reported, version, policy.value)
    payload: dict[str, object] = {
        "measurement": value.hex(),
        "nonce": nonce.hex(),
        "blob": reported.as_base64(),
        "launch_digest": digest.hex(),
        **({"files": files} if files else {}),
    }
    lines = (
        f"launch digest  {grouped(digest.hex())}",
        f"measurement    {grouped(value.hex())}",
        f"as reported    {reported.as_base64()}",
        *table(files.items()),
    )
    return Result(payload, lines)


def _write_measurement(
    arguments: argparse.Namespace,
    reported: ReportedMeasurement,
    version: FirmwareVersion,
    policy: int,
) -> dict[str, str]:
    """The files that ``--form`` asks for; none without it."""
    if (arguments.form is None) != (arguments.out is None):
        raise UsageError(
            "form-without-folder",
            "--form and --out belong together",
            "One says whose files are written, the other where to.",
            "Give both, or leave both out.",
        )
    if arguments.form is None:
        return {}
    from pathlib import Path  # noqa: PLC0415 - for --form alone

    from ..sev.chain import PlatformCertificates  # noqa: PLC0415 - as above
    from ..sev.measurement_files import ToldMeasurement  # noqa: PLC0415 - as above
    from ..sev.peer_files import LaunchFiles  # noqa: PLC0415 - as above

    told = ToldMeasurement(reported.build(), version, policy, None)
    outputs = in_form(arguments.form, LaunchFiles(PlatformCertificates(), told=told), "vm")
    return write_in_form(outputs, {False: (Path(arguments.out), "--out")})


def _verify(arguments: argparse.Namespace, console: Console) -> Result:
    policy = load_policy(arguments)
    version, reported, odd = load_claims(arguments, policy)
    expectation = load_expectation(arguments, policy)
    digest = expectation.digest
    requirements = load_requirements(arguments, policy)
    tek, tik = load_tek_and_tik(arguments)
    try:
        check_measurement(
            tik, policy, reported, version, approved=[digest], requirements=requirements
        )
    except VerificationRefused as refusal:
        from .explain import explain  # noqa: PLC0415 - only where there is something to explain

        explain(refusal, arguments, expectation, (reported, version, policy), (tek, tik))
        raise
    finally:
        for key in filter(None, (tek, tik)):
            key.wipe()
    warnings = [*odd, *(finding.text for finding in policy.findings())]
    for warning in warnings:
        console.note(f"warning: {warning}")
    payload: dict[str, object] = {
        "verdict": "matches",
        "measurement": reported.measurement.hex(),
        "nonce": reported.nonce.hex(),
        "launch_digest": digest.hex(),
        "policy": policy.value,
        "firmware": str(version),
        "warnings": warnings,
    }
    lines = ("The measurement matches.", f"launch digest  {grouped(digest.hex())}")
    return Result(payload, lines)
