# SPDX-License-Identifier: Apache-2.0
"""``watchword measurement``: compute a launch measurement, or verify a reported one."""

from __future__ import annotations

import argparse

from ..errors import VerificationRefused
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
    load_expectation,
    load_reported,
)
from .output import Console, Result, grouped


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
        add_version_options(parser)
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
    payload: dict[str, object] = {
        "measurement": value.hex(),
        "nonce": nonce.hex(),
        "blob": reported.as_base64(),
        "launch_digest": digest.hex(),
    }
    lines = (
        f"launch digest  {grouped(digest.hex())}",
        f"measurement    {grouped(value.hex())}",
        f"as reported    {reported.as_base64()}",
    )
    return Result(payload, lines)


def _verify(arguments: argparse.Namespace, console: Console) -> Result:
    version, policy = load_version(arguments), load_policy(arguments)
    reported = load_reported(arguments)
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
    warnings = [finding.text for finding in policy.findings()]
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
