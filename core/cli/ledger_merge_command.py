# SPDX-License-Identifier: Apache-2.0
"""``watchword ledger merge``: the chains of many machines, each verified, and what is missing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ExitStatus, VerificationRefused
from .command import Parser, Subparsers, add_command
from .new_files import NewFile, refuse_existing, write_new_files
from .output import Console, Result

if TYPE_CHECKING:
    from ..ledger.heads import ExportedHead
    from ..ledger.verification import LedgerVerdict
    from ..workers.merged_ledger import MergedLedger

_ABOUT = """\
Each machine has a chain of its own; the ledger of a fleet is the set of them. Every FILE, as
`ledger export` wrote it, is verified and held against all heads that are known of it:
those of --head, and those that workers have signed under results which this owner has. This
machine's own ledger is verified with them. Exit 3: one does not hold; 9: one is missing."""


def declare_merge(group: Subparsers[Parser]) -> None:
    """Add ``ledger merge``."""
    parser = add_command(
        group,
        "merge",
        summary="verify the ledgers of many machines together, and name what is missing",
        example="watchword ledger merge rack1.jsonl rack2.jsonl --head rack1-head.json",
        run=_merge,
    )
    parser.description = f"{parser.description}\n\n{_ABOUT}"
    parser.add_argument("files", metavar="FILE", nargs="*", help="exported ledgers")
    parser.add_argument(
        "--head",
        metavar="FILE",
        action="append",
        default=[],
        help="a head that `ledger head --out` wrote on any machine; may be repeated",
    )
    parser.add_argument("--out", metavar="FILE", help="write the set of chains and heads there")


def _merge(arguments: argparse.Namespace, console: Console) -> Result:
    from ..ledger.heads import read_head  # noqa: PLC0415 - help needs none of it
    from ..workers.merged_ledger import merge_chains  # noqa: PLC0415 - as above

    del console
    files = list(dict.fromkeys(Path(name) for name in arguments.files))
    heads = [read_head(Path(name), "--head") for name in arguments.head]
    heads += _heard()
    out = None if arguments.out is None else Path(arguments.out)
    if out is not None:
        refuse_existing([out], "--out", "Name a new file.")
    merged = merge_chains(files, heads, _own(heads))
    if out is not None:
        write_new_files([NewFile(out, merged.build(), "--out")])
    lines = tuple(_lines(merged))
    error = _does_not_hold(merged) if merged.broken else None
    payload = {**merged.as_json(), **({} if out is None else {"path": str(out)})}
    return Result(payload, lines, merged.status, error)


def _heard() -> list[ExportedHead]:
    """The heads that workers have signed, where this owner has any results of theirs."""
    from ..records.database import records_folder  # noqa: PLC0415 - as above
    from ..workers.assignments import Assignments  # noqa: PLC0415 - as above
    from ..workers.merged_ledger import heads_heard  # noqa: PLC0415 - as above

    home = records_folder()
    if not (home / Assignments.FILE_NAME).exists():
        return []
    with Assignments.open(home) as assignments:
        return list(heads_heard(assignments))


def _own(heads: list[ExportedHead]) -> list[tuple[str, LedgerVerdict]]:
    """The ledger of the machine this runs on, if it has one."""
    from .ledger_command import opened_ledger  # noqa: PLC0415 - as above

    with opened_ledger() as ledger:
        head = None if ledger is None else ledger.exported_head()
        if ledger is None or head is None:
            return []
        known = [one for one in heads if one.ledger_id == head.ledger_id]
        return [("this machine", ledger.verify(known))]


def _held(heads: int) -> str:
    if heads == 0:
        return ""
    return ", 1 known head holds" if heads == 1 else f", {heads} known heads hold"


def _lines(merged: MergedLedger) -> Iterator[str]:
    for chain in merged.chains:
        verdict = chain.verdict
        if verdict is not None and verdict.head is not None:
            held = _held(verdict.known_heads)
            yield (
                f"{chain.source}: ledger {verdict.ledger_id} is whole, entries 1 to"
                f" {verdict.entries}{held}"
            )
            yield f"  head  {verdict.head.text}"
        elif chain.error is not None:
            yield f"{chain.source}: DOES NOT HOLD. {chain.error.title}. {chain.error.message}"
    for head in merged.missing:
        yield f"missing: ledger {head.ledger_id}, which had entry {head.head.text} at {head.time}"
    if not merged.chains and not merged.missing:
        yield "There is nothing to merge: no chain is here, and no head is known."
    elif merged.status is ExitStatus.OK:
        yield "All chains are whole, and none is known to be missing."


def _does_not_hold(merged: MergedLedger) -> VerificationRefused:
    sources = [chain.source for chain in merged.broken]
    return VerificationRefused(
        "merged-ledger-broken",
        "Not all chains hold",
        f"{len(sources)} of {len(merged.chains)} don't: {', '.join(sources[:5])}.",
        "Trust no entry of those. Get each anew from its machine: `watchword ledger export`.",
        {"sources": sources},
    )
