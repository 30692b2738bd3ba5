# SPDX-License-Identifier: Apache-2.0
"""``watchword --batch FLEET.toml``: the launches of a manifest without a screen."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..batch.checking import check_fleet
from ..batch.intent import BatchOrder, Phase, intent_of
from ..batch.json_lines import JsonLinesFile
from ..batch.manifest import LARGEST_MANIFEST
from ..batch.manifest_values import HIGHEST_LIMIT
from ..batch.runner import run_batch
from ..batch.taking_up import EarlierLaunches
from ..errors import UsageError, VaultError, WatchwordError
from ..files import read_file
from ..guest.store import ProfileStore, profiles_folder
from ..launch.store import LaunchStore
from ..records.database import Records, records_folder
from .batch_output import BatchTeller
from .batch_process import DEFAULT_JOBS, allow_files, start_environment
from .batch_queue import add_worker_options, check_worker_options, run_by_workers
from .command import HelpText, Parser
from .desk_options import add_desk_options, desk_over, surroundings_of
from .output import Console, Result
from .vault_entries import entries_if_unattended
from .vault_options import opened_vault

if TYPE_CHECKING:
    from ..batch.fleet import Fleet
    from ..batch.taking_up import LaunchList
    from ..launch.store import LaunchSummary

_DESCRIPTION = """\
Launches the guests of a manifest, many at once, without asking anything. The
whole manifest is checked first, and nothing starts while anything is wrong with
it; what happens to one launch never stops the others. Nothing is waived: profiles
pin their chips, and a weak policy is refused.

stdout has a JSON line for each event and result, and a summary at its end;
stderr has words for people."""
_EPILOG = """\
exit status: 0 all done, 3 or 6 the manifest can't be run, 7 some launches
failed, 9 none failed but some wait for somebody, 130 interrupted

example:
  watchword --batch fleet.toml --dry-run
  watchword --batch fleet.toml --resume"""


def build_batch_parser() -> Parser:
    """The parser of ``watchword --batch``."""
    parser = Parser(
        prog="watchword",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=HelpText,
        allow_abbrev=False,
    )
    # Its value may be missing so that --help comes to be read after it.
    parser.add_argument("--batch", metavar="FLEET.toml", nargs="?", help="the manifest")
    parser.add_argument(
        "--check", action="store_true", help="check the manifest, and start nothing"
    )
    parser.add_argument(
        "--phase",
        choices=[phase.value for phase in Phase],
        default=Phase.ALL.value,
        help="prepare: write what the hosts need; complete: go on with what was prepared;"
        " all (default): both",
    )
    _add_choices(parser)
    parser.add_argument(
        "--allow-start", action="store_true", help="run the manifest's start commands"
    )
    parser.add_argument(
        "--allow-inline",
        action="store_true",
        help="launch guests whose profiles stand in the manifest, which says by itself then"
        " what is sent where; --check lists them",
    )
    parser.add_argument(
        "--output", metavar="FILE", help="append the JSON lines to FILE instead of stdout"
    )
    parser.add_argument("--json", action="store_true", help="as it is anyway")
    add_worker_options(parser)
    add_desk_options(parser)
    parser.set_defaults(run=_batch)
    return parser


def _add_choices(parser: Parser) -> None:
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check all, and say what would be done with each launch; start nothing",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="take up what an earlier run left, wherever it was, and begin what it did not",
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="like --resume, and what was refused is tried again",
    )
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        default=[],
        help="these launches alone; a pattern such as 'web*' too; may be given again",
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=_number,
        default=DEFAULT_JOBS,
        help=f"launches that are under way at once, default {DEFAULT_JOBS}",
    )
    parser.add_argument(
        "--per-host",
        metavar="N",
        type=_number,
        help="the same for each machine for which the manifest states no limit",
    )


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= HIGHEST_LIMIT:
        raise argparse.ArgumentTypeError(f"give a number from 1 to {HIGHEST_LIMIT}")
    return int(text)


def _batch(arguments: argparse.Namespace, console: Console) -> Result:
    if arguments.batch is None:
        raise _no_manifest()
    console.as_json = arguments.output is None
    with contextlib.ExitStack() as stack:
        file = None
        if arguments.output is not None:
            file = stack.enter_context(JsonLinesFile(Path(arguments.output), "--output"))
        with BatchTeller(console, file) as teller:
            try:
                return _run(arguments, console, teller)
            except WatchwordError as error:
                teller.failure(error)
                raise


def _run(arguments: argparse.Namespace, console: Console, teller: BatchTeller) -> Result:
    check_worker_options(arguments)
    path, phase = Path(arguments.batch), Phase(arguments.phase)
    teller.event({"event": "batch", "manifest": str(path), "phase": phase.value})
    manifest = _Manifest(path, read_file(path, "the manifest", LARGEST_MANIFEST), arguments.only)
    order = _order(arguments, manifest.folder)
    if arguments.check or arguments.dry_run:
        entries = entries_if_unattended(arguments, console)
        fleet = manifest.fleet(entries)
        return _checked(fleet, order, teller, entries is not None, dry_run=arguments.dry_run)
    with contextlib.ExitStack() as stack:
        try:
            vault = stack.enter_context(opened_vault(arguments, console))
        except VaultError:
            manifest.fleet(None)  # what is wrong with the manifest is told first
            raise
        at_workers = arguments.secrets_at_workers
        fleet = manifest.fleet(None if at_workers else [entry.name for entry in vault.list()])
        if phase is Phase.ALL and fleet.starting and not arguments.allow_start:
            raise _start_not_allowed(fleet.starting)
        teller.inline(fleet.inline)
        if fleet.inline and not arguments.allow_inline:
            raise _inline_not_allowed([launch.name for launch in fleet.inline])
        teller.warnings(fleet.warnings)
        if arguments.queue is not None:
            summary = run_by_workers(arguments, console, teller, vault, fleet=fleet, order=order)
            return Result(teller.summary(summary), (), summary.exit_status)
        allow_files(min(order.jobs, len(fleet.launches)))
        # A launch that somebody else works on is told of, and the others don't wait for it.
        surroundings = replace(surroundings_of(arguments, console), lock_seconds=0.0)
        records = stack.enter_context(Records.open(records_folder()))
        desk = stack.enter_context(desk_over(records, vault, surroundings, console))
        # An older copy of the records is noticed before anything begins.
        teller.event({"event": "records", "rollback": desk.rollback.value})
        teller.begin(len(fleet.launches))
        summary = asyncio.run(
            run_batch(fleet, desk, surroundings, order=order, report=teller.event)
        )
    return Result(teller.summary(summary), (), summary.exit_status)


def _order(arguments: argparse.Namespace, folder: Path) -> BatchOrder:
    return BatchOrder(
        phase=Phase(arguments.phase),
        folder=folder,
        environment=start_environment(),
        jobs=arguments.jobs,
        per_host=arguments.per_host,
        resume=arguments.resume or arguments.retry_failed,
        retry_failed=arguments.retry_failed,
    )


class _Manifest:
    """A manifest's bytes, and where it lies."""

    def __init__(self, path: Path, data: bytes, only: Sequence[str]) -> None:
        self.folder = path.absolute().parent
        self._only = only
        self._field = str(path)
        self._data = data

    def fleet(self, vault_entries: Collection[str] | None) -> Fleet:
        """Its launches, all of them checked, and of these the wanted ones.

        Raises as ``check_fleet`` and ``Fleet.only``.
        """
        store = ProfileStore(profiles_folder())
        fleet = check_fleet(self._data, self._field, self.folder, store, vault_entries)
        return fleet.only(self._only)


