# SPDX-License-Identifier: Apache-2.0
"""``watchword rehearse``: a whole launch against a simulated platform, friendly or hostile."""

from __future__ import annotations

import argparse
import asyncio

from ..errors import ExitStatus, UsageError
from ..rehearsal.rehearse import RehearsalOutcome, RehearsedGuest, rehearse
from ..sev.cpu_models import parse_cpu
from ..sev.digest import VcpuSetup
from ..sev.policy import DEFAULT_POLICY, Policy, approve_policy, parse_policy
from ..sev.vmsa import VmsaGeneration
from ..simulator import ATTACKS, attack_named
from .command import Parser, Subparsers, add_command, whole_number
from .key_options import parse_build
from .launch_output import LaunchPrinter, launch_result
from .output import Console, Result
from .simulated_guest import add_boot_options, read_boot_file, read_firmware

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
    parser.add_argument("--policy", metavar="P", default="default", help="default: the default")
    parser.add_argument("--waive-policy", metavar="REASON", help="accept a weak policy")
    parser.add_argument(
        "--vcpus", type=whole_number, metavar="N", help="number of vCPUs, default 2"
    )
    parser.add_argument("--cpu", metavar="MODEL", default="EPYC-Milan", help="QEMU CPU model")
    parser.add_argument("--vmsa", metavar="GENERATION", default="legacy", help="legacy or init2")
    parser.add_argument("--min-build", metavar="N", default="0", help="least firmware build")


def _rehearse(arguments: argparse.Namespace, console: Console) -> Result:
    if arguments.attack == "list":
        return _list_attacks()
    description = attack_named(arguments.attack).description if arguments.attack else None
    policy = parse_policy(arguments.policy)
    guest = RehearsedGuest(
        firmware=read_firmware(arguments),
        kernel=read_boot_file(arguments, "kernel"),
        initrd=read_boot_file(arguments, "initrd"),
        cmdline=arguments.cmdline,
        vcpus=_vcpus(arguments, policy),
        policy=approve_policy(policy, arguments.waive_policy),
        minimum_build=parse_build(arguments.min_build, "--min-build"),
    )
    console.progress(_BANNER)
    if description is not None:
        console.progress(f"The host attacks ({arguments.attack}): {description}")
    console.progress("")
    printer = LaunchPrinter(console)
    outcome = asyncio.run(rehearse(guest, printer.observe, attack=arguments.attack))
    return _result(arguments.attack, outcome)


def _vcpus(arguments: argparse.Namespace, policy: Policy) -> VcpuSetup | None:
    if not policy.needs_es:
        if arguments.vcpus is not None:
            raise UsageError(
                "vcpus-without-es",
                "vCPUs are given, but the policy has no ES bit",
                "Under plain SEV the vCPUs are not measured.",
                f"Leave --vcpus out, or use a policy with ES, such as 0x{DEFAULT_POLICY.value:x}.",
            )
        return None
    count = 2 if arguments.vcpus is None else arguments.vcpus
    return VcpuSetup(count, parse_cpu(arguments.cpu), VmsaGeneration.parse(arguments.vmsa))


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
