# SPDX-License-Identifier: Apache-2.0
"""``watchword ledger``: the record of what was done, its check, its head and its export."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ..errors import BadInput
from ..ledger.anchor import RollbackVerdict, check_anchor
from ..ledger.entries import EntryKind, LedgerEntry
from ..ledger.heads import LedgerHead, read_head
from ..ledger.ledger import Ledger
from ..ledger.verification import KnownHead, LedgerVerdict, verify_entries
from ..records.database import Records, records_folder
from .command import Parser, Subparsers, add_command, add_group, whole_number
from .new_files import NewFile, refuse_existing, write_new_files
from .output import Console, Result
from .vault_options import add_vault_options, opened_vault

_SHOWN = 100
_LIKE_A_HEAD = re.compile(r"[0-9]+:[0-9A-Fa-f]*", re.ASCII)
_NOTHING = "There is no ledger yet: nothing was recorded here."
_EXPORT_CHECK = """\
Each line of FILE is {"hash":"HEX","record":RECORD}. HEX is the SHA-256 of RECORD's text as
it stands there, and RECORD's "previous" is the hash of the line before. Anybody can check
that with a shell; this prints nothing where all is right:

  before=$(printf %064d 0)
  while IFS= read -r line; do
    hash=${line#*:\\"}; hash=${hash%%\\"*}
    record=${line#*,\\"record\\":}; record=${record%?}
    previous=${record##*\\"previous\\":\\"}; previous=${previous%%\\"*}
    printf %s "$record" | sha256sum | grep -q "^$hash " || echo "altered: $line"
    [ "$previous" = "$before" ] || echo "does not follow: $line"
    before=$hash
  done < FILE"""


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``ledger list|verify|head|export|merge|affected|accept-older``."""
    from .ledger_accept_command import declare_accept  # noqa: PLC0415 - as the next one
    from .ledger_affected_command import declare_affected  # noqa: PLC0415 - it imports from here
    from .ledger_merge_command import declare_merge  # noqa: PLC0415 - as the first one

    group = add_group(subparsers, "ledger", "show, check and search the record of what was done")
    _declare_list(group)
    _declare_verify(group)
    head = add_command(
        group,
        "head",
        summary="print the newest entry's number and hash, or write them to a file",
        example="watchword ledger head --out ledger-head.json",
        run=_head,
    )
    head.description = (
        f"{head.description}\nKept where nobody who can change this machine's files reaches it,"
        " it shows later\nwhether entries were removed or changed: `watchword ledger verify"
        " --head FILE`."
    )
    head.add_argument("--out", metavar="FILE", help="write them, and the ledger's id, there")
    export = add_command(
        group,
        "export",
        summary="check the ledger and write all of it as lines of JSON, with their hashes",
        example="watchword ledger export --out ledger.jsonl",
        run=_export,
    )
    export.description = f"{export.description}\n\n{_EXPORT_CHECK}"
    export.add_argument("--out", metavar="FILE", required=True, help="a new file")
    declare_merge(group)
    declare_affected(group)
    declare_accept(group)


def _declare_list(group: Subparsers[Parser]) -> None:
    listing = add_command(
        group,
        "list",
        summary="list the newest entries; each is held against its own hash, `verify` checks all",
        example="watchword ledger list --kind packet-sealed --limit 20",
        run=_list,
    )
    listing.add_argument("--launch", metavar="ID", help="those of one launch")
    listing.add_argument(
        "--kind",
        metavar="KIND",
        action="append",
        choices=[kind.value for kind in EntryKind],
        help="those of a kind, may be repeated: " + ", ".join(EntryKind),
    )
    listing.add_argument(
        "--limit",
        metavar="N",
        type=whole_number,
        default=_SHOWN,
        help=f"how many at most, default {_SHOWN}",
    )


def _declare_verify(group: Subparsers[Parser]) -> None:
    verify = add_command(
        group,
        "verify",
        summary="check every entry's hash and that each continues the one before",
        example="watchword ledger verify --head ledger-head.json",
        run=_verify,
    )
    verify.add_argument(
        "--head",
        metavar="HEAD",
        action="append",
        default=[],
        help="a head from earlier, as `ledger head` prints it, or the file that it wrote: what was"
        " removed or changed up to there is noticed; may be repeated",
    )
    verify.add_argument(
        "--anchor",
        action="store_true",
        help="open the vault, and compare with the head that the keyring has noted",
    )
    add_vault_options(verify)


@contextlib.contextmanager
def opened_ledger() -> Iterator[Ledger | None]:
    """The ledger of this user; None where there are no records, which are not made."""
    folder = records_folder()
    if not Records.exists(folder):
        yield None
        return
    with Records.open(folder) as records:
        yield Ledger(records)


def _list(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    kinds = None if arguments.kind is None else [EntryKind(kind) for kind in arguments.kind]
    found: list[LedgerEntry] = []
    with opened_ledger() as ledger:
        if ledger is not None:
            entries = ledger.entries(launch_id=arguments.launch, kinds=kinds, newest_first=True)
            found = list(islice(entries, arguments.limit + 1))
    more = len(found) > arguments.limit
    shown = found[: arguments.limit][::-1]
    lines = ["There are older ones; --limit N shows more."] if more else []
    lines += [_line(entry) for entry in shown]
    if not found:
        lines = [_NOTHING if ledger is None else "There is no such entry."]
    payload = {"entries": [entry.as_json() for entry in shown], "more": more}
    return Result(payload, tuple(lines))


def _line(entry: LedgerEntry) -> str:
    parts = [f"{entry.sequence:>6}  {entry.time}  {entry.kind.value:26}"]
    parts += ["SIMULATED"] if entry.simulated else []
    parts += [f"launch {entry.launch_id}"] if entry.launch_id is not None else []
    parts += [f"{name} {entry.body[name]}" for name in ("guest", "host") if entry.body.get(name)]
    error = entry.body.get("error")
    if isinstance(error, dict) and error.get("title"):
        parts.append(str(error["title"]))
    return "  ".join(parts).rstrip()


def _verify(arguments: argparse.Namespace, console: Console) -> Result:
    known = [_known_head(text) for text in arguments.head]
    rollback: RollbackVerdict | None = None
    with opened_ledger() as ledger:
        verdict = verify_entries((), known) if ledger is None else ledger.verify(known)
        if arguments.anchor:
            with opened_vault(arguments, console) as vault:
                rollback = check_anchor(ledger, vault.ledger_head)
    payload = {**verdict.as_json(), "rollback": None if rollback is None else rollback.value}
    return Result(payload, tuple(_verdict_lines(verdict, rollback)))


def _known_head(text: str) -> KnownHead:
    if LedgerHead.is_text(text) or (_LIKE_A_HEAD.fullmatch(text) and not os.path.lexists(text)):
        return LedgerHead.parse(text)
    return read_head(Path(text), "--head")


def _verdict_lines(verdict: LedgerVerdict, rollback: RollbackVerdict | None) -> Iterator[str]:
    if verdict.head is None:
        yield _NOTHING
    else:
        simulated = f", {verdict.simulated} of them SIMULATED" if verdict.simulated else ""
        yield (
            f"The ledger is whole: entries 1 to {verdict.entries}{simulated}, from"
            f" {verdict.first_time} to {verdict.last_time}."
        )
        yield f"head  {verdict.head.text}"
    if verdict.known_heads:
        yield f"It has what it had when its head was taken ({verdict.known_heads} compared)."
    if rollback is RollbackVerdict.CHECKED:
        yield "It has the entry that the keyring has noted: these are no older records."
    elif rollback is RollbackVerdict.NOT_DETECTABLE:
        yield "Rollback not detectable: the keyring holds no head of this ledger."
    if verdict.head is not None and not verdict.known_heads and rollback is None:
        yield (
            "Whether something is missing at its end only a head from earlier can show; keep one"
            " elsewhere: `watchword ledger head --out FILE`."
        )


def _head(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    with opened_ledger() as ledger:
        exported = None if ledger is None else ledger.exported_head()
    if exported is None:
        raise _nothing_recorded()
    payload: dict[str, object] = {**exported.as_json(), "text": exported.head.text}
    if arguments.out is None:
        return Result(payload, (exported.head.text,))
    path = Path(arguments.out)
    refuse_existing([path], "--out", "Name a new file; older heads are worth keeping.")
    write_new_files([NewFile(path, exported.build(), "--out")])
    line = f"The head {exported.head.text} is written to {path}. Keep it on another machine."
    return Result({**payload, "path": str(path)}, (line,))


def _export(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    path = Path(arguments.out)
    refuse_existing([path], "--out", "Name a new file.")
    lines = bytearray()
    with opened_ledger() as ledger:
        verdict = None if ledger is None else ledger.export(lines.extend)
    if verdict is None or verdict.head is None:
        raise _nothing_recorded()
    write_new_files([NewFile(path, memoryview(lines), "--out")])
    text = f"{verdict.entries} entries, up to the head {verdict.head.text}, are written to {path}."
    return Result({**verdict.as_json(), "path": str(path)}, (text,))


def _nothing_recorded() -> BadInput:
    return BadInput(
        "ledger-empty",
        "the ledger",
        "Nothing was recorded here yet, so there is no entry to show.",
        "Prepare a launch first, or set WATCHWORD_HOME to the folder that your records are in.",
    )
