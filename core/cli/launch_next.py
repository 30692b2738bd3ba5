# SPDX-License-Identifier: Apache-2.0
"""What is to be done next with a launch: the lines at the end of each command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ..errors import AnswerPending, ExitStatus, WatchwordError
from ..hosts.exchange_turns import Turn
from .pasteable import pasteable

if TYPE_CHECKING:
    from ..launch.launch_run import LaunchRun
    from ..launch.record import LaunchRecord

_HOPELESS: Final = ("packet-refused", "another-vm", "running-guest-not-confirmed")
"""Refusals after which the launch's one packet is of no use to the VM that is there."""
_ANSWERS: Final = tuple(int(turn) for turn in Turn if turn.incoming)


class Interrupted(WatchwordError):
    """Ctrl-C or SIGTERM, with how the launch stands."""

    exit_status = ExitStatus.INTERRUPTED


def interrupted(record: LaunchRecord) -> Interrupted:
    """How a launch stands that was stopped in the middle of a step."""
    if record.packet is None:
        stands = "No secret was handed over."
    elif record.handed_over is None:
        stands = (
            "Its packet is sealed and stored, and may have been sent; only those very bytes are"
            " ever sent for it."
        )
    else:
        stands = "Its secret was handed over; that the guest runs is not confirmed."
    return Interrupted(
        "interrupted",
        "Interrupted",
        f"Launch {record.id} stands at “{record.state.value}”. {stands}",
        "Nothing is lost: it can be taken on from there, and everything is verified anew then.",
        {"launch": record.id, "state": record.state.value},
    )


def not_started_yet(arguments: argparse.Namespace, launch_id: str) -> AnswerPending:
    """The launch blob was made only now, so that no VM can have been started with it."""
    files = pasteable(arguments, "launch", "show", launch_id, "--out", f"{launch_id}-start")
    return AnswerPending(
        "vm-not-started",
        "The VM is not started yet",
        "The launch blob was made only now, so no VM can have been started with it.",
        f"Write what the host needs (`{files}`), and have the VM started from it, paused.",
        {"launch": launch_id},
    )


def acceptance_lines(arguments: argparse.Namespace, run: LaunchRun) -> Iterator[str]:
    """Who has to look at the platform before a secret goes there, and how that is said."""
    fact = run.launch.facts.get("platform")
    if fact is None or fact.record.get("platform") != "verified" or fact.record.get("accepted"):
        return
    record, cek = run.record, str(fact.record["cek_sha256"])
    yield (
        "Nobody has accepted this platform yet, and the profile does not pin it: no secret goes"
        " there before. A chain shows that a chip is AMD's, not whose machine it is in."
    )
    yield "If its CEK is that of the machine that you mean, accept it for this launch:"
    yield "  " + pasteable(arguments, "launch", "complete", record.id, "--accept-platform", cek)
    yield "or pin it in the profile for launches that begin from now on:"
    yield f"  watchword guest edit {record.guest} --add ceks={cek}"


def going_on_lines(
    arguments: argparse.Namespace, record: LaunchRecord, error: WatchwordError
) -> Iterator[str]:
    """How a launch is taken on, or given up, that something is in the way of."""
    if not record.is_open:
        return
    again = ["launch", "resume", record.id]
    give_up = pasteable(arguments, "launch", "abandon", record.id, "--reason", error.title)
    if error.code in _HOPELESS:
        yield "Give the launch up, so that its packet is never sent again:"
        yield f"  {give_up}"
        return
    if error.code == "platform-not-accepted":
        again += ["--accept-platform", str(error.details.get("cek_sha256", "HEX"))]
    yield f"Launch {record.id} stands at “{record.state.value}”. To take it on:"
    yield "  " + pasteable(arguments, *again)
    if isinstance(error, AnswerPending) and error.details.get("turn") in _ANSWERS:
        yield "with --paste FILE if the answer came as a text."
    elif error.exit_status is ExitStatus.REFUSED or record.session is None:
        yield "To give it up:"
        yield f"  {give_up}"
