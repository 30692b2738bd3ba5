# SPDX-License-Identifier: Apache-2.0
"""``watchword ledger accept-older``: go on with an older copy of the records, by a typed word."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .command import Parser, Subparsers, add_command
from .output import Console, Result
from .vault_options import add_vault_options, opened_vault

if TYPE_CHECKING:
    from ..records.database import Records

_DANGER = (
    "What was done after this copy was made is unknown here. Any launch whose packet was sealed"
    " after it\nmust not be completed again: a second packet could be put into a clone of its"
    " VM, and secrets that\nwere handed over since are in no list."
)


def declare_accept(group: Subparsers[Parser]) -> None:
    """Add ``ledger accept-older``."""
    parser = add_command(
        group,
        "accept-older",
        summary="go on although the keyring has noted a newer state of the records",
        example='watchword ledger accept-older --reason "the disk died; the backup of Monday"',
        run=_accept,
    )
    parser.description = (
        f"{parser.description}\n\nFor records that you have put back yourself, or that are gone."
        f" The acceptance becomes an entry of the\nledger, and the keyring takes note of that."
        f" {_DANGER}"
    )
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why, for the record")
    add_vault_options(parser)


def _accept(arguments: argparse.Namespace, console: Console) -> Result:
    from ..ledger.acceptance import accept_older, no_older_copy  # noqa: PLC0415 - only here
    from ..ledger.heads import LedgerHead  # noqa: PLC0415
    from ..ledger.ledger import Ledger  # noqa: PLC0415
    from ..records.database import Records, records_folder  # noqa: PLC0415

    with opened_vault(arguments, console) as vault:
        anchor = vault.ledger_head
        if anchor is None:
            raise no_older_copy()
        with Records.open(records_folder()) as records:
            entry = accept_older(Ledger(records), anchor, arguments.reason)
            vault.write_anchor(LedgerHead(entry.sequence, entry.hash).text)
            left = _open_launches(records)
    payload = {
        "sequence": entry.sequence,
        "hash": entry.hash,
        **entry.body,
        "open_launches": left,
    }
    lines = [f"Accepted, as entry {entry.sequence} of the ledger. {_DANGER}"]
    if left:
        lines.append(
            "Launches that this copy calls open; give up each that may have been completed since,"
            ' with\n`watchword launch abandon ID --reason "older records"`:'
        )
        lines += [f"  {launch_id}" for launch_id in left]
    return Result(payload, tuple(lines))


def _open_launches(records: Records) -> list[str]:
    from ..launch.store import LaunchStore  # noqa: PLC0415 - only here

    return [summary.id for summary in LaunchStore(records).list(only_open=True)]
