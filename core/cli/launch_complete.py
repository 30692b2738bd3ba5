# SPDX-License-Identifier: Apache-2.0
"""``watchword launch complete`` and ``resume``: measure, verify, inject, let the VM run."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import UsageError, WatchwordError
from ..files import read_file
from ..hosts.urls import ExchangeAddress, parse_host_url
from ..launch.launch_run import LaunchRun
from ..launch.record import LaunchState
from ..ledger.anchor import RollbackVerdict
from .command import Parser, Subparsers, add_command, whole_number
from .desk_options import add_desk_options, opened_desk
from .host_notes import note_host_warnings
from .launch_next import (
    Interrupted,
    acceptance_lines,
    going_on_lines,
    interrupted,
    not_started_yet,
)
from .launch_output import LaunchPrinter, launch_result
from .launch_prepare import accepted_cek, add_acceptance
from .output import Console, Result
from .pasteable import pasteable
from .secret_input import read_descriptor

if TYPE_CHECKING:
    from ..launch.record import LaunchRecord

_LARGEST_PASTE = 1 << 20
_MOST_SECONDS = 86_400
_NOT_DETECTABLE = (
    "No keyring had noted the newest state before: an older copy of vault and records together"
    " would not have been noticed (rollback not detectable)."
)


def declare_complete(group: Subparsers[Parser]) -> None:
    """Add ``launch complete`` and ``launch resume``."""
    complete = add_command(
        group,
        "complete",
        summary="read the paused VM's measurement, verify it, hand over the secrets, let it run",
        example="watchword launch complete ID --host qmp+unix:///run/vm1.sock --wait 300",
        run=_take_on,
    )
    complete.add_argument(
        "--no-inject", action="store_true", help="stop after the verdict; send nothing"
    )
    resume = add_command(
        group,
        "resume",
        summary="take a launch on from wherever it was left, after a crash too",
        example="watchword launch resume ID",
        run=_take_on,
    )
    resume.set_defaults(no_inject=False)
    for parser in (complete, resume):
        _add_options(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the launch")
    parser.add_argument("--host", metavar="URL", help="where its VM is, from now on")
    add_acceptance(parser)
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=whole_number,
        default=0,
        help="how long to wait for a VM that is not there yet",
    )
    parser.add_argument(
        "--paste",
        metavar="FILE",
        help="an answer that came by mail, for an exchange: host; - reads it from stdin",
    )
    add_desk_options(parser)


def _take_on(arguments: argparse.Namespace, console: Console) -> Result:
    if arguments.wait > _MOST_SECONDS:
        raise UsageError(
            "bad-arguments",
            "Can't use --wait",
            f"{_MOST_SECONDS} seconds, a day, are the most.",
            "Give fewer, and call again.",
        )
    if arguments.host is not None:
        parse_host_url(arguments.host)
    accepted = accepted_cek(arguments)
    pasted = None if arguments.paste is None else _read_pasted(arguments.paste)
    with opened_desk(arguments, console) as desk:
        run = desk.open(
            arguments.id,
            LaunchPrinter(console).observe,
            host=arguments.host,
            accept_platform=accepted,
        )
        with run:
            if run.record.host:
                note_host_warnings(run.record.host, console)
            if pasted is not None:
                _paste(run, pasted, console)
            return _with_rollback(asyncio.run(_drive(arguments, run)), desk.rollback)


def _read_pasted(name: str) -> str:
    if name == "-":
        with read_descriptor(0, "--paste", _LARGEST_PASTE).reveal() as view:
            data = bytes(view)
    else:
        data = read_file(name, "--paste", _LARGEST_PASTE)
    return data.decode("utf-8", "replace")


async def _drive(arguments: argparse.Namespace, run: LaunchRun) -> Result:
    before, error = run.record, None
    try:
        if run.material is None and _by_hand(run) is None:
            await run.run(until="session")
            raise not_started_yet(arguments, run.id)
        if arguments.wait and run.record.host:
            await run.wait_for_vm(arguments.wait)
        await run.run(until="measurement" if arguments.no_inject else None)
    except WatchwordError as problem:
        error = problem
    except asyncio.CancelledError:
        error = interrupted(run.record)
    return _result(arguments, run, error, before)


def _with_rollback(result: Result, verdict: RollbackVerdict) -> Result:
    """Say where at most one packet rests on nobody's putting older files back."""
    lines = result.lines
    if verdict is RollbackVerdict.NOT_DETECTABLE:
        lines += (_NOT_DETECTABLE,)
    return replace(result, payload={**result.payload, "rollback": verdict.value}, lines=lines)


def _by_hand(run: LaunchRun) -> ExchangeAddress | None:
    """The folder of a host that is reached by hand."""
    address = parse_host_url(run.record.host) if run.record.host else None
    return address if isinstance(address, ExchangeAddress) else None


def _paste(run: LaunchRun, text: str, console: Console) -> None:
    """Save a pasted answer among the files of the turn that is awaited."""
    from ..hosts.exchange import ExchangeHost  # noqa: PLC0415 - for such hosts alone

    address = _by_hand(run)
    if address is None:
        raise UsageError(
            "nothing-to-paste",
            "This host answers by itself",
            "--paste is for launches whose answers are carried by hand (exchange:).",
            "Leave it out.",
        )
    host = ExchangeHost(address, run.id)
    turn = host.awaited_turn()
    if turn is None:
        raise UsageError(
            "nothing-to-paste",
            "No answer is awaited",
            "What was asked of the host's operator so far is answered.",
            "Leave --paste out.",
        )
    understood = host.accept_pasted(turn, text)
    for name, value in understood.found:
        console.progress(f"understood: {name} {value}")
    for name in understood.missing:
        console.progress(f"still missing: {name}")


def _result(
    arguments: argparse.Namespace,
    run: LaunchRun,
    error: WatchwordError | None,
    before: LaunchRecord,
) -> Result:
    lines: list[str] = []
    if error is None:
        lines += _end(arguments, run, before)
    elif not isinstance(error, Interrupted) and run.record.state is LaunchState.HANDED_OVER:
        lines.append("The secret was handed over; that the guest runs is not confirmed.")
    if error is not None:
        lines += going_on_lines(arguments, run.record, error)
    return launch_result(
        run.launch,
        tuple(lines),
        error,
        launch_id=run.id,
        state=run.record.state.value,
        host=run.record.host,
        handed_over=run.record.handed_over,
        handed_over_before=before.handed_over is not None,
    )


def _end(arguments: argparse.Namespace, run: LaunchRun, before: LaunchRecord) -> Iterator[str]:
    """What came of it, where nothing was in the way."""
    if before.packet is not None:
        then = (
            "; whether it was handed over then is not known"
            if before.handed_over is None
            else f" and handed over ({before.handed_over})"
        )
        yield f"Its packet was sealed before{then}; nothing new was sealed."
    if not arguments.no_inject:
        yield "The VM runs."
    elif before.packet is not None:
        yield "It is the VM that the packet was sealed for. Nothing was sent this time."
    else:
        yield "The measurement matches. Nothing was sent. To hand the secrets over:"
        yield "  " + pasteable(arguments, "launch", "complete", run.id)
        yield from acceptance_lines(arguments, run)
