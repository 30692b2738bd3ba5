# SPDX-License-Identifier: Apache-2.0
"""``watchword attest``: measure, verify, inject and resume a VM that waits for its secret."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Mapping

from ..amd.advisories import published_advisories
from ..amd.roots import amd_roots
from ..errors import UsageError, WatchwordError
from ..hosts.connect import connect_host
from ..hosts.urls import HostAddress, parse_host_url
from ..launch.engine import Launch
from ..launch.sev_plan import SevPlan, SevWorld
from ..launch.sev_steps import ATTEST_STEPS, SevLaunch, trust
from ..launch.worlds import opener
from ..sev.digest import DigestComponent, LaunchDigest
from ..sev.firmware_approval import ApprovedFirmware
from ..sev.policy import approve_policy
from .command import HOST_HELP, Parser, Subparsers, add_command
from .explain import approved_contents, read_other_firmware
from .firmware_options import add_firmware_waiver, approve_named_firmware
from .host_notes import note_host_warnings
from .key_options import (
    add_policy_option,
    add_requirement_options,
    add_tik_options,
    load_keys,
    load_policy,
    load_requirements,
)
from .launch_output import LaunchPrinter, launch_result
from .measurement_options import Expectation, add_expectation_options, load_expectation
from .output import Console, Result
from .platform_options import (
    add_platform_files,
    completed_files,
    load_cek_pins,
    load_oca_pin,
    load_trusted_roots,
    refuse_trust_without_platform,
)
from .secret_options import add_secret_options, chosen_route, load_secret_orders

_MAY_HAVE_ARRIVED = (
    "The packet was sealed, and may have reached the VM. Do not seal another with these keys:"
    " have the VM started anew, with a new launch blob."
)


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``attest``."""
    parser = add_command(
        subparsers,
        "attest",
        summary="read a paused VM's measurement, verify it, inject the secret and let it run",
        example="watchword attest --host qmp+unix:///run/vm1.sock --tk tmp_tk.bin"
        " --policy default --firmware OVMF.fd --vcpus 2 --cpu EPYC-Milan"
        " --secret disk-passphrase=passphrase",
        run=_attest,
    )
    parser.add_argument("--host", metavar="URL", required=True, help=HOST_HELP)
    add_tik_options(parser, with_tek=True)
    add_policy_option(parser, waivable=True)
    add_firmware_waiver(parser)
    add_requirement_options(parser)
    add_expectation_options(parser)
    add_secret_options(parser, required=False)
    add_platform_files(parser)
    parser.add_argument(
        "--no-inject", action="store_true", help="stop after the verdict; send nothing"
    )


def _attest(arguments: argparse.Namespace, console: Console) -> Result:
    address = parse_host_url(arguments.host)
    plan = _plan(arguments, console)
    if not plan.secrets and not arguments.no_inject:
        raise UsageError(
            "no-secret",
            "There is no secret to inject",
            "A VM that is resumed can't take one afterwards.",
            "Add --secret NAME=FILE, or --no-inject to stop after the verdict.",
        )
    note_host_warnings(address, console)
    return asyncio.run(_drive(arguments, console, plan, address))


def _plan(arguments: argparse.Namespace, console: Console) -> SevPlan:
    refuse_trust_without_platform(arguments)
    policy = approve_policy(load_policy(arguments), arguments.waive_policy)
    expectation = load_expectation(arguments, policy.policy)
    secrets = () if arguments.no_inject else load_secret_orders(arguments)
    # Without a secret there is nothing to keep from a host.
    firmware = ApprovedFirmware()
    if secrets:
        firmware = approve_named_firmware(arguments, expectation)
    return SevPlan(
        digests=(_digest_of(expectation),),
        secret_area=expectation.require_secret_area() if secrets else None,
        policy=policy,
        firmware=firmware,
        requirements=load_requirements(arguments, policy.policy),
        secrets=secrets,
        route=chosen_route(arguments, direct_boot=expectation.direct_boot),
        ask_host=False,
        certificate_files=completed_files(arguments, console),
        trusted_roots=load_trusted_roots(arguments),
        oca_pin=load_oca_pin(arguments),
        cek_pins=load_cek_pins(arguments),
        adopted_keys=load_keys(arguments),
        approved=(approved_contents(expectation),),
        other_firmware=lambda: read_other_firmware(arguments),
    )


def _digest_of(expectation: Expectation) -> LaunchDigest:
    if expectation.loaded is not None:
        return expectation.loaded.digest
    given = DigestComponent("launch-digest", "given as a hash", None, expectation.digest)
    return LaunchDigest(expectation.digest, (given,))


async def _drive(
    arguments: argparse.Namespace, console: Console, plan: SevPlan, address: HostAddress
) -> Result:
    open_host = opener(lambda: connect_host(address))
    world = SevWorld(
        open_platform=open_host,
        open_guest=open_host,
        random=os.urandom,
        roots=amd_roots(),
        advisories=published_advisories(),
    )
    launch = _new_launch(plan, address.url)
    driver = SevLaunch(launch, plan, world, LaunchPrinter(console).observe)
    error: WatchwordError | None = None
    try:
        await driver.run(until="measurement" if arguments.no_inject else None)
    except WatchwordError as problem:
        error = problem
    except asyncio.CancelledError:
        if driver.packet is not None and "run" not in driver.launch.facts:
            console.note(_MAY_HAVE_ARRIVED)
        raise
    finally:
        driver.close()
    return _result(driver.launch, error, _injected(driver, error))


def _injected(driver: SevLaunch, error: WatchwordError | None) -> bool | None:
    """Whether the host took the packet: None where that is not known."""
    if "secret" in driver.launch.facts:
        return True
    lost = error is not None and error.details.get("packet_arrived") == "unknown"
    return None if lost else False


def _new_launch(plan: SevPlan, url: str) -> Launch:
    launch = Launch("attest", "sev", ATTEST_STEPS)
    answers: Mapping[str, object] = {
        "contents": [digest.value.hex() for digest in plan.digests],
        "policy": plan.policy.policy.value,
        "certificates": [name for name, _ in plan.certificate_files],
        "secrets": [str(order.guid) for order in plan.secrets],
        "host": url,
    }
    for name, value in answers.items():
        launch = launch.answer(name, value)
    return launch


def _result(launch: Launch, error: WatchwordError | None, injected: bool | None) -> Result:
    if error is not None:
        lines: tuple[str, ...] = ()
    elif injected:
        lines = ("The secret was handed over, and the VM was let run.",)
    else:
        lines = ("The measurement matches. Nothing was sent.",)
    measured = launch.facts.get("measurement")
    return launch_result(
        launch,
        lines,
        error,
        platform=trust(launch) or "not-checked-here",
        policy=launch.answers["policy"],
        measurement=None if measured is None else measured.record["measurement"],
        launch_digest=None if measured is None else measured.record["launch_digest"],
        firmware=None if measured is None else measured.record["firmware"],
        injected=injected,
    )
