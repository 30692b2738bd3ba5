# SPDX-License-Identifier: Apache-2.0
"""``watchword launch show``: all that is recorded of one launch, and the host's files again."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..hosts.urls import ExchangeAddress, parse_host_url
from ..launch.store import LaunchStore, no_such_launch
from ..records.database import Records, records_folder
from ..vault.launch_keys import check_launch_id
from .command import Parser, Subparsers, add_command, whole_number
from .desk_options import add_desk_options, opened_desk
from .launch_files import write_host_files
from .launch_output import launch_payload
from .output import Console, Result, table

if TYPE_CHECKING:
    from ..launch.record import LaunchRecord


def declare_show(group: Subparsers[Parser]) -> None:
    """Add ``launch show``."""
    show = add_command(
        group,
        "show",
        summary="show what is recorded of a launch; --out writes the host's files again",
        example="watchword launch show ID",
        run=_show,
    )
    show.add_argument("id", metavar="ID", help="the launch")
    show.add_argument(
        "--out", metavar="DIR", help="a new folder for what the host needs to start the VM"
    )
    show.add_argument(
        "--turn",
        metavar="N",
        type=whole_number,
        help="print the text that carries turn 1, 2 or 4 of an exchange: host by mail",
    )
    show.add_argument(
        "--explain",
        action="store_true",
        help="for each step, what was computed from what, and how other tools check it; with"
        " --out, the files for that",
    )
    add_desk_options(show)


def _show(arguments: argparse.Namespace, console: Console) -> Result:
    if not Records.exists(records_folder()):
        raise no_such_launch(check_launch_id(arguments.id))
    if arguments.turn is not None:
        return _show_turn(arguments)
    if arguments.explain:
        from .launch_explain import explain_launch  # noqa: PLC0415 - for this option alone

        return explain_launch(arguments)
    files: dict[str, str] = {}
    if arguments.out is not None:
        with opened_desk(arguments, console) as desk, desk.open(arguments.id) as run:
            files = write_host_files(Path(arguments.out), run)
    with Records.open(records_folder()) as records:
        record = LaunchStore(records).load(arguments.id).record
    launch = record.launch()
    payload = {
        "launch": record.id,
        "guest": record.guest,
        "state": record.state.value,
        "host": record.host,
        "created": record.created,
        "changed": record.changed,
        "waits_for": record.waits_for,
        **launch_payload(launch),
        "packet_sha256": None if record.packet is None else record.packet.sha256,
        "files": files,
    }
    return Result(payload, tuple(_lines(record, files)))


def _show_turn(arguments: argparse.Namespace) -> Result:
    """The text of a turn, to be mailed; it says what the folder says, and holds no secret."""
    from ..hosts.exchange import ExchangeHost  # noqa: PLC0415 - for such hosts alone

    with Records.open(records_folder()) as records:
        record = LaunchStore(records).load(arguments.id).record
    address = parse_host_url(record.host) if record.host else None
    if not isinstance(address, ExchangeAddress):
        raise UsageError(
            "nothing-to-mail",
            "This host answers by itself",
            "--turn is for launches whose questions are carried by hand (exchange:).",
            "Leave it out.",
        )
    text = ExchangeHost(address, record.id).outgoing_text(arguments.turn)
    payload = {"launch": record.id, "turn": arguments.turn, "text": text}
    return Result(payload, tuple(text.splitlines()))


def _lines(record: LaunchRecord, files: dict[str, str]) -> Iterator[str]:
    simulated = ", SIMULATED" if record.simulated else ""
    yield f"{record.id}: {record.state.value}{simulated}"
    yield from table(_rows(record))
    for status in record.launch().statuses():
        reason = f": {status.reason}" if status.reason else ""
        yield f"  {status.step.title:20}  {status.state.value}{reason}"
    if files:
        yield "For the host; nothing in it is secret:"
        yield from table(files.items())
    yield "As the records have it; `launch resume` and `launch status` verify everything anew."


def _rows(record: LaunchRecord) -> Iterator[tuple[str, str]]:
    yield "guest", record.guest
    if record.host:
        yield "host", record.host
    yield "created", record.created
    yield "changed", record.changed
    if record.waits_for:
        yield "waits for", record.waits_for
    platform = record.launch().facts.get("platform")
    if platform is not None and platform.record.get("cek_sha256"):
        yield "platform", str(platform.record.get("platform", ""))
        yield "CEK", str(platform.record["cek_sha256"])
    if record.packet is not None:
        yield "packet", record.packet.sha256
        names = ", ".join(str(secret.get("name", "")) for secret in record.packet.secrets)
        yield "secrets", names
