# SPDX-License-Identifier: Apache-2.0
"""``watchword secret``: verify a measurement, then seal secrets for that very VM."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ExitStatus, UsageError, VerificationRefused
from ..launch.sev_plan import PreparedSecrets, SecretOrder, prepare_secrets
from ..sev.measurement import VerifiedMeasurement, verify_measurement
from ..sev.policy import approve_policy
from ..sev.secret_packet import HEADER_SIZE, SecretPacket, check_platform, seal
from ..sev.secret_table import Route
from ..sev.session import KEY_SIZE, LaunchSession, adopt_session
from .command import Parser, Subparsers, add_command, add_group
from .explain import explain
from .firmware_options import add_firmware_waiver, approve_named_firmware
from .key_options import (
    add_policy_option,
    add_requirement_options,
    add_tik_options,
    add_version_options,
    load_keys,
    load_policy,
    load_requirements,
)
from .launch_output import describe_secret
from .measurement_options import (
    Expectation,
    add_expectation_options,
    add_reported_option,
    load_claims,
    load_expectation,
)
from .new_files import NewFile, refuse_existing, write_new_files
from .output import Console, Result, table
from .peer_output import add_form_option, in_form, write_in_form
from .platform_options import add_platform_files, load_platform
from .secret_options import add_secret_options, chosen_route, load_secret_orders

if TYPE_CHECKING:
    from ..sev.peer_forms import OutputFile

_NAME = "packet"
_PACKET_FILES = ("header.b64", "payload.b64", "header.bin", "payload.bin")


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``secret seal``."""
    group = add_group(subparsers, "secret", "seal secrets for a VM that was measured")
    parser = add_command(
        group,
        "seal",
        summary="verify a measurement, then write the packet with the secrets for that VM",
        example="watchword secret seal --tek vm1_tek.bin --tik vm1_tik.bin --api 1.49 --build 6"
        " --policy default --reported B64 --firmware OVMF.fd --vcpus 2 --cpu EPYC-Milan"
        " --secret disk-passphrase=passphrase --out packet",
        run=_seal,
    )
    add_tik_options(parser, with_tek=True)
    add_version_options(parser, told_by_file=True)
    add_policy_option(parser, waivable=True)
    add_firmware_waiver(parser)
    add_reported_option(parser)
    add_requirement_options(parser)
    add_expectation_options(parser)
    add_secret_options(parser, required=False)
    add_platform_files(parser)
    parser.add_argument("--out", metavar="DIR", required=True, help="for the packet's files")
    add_form_option(parser, "header and payload")


def _seal(arguments: argparse.Namespace, console: Console) -> Result:
    planned = _PACKET_FILES if arguments.form is None else _names_in_form(arguments.form)
    refuse_existing(
        [Path(arguments.out) / name for name in planned],
        "--out",
        "Send that packet again, byte for byte; for a new launch name another folder.",
    )
    orders = _orders(arguments)
    raw = load_policy(arguments)
    policy = approve_policy(raw, arguments.waive_policy)
    expectation = load_expectation(arguments, raw)
    expectation.require_secret_area()  # said early: before anything is verified
    firmware = approve_named_firmware(arguments, expectation)
    version, reported, odd = load_claims(arguments, raw)
    requirements, named = load_requirements(arguments, raw), load_platform(arguments, console)
    platform = None if named is None else named.platform
    keys = load_keys(arguments)
    session = adopt_session(keys.tek, keys.tik, policy, platform)
    try:
        try:
            verified = verify_measurement(
                session, reported, version, [expectation.digest], requirements
            )
        except VerificationRefused as refusal:
            explain(refusal, arguments, expectation, (reported, version, raw), (keys.tek, keys.tik))
            raise
        route = chosen_route(arguments, direct_boot=expectation.direct_boot)
        prepared = prepare_secrets(orders, route)
        packet = _seal_verified(verified, prepared, expectation)
    finally:
        session.abandon()
    files = _write_packet(arguments, packet)
    warnings = [*odd, *(() if named is None else named.warnings)]
    warnings += [*(finding.text for finding in raw.findings()), *firmware.warnings]
    for warning in warnings:
        console.note(f"warning: {warning}")
    waived = {"policy": policy.waiver, "firmware": firmware.waiver}
    result = _result(session, expectation, (route, prepared), files, waived)
    return replace(result, payload={**result.payload, "warnings": warnings})


def _orders(arguments: argparse.Namespace) -> tuple[SecretOrder, ...]:
    orders = load_secret_orders(arguments)
    if orders:
        return orders
    raise UsageError(
        "no-secret",
        "There is no secret to seal",
        "A packet without secrets is of no use to a guest.",
        "Add --secret NAME=FILE.",
    )


def _seal_verified(
    verified: VerifiedMeasurement, prepared: PreparedSecrets, expectation: Expectation
) -> SecretPacket:
    try:
        check_platform(verified, prepared.entries)
        area = expectation.require_secret_area()
        return seal(verified, prepared.entries, os.urandom(KEY_SIZE), area)
    finally:
        for entry in prepared.entries:
            entry.data.wipe()


def _names_in_form(form: str) -> tuple[str, ...]:
    """The names that the packet's files will have, said before anything is sealed."""
    return tuple(output.name for output in _in_form(form, bytes(HEADER_SIZE), bytes(16)))


def _in_form(form: str, header: bytes, payload: bytes) -> tuple[OutputFile, ...]:
    from ..sev.chain import PlatformCertificates  # noqa: PLC0415 - for --form alone
    from ..sev.peer_files import LaunchFiles  # noqa: PLC0415 - as above

    return in_form(form, LaunchFiles(PlatformCertificates(), header=header, payload=payload), _NAME)


def _write_packet(arguments: argparse.Namespace, packet: SecretPacket) -> dict[str, str]:
    folder = Path(arguments.out)
    if arguments.form is not None:
        outputs = _in_form(arguments.form, packet.header, packet.ciphertext)
        return write_in_form(outputs, {False: (folder, "--out")})
    contents = (
        packet.header_base64.encode(),
        packet.ciphertext_base64.encode(),
        packet.header,
        packet.ciphertext,
    )
    named = zip(_PACKET_FILES, contents, strict=True)
    write_new_files([NewFile(folder / name, data, "--out") for name, data in named])
    return {name: str(folder / name) for name in _PACKET_FILES}


def _result(
    session: LaunchSession,
    expectation: Expectation,
    sealed: tuple[Route, PreparedSecrets],
    files: dict[str, str],
    waived: Mapping[str, str | None],
) -> Result:
    platform = session.platform
    route, prepared = sealed
    waivers = {what: reason for what, reason in waived.items() if reason is not None}
    payload: dict[str, object] = {
        "verdict": "matches",
        "platform": platform.name if platform is not None else "not-checked-here",
        "policy": session.policy.policy.value,
        "launch_digest": expectation.digest.hex(),
        "route": route.value,
        "secrets": list(prepared.notes),
        "files": files,
        "waivers": waivers,
    }
    lines = [
        "The measurement matches; the secrets are sealed for this VM alone.",
        f"Platform: {payload['platform']}; whether the keys were made for it can't be seen.",
        *table(files.items()),
        *(f"  {describe_secret(note)}" for note in prepared.notes),
    ]
    lines += [f"WAIVED {what}: {reason}" for what, reason in waivers.items()]
    return Result(payload, tuple(lines), ExitStatus.WAIVED if waivers else ExitStatus.OK)