def _checked(
    fleet: Fleet, order: BatchOrder, teller: BatchTeller, vault_known: bool, *, dry_run: bool
) -> Result:
    """Nothing stands against the manifest, if nothing of an earlier run does."""
    folder = records_folder()
    with contextlib.ExitStack() as stack:
        known: LaunchList = _Nothing()
        if Records.exists(folder):
            known = LaunchStore(stack.enter_context(Records.open(folder)))
        earlier = EarlierLaunches(known, fleet)
        if order.phase is not Phase.COMPLETE and not order.resume:
            earlier.refuse_under_way(fleet)
        teller.inline(fleet.inline)
        teller.warnings(fleet.warnings)
        for planned in fleet.launches if dry_run else ():
            found = earlier.of(planned)
            teller.intended(planned, intent_of(order, found), found)
    return Result(teller.checked(fleet, vault_known=vault_known), ())


class _Nothing:
    """Records that are still to be made."""

    def list(self, *, guest: str | None = None) -> Sequence[LaunchSummary]:
        """No launch."""
        del guest
        return ()


def _no_manifest() -> UsageError:
    return UsageError(
        "bad-arguments",
        "watchword can't be called like that",
        "Argument --batch: the manifest is missing.",
        "See `watchword --batch --help`.",
    )


def _inline_not_allowed(names: Sequence[str]) -> UsageError:
    return UsageError(
        "inline-not-allowed",
        "The manifest says by itself what is sent where",
        f"Profiles stand in it, for {len(names)} launches ({names[0]} is the first): host, chips,"
        " firmware and vault entries are whoever's who wrote it. Nothing was started.",
        "Look at what `--check` lists of them, and say --allow-inline if those entries may go to"
        " those chips. Without it: `watchword guest add`, and guest = “NAME” in the manifest.",
        {"launches": list(names)},
    )


def _start_not_allowed(names: Sequence[str]) -> UsageError:
    return UsageError(
        "start-not-allowed",
        "The manifest would run commands",
        f"It has start commands, for {len(names)} launches ({names[0]} is the first). Nothing was"
        " started.",
        "Read them, and say --allow-start if they may be run. Without them: --phase prepare,"
        " start the VMs, --phase complete.",
        {"launches": list(names)},
    )
