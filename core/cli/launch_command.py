# SPDX-License-Identifier: Apache-2.0
"""``watchword launch``: launches of guest profiles that are recorded, and survive anything."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..launch.store import LaunchState, LaunchStore, LaunchSummary
from ..records.database import Records, records_folder
from .command import Parser, Subparsers, add_command, add_group, whole_number
from .desk_options import add_desk_options, opened_desk
from .launch_complete import declare_complete
from .launch_guest import declare_guest
from .launch_handover import declare_handover
from .launch_prepare import declare_prepare
from .launch_show import declare_show
from .output import Console, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 50


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``launch prepare|complete|resume|list|show|handover|compare|abandon|status|stop``."""
    group = add_group(
        subparsers, "launch", "prepare, complete and look after launches of guest profiles"
    )
    declare_prepare(group)
    declare_complete(group)
    _declare_list(group)
    declare_show(group)
    declare_handover(group)
    _declare_abandon(group)
    declare_guest(group)


def _declare_list(group: Subparsers[Parser]) -> None:
    listing = add_command(
        group,
        "list",
        summary="list launches, the newest first, as the records have them",
        example="watchword launch list --open",
        run=_list,
    )
    listing.add_argument("--guest", metavar="NAME", help="those of one profile")
    listing.add_argument(
        "--state",
        metavar="STATE",
        action="append",
        default=[],
        choices=[state.value for state in LaunchState],
        help="those in a state, may be repeated: " + ", ".join(LaunchState),
    )
    listing.add_argument("--open", action="store_true", help="those with something left to do")
    listing.add_argument(
        "--limit", metavar="N", type=whole_number, default=_SHOWN, help=f"default {_SHOWN}"
    )


def _declare_abandon(group: Subparsers[Parser]) -> None:
    abandon = add_command(
        group,
        "abandon",
        summary="give a launch up: its keys are erased, and nothing is sent for it any more",
        example='watchword launch abandon ID --reason "the host was reinstalled"',
        run=_abandon,
    )
    abandon.add_argument("id", metavar="ID", help="the launch")
    abandon.add_argument("--reason", metavar="TEXT", required=True, help="for the records")
    add_desk_options(abandon)


def _list(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    found: Sequence[LaunchSummary] = ()
    folder = records_folder()
    if Records.exists(folder):
        with Records.open(folder) as records:
            found = LaunchStore(records).list(
                guest=arguments.guest,
                states=[LaunchState(state) for state in arguments.state],
                only_open=arguments.open,
                limit=arguments.limit + 1,
            )
    shown = found[: arguments.limit]
    more = len(found) > len(shown)
    payload = {"launches": [summary_json(summary) for summary in shown], "more": more}
    return Result(payload, tuple(_lines(shown, more=more, only_open=arguments.open)))


def summary_json(summary: LaunchSummary) -> dict[str, object]:
    """A line of the list with stable field names."""
    return {**summary._asdict(), "simulated": bool(summary.simulated), "open": summary.is_open}


def _lines(shown: Sequence[LaunchSummary], *, more: bool, only_open: bool) -> Iterator[str]:
    if not shown:
        none = "No launch is open." if only_open else "There is no such launch."
        yield f"{none} `watchword launch prepare GUEST` begins one."
        return
    width = max(len(summary.id) for summary in shown)
    for summary in shown:
        parts = [summary.id.ljust(width), f"{summary.state:11}", summary.created]
        parts += ["SIMULATED"] if summary.simulated else []
        parts += [summary.host] if summary.host else []
        parts += [f"waits: {summary.waits_for}"] if summary.waits_for else []
        yield "  ".join(parts).rstrip()
    if more:
        yield "There are older ones; --limit N shows more."


def _abandon(arguments: argparse.Namespace, console: Console) -> Result:
    with opened_desk(arguments, console) as desk:
        had_keys = desk.show(arguments.id).session is not None
        desk.abandon(arguments.id, arguments.reason)
    lines: tuple[str, ...] = (
        f"Launch {arguments.id} is abandoned, and nothing is sent for it any more.",
    )
    if had_keys:
        lines += (
            "Its keys are erased; copies of the vault that were made before still hold them.",
        )
    return Result({"launch": arguments.id, "state": LaunchState.ABANDONED.value}, lines)
