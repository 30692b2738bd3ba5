# SPDX-License-Identifier: Apache-2.0
"""``watchword launch prepare``: verify a platform, and make what one launch needs there."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..errors import BadInput, UsageError, WatchwordError
from ..guest.store import ProfileStore, profiles_folder
from ..hosts.urls import ExchangeAddress, parse_host_url
from ..launch.desk import LaunchDesk
from ..launch.launch_run import LaunchRun
from ..launch.orders import LaunchOrder
from .command import HOST_HELP, Parser, Subparsers, add_command
from .desk_options import add_desk_options, opened_desk
from .hex_text import parse_hex
from .host_notes import note_host_warnings
from .launch_files import not_given, refuse_taken_folder, write_host_files
from .launch_next import acceptance_lines, going_on_lines, interrupted
from .launch_output import LaunchPrinter, launch_result
from .output import Console, Result, table
from .pasteable import pasteable
from .platform_options import load_trusted_roots, read_certificate_files

_STARTING: Final = ("libvirt+", "kubevirt:")
"""Hosts that start the VM themselves when they are asked to."""


def declare_prepare(group: Subparsers[Parser]) -> None:
    """Add ``launch prepare``."""
    parser = add_command(
        group,
        "prepare",
        summary="verify a platform and make the launch blob for one launch on it",
        example="watchword launch prepare vm1 --host qmp+unix:///run/host.sock --out vm1-start",
        run=_prepare,
    )
    parser.add_argument("guest", metavar="GUEST", help="the guest profile")
    parser.add_argument("--host", metavar="URL", help=f"{HOST_HELP}, or exchange:///FOLDER")
    parser.add_argument(
        "--platform",
        metavar="FILE",
        nargs="+",
        default=[],
        help="the platform's certificates, instead of asking the host for them",
    )
    parser.add_argument("--cek", metavar="FILE", help="AMD's signed copy of the CEK")
    parser.add_argument(
        "--out", metavar="DIR", help="a new folder for what the host needs to start the VM"
    )
    _add_consents(parser)
    add_desk_options(parser)


def add_acceptance(parser: argparse.ArgumentParser) -> None:
    """``--accept-platform``."""
    parser.add_argument(
        "--accept-platform",
        metavar="HEX",
        help="the CEK that you have looked at and accept, where the profile pins none",
    )


def accepted_cek(arguments: argparse.Namespace) -> str | None:
    """The fingerprint of ``--accept-platform``; raises BadInput for what can be none."""
    if arguments.accept_platform is None:
        return None
    return parse_hex(arguments.accept_platform, "--accept-platform", 32).hex()


def _add_consents(parser: argparse.ArgumentParser) -> None:
    add_acceptance(parser)
    parser.add_argument(
        "--trust-root",
        metavar="FILE",
        action="append",
        default=[],
        help="an ARK that is not AMD's; only test secrets are sent then",
    )
    parser.add_argument(
        "--waive-platform", metavar="REASON", help="go on under a chain that does not hold"
    )
    parser.add_argument("--waive-policy", metavar="REASON", help="go on with a weak policy")
    parser.add_argument(
        "--waive-firmware", metavar="REASON", help="go on with firmware that is a NO-GO"
    )


def _prepare(arguments: argparse.Namespace, console: Console) -> Result:
    order = _order(arguments)
    by_hand = isinstance(parse_host_url(order.host_url), ExchangeAddress) if _url(order) else False
    if arguments.out is None and not by_hand:
        raise UsageError(
            "no-out",
            "There is nowhere to write what the host needs",
            "The VM is started with two files that are made for this one launch.",
            "Add --out DIR; with an exchange: host they go into its folder.",
        )
    if arguments.out is not None:
        refuse_taken_folder(Path(arguments.out))
    if (url := _url(order)) is not None:
        note_host_warnings(url, console)
    with opened_desk(arguments, console) as desk:
        return asyncio.run(_drive(arguments, console, desk, order, by_hand=by_hand))


def _url(order: LaunchOrder) -> str | None:
    return order.host or order.profile.host


def _order(arguments: argparse.Namespace) -> LaunchOrder:
    paths = [*arguments.platform, *([arguments.cek] if arguments.cek is not None else [])]
    order = LaunchOrder(
        profile=ProfileStore(profiles_folder()).load(arguments.guest).profile,
        host=arguments.host,
        ask_host=not arguments.platform,
        certificate_files=read_certificate_files(paths, "--platform"),
        trusted_roots=load_trusted_roots(arguments),
        platform_waiver=arguments.waive_platform,
        policy_waiver=arguments.waive_policy,
        firmware_waiver=arguments.waive_firmware,
        accept_platform=accepted_cek(arguments),
    )
    if (url := _url(order)) is not None or order.ask_host:
        parse_host_url(url or order.host_url)
    return order


async def _drive(
    arguments: argparse.Namespace,
    console: Console,
    desk: LaunchDesk,
    order: LaunchOrder,
    *,
    by_hand: bool,
) -> Result:
    with desk.new(order, LaunchPrinter(console).observe) as run:
        error: WatchwordError | None = None
        files: dict[str, str] = {}
        try:
            await run.run(until="start" if by_hand else "session")
        except WatchwordError as problem:
            error = problem
        except asyncio.CancelledError:
            error = interrupted(run.record)
        if run.material is not None and arguments.out is not None:
            try:
                files = write_host_files(Path(arguments.out), run)
            except BadInput as problem:
                error = not_given(arguments, run.id, problem)
        asked = error is None and order.ask_host
        warnings = await run.domain_warnings() if asked else ()
        return _result(arguments, run, error, files, warnings)


def _result(
    arguments: argparse.Namespace,
    run: LaunchRun,
    error: WatchwordError | None,
    files: dict[str, str],
    warnings: Sequence[str],
) -> Result:
    record, lines = run.record, [f"This is launch {run.id}."]
    lines += [f"warning: {warning}" for warning in warnings]
    if files:
        lines += ["For the host; nothing in it is secret:", *table(files.items())]
    unaccepted = [] if run.material is None else list(acceptance_lines(arguments, run))
    lines += unaccepted
    if error is not None:
        lines += going_on_lines(arguments, record, error)
    else:
        words = ["launch", "complete", run.id, *(["--no-inject"] if unaccepted else [])]
        verdict = ", for the verdict alone as long as nobody has accepted the platform"
        starting = "Have the VM started from these, paused. Then"
        if record.host.startswith(_STARTING):
            starting = "This has the host start the VM, paused, and goes on with it"
        lines += [
            f"{starting}{verdict if unaccepted else ''}:",
            f"  {pasteable(arguments, *words)}",
            f"with --host URL if its QMP answers elsewhere than at {record.host}."
            if record.host
            else "with --host URL, which says where its QMP answers.",
        ]
    return launch_result(
        run.launch,
        tuple(lines),
        error,
        launch_id=run.id,
        state=record.state.value,
        host=record.host,
        files=files,
        domain_warnings=list(warnings),
    )
