# SPDX-License-Identifier: Apache-2.0
"""``watchword rehearse``: a whole launch against a simulated platform, friendly or hostile."""

from __future__ import annotations

import argparse
import asyncio

from ..errors import ExitStatus
from ..rehearsal.rehearse import RehearsalOutcome, RehearsedGuest, rehearse
from ..sev.policy import approve_policy, parse_policy
from ..simulator import ATTACKS, attack_named
from .command import Parser, Subparsers, add_command
from .firmware_options import add_firmware_waiver
from .key_options import parse_build
from .launch_output import LaunchPrinter, launch_result
from .output import Console, Result
from .qemu_options import add_qemu_options, refuse_without_qemu
from .rehearsed_vcpus import add_vcpu_options, vcpus_of
from .simulated_guest import add_boot_options, approved_image, read_boot_file, read_firmware

_BANNER = (
    "SIMULATED: the platform is software under a root of its own. This shows how a launch goes;"
    " it proves nothing about any hardware."
)


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``rehearse``."""
    parser = add_command(
        subparsers,
        "rehearse",
        summary="play a whole launch against a simulated platform",
        example="watchword rehearse --attack forged-chain",
        run=_rehearse,
    )
    parser.add_argument("--attack", metavar="NAME", help="let the host lie; `list` names all ways")
    add_boot_options(parser)
    parser.add_argument("--policy", metavar="P", help="default: the default")
    parser.add_argument("--waive-policy", metavar="REASON", help="accept a weak policy")
    add_firmware_waiver(parser)
    add_vcpu_options(parser)
    parser.add_argument("--min-build", metavar="N", help="least firmware build, default 0")
    add_qemu_options(parser)


def _rehearse(arguments: argparse.Namespace, console: Console) -> Result:
    if arguments.qemu:
        return _with_qemu(arguments, console)
    if arguments.attack == "list":
        return _list_attacks()
    refuse_without_qemu(arguments)
    description = attack_named(arguments.attack).description if arguments.attack else None
    policy = parse_policy(arguments.policy or "default")
    firmware, kernel = read_firmware(arguments), read_boot_file(arguments, "kernel")
    guest = RehearsedGuest(
        firmware=firmware,
        approved_firmware=approved_image(arguments, firmware, kernel),
        kernel=kernel,
        initrd=read_boot_file(arguments, "initrd"),
        cmdline=arguments.cmdline,
        vcpus=vcpus_of(arguments, policy),
        policy=approve_policy(policy, arguments.waive_policy),
        minimum_build=parse_build(arguments.min_build or "0", "--min-build"),
    )
    console.progress(_BANNER)
    if description is not None:
        console.progress(f"The host attacks ({arguments.attack}): {description}")
    console.progress("")
    printer = LaunchPrinter(console)
    outcome = asyncio.run(rehearse(guest, printer.observe, attack=arguments.attack))
    return _result(arguments.attack, outcome)


def _with_qemu(arguments: argparse.Namespace, console: Console) -> Result:
    from .rehearse_qemu import list_guest_attacks, rehearse_qemu  # noqa: PLC0415 - not for others

    if arguments.attack == "list":
        return list_guest_attacks()
    return rehearse_qemu(arguments, console)


def _list_attacks() -> Result:
    attacks = [{"name": attack.name, "description": attack.description} for attack in ATTACKS]
    lines = [f"{attack.name:22} {attack.description}" for attack in ATTACKS]
    return Result({"attacks": attacks}, tuple(lines))


def _result(attack: str | None, outcome: RehearsalOutcome) -> Result:
    lines: list[str] = [""]
    if outcome.secret_in_guest and outcome.launch.complete:
        lines.append("The simulated guest reads the secret in its memory: the disk would unlock.")
    elif outcome.secret_in_guest:
        lines.append("The packet reached the VM that was verified; the host saw it sealed only.")
    else:
        lines.append("The secret did not leave: the guest's disk stays locked.")
    if outcome.secret_seen:
        lines.append("The host saw the secret in clear. THIS IS A FAULT OF WATCHWORD'S.")
    result = launch_result(
        outcome.launch,
        tuple(lines),
        outcome.error,
        attack=attack,
        secret_in_guest=outcome.secret_in_guest,
        secret_seen_by_host=outcome.secret_seen,
        packets=outcome.packets,
    )
    if outcome.secret_seen:
        return Result(result.payload, result.lines, ExitStatus.UNEXPECTED)
    return result
