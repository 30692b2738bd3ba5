# SPDX-License-Identifier: Apache-2.0
"""``watchword --batch --queue``: the same manifest, run by workers on any number of machines."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadInput, UsageError
from .command import whole_number
from .output import Console
from .queue_options import add_queue_option, parameters_of

if TYPE_CHECKING:
    from ..batch.fleet import Fleet
    from ..batch.intent import BatchOrder
    from ..batch.results import BatchSummary
    from ..vault.vault import Vault
    from ..workers.assignments import Assignments
    from ..workers.dispatch import Dispatcher
    from ..workers.enrolment import Workers
    from .batch_output import BatchTeller

_MOST_FILES = 10_000
_PATIENCE = 120


def add_worker_options(parser: argparse.ArgumentParser) -> None:
    """``--queue`` and what belongs to it."""
    group = parser.add_argument_group("past one machine")
    add_queue_option(group, required=False)
    group.add_argument(
        "--worker",
        metavar="FILE",
        action="append",
        default=[],
        help="an enrolment that `watchword worker enrol` wrote, or a folder of nothing else; may"
        " be given again",
    )
    group.add_argument(
        "--secrets-at-workers",
        action="store_true",
        help="the workers' own vaults hold the secrets: none is sealed and sent to them",
    )
    group.add_argument(
        "--patience",
        metavar="SECONDS",
        type=whole_number,
        default=_PATIENCE,
        help=f"how long a worker may be silent, default {_PATIENCE}",
    )
    group.add_argument(
        "--lost-worker",
        metavar="NAME",
        action="append",
        default=[],
        help="with --resume: this worker never comes back, and the owner has looked that its"
        " guests don't run; others launch them anew",
    )


def check_worker_options(arguments: argparse.Namespace) -> None:
    """UsageError ``bad-arguments`` for what does not go together."""
    if arguments.queue is None:
        if arguments.worker or arguments.lost_worker or arguments.secrets_at_workers:
            raise _bad("--worker and its like belong to --queue.")
    elif arguments.dry_run:
        raise _bad("--dry-run looks at the records here, and not at the workers'; use --check.")
    elif not arguments.worker:
        raise _bad("--queue needs --worker: who may be given jobs.")
    if arguments.lost_worker and not (arguments.resume or arguments.retry_failed):
        raise _bad("--lost-worker goes with --resume.")


def run_by_workers(
    arguments: argparse.Namespace,
    console: Console,
    teller: BatchTeller,
    vault: Vault,
    *,
    fleet: Fleet,
    order: BatchOrder,
) -> BatchSummary:
    """Have the fleet run by the workers that were named; raises as Dispatcher.run does."""
    from ..evidence.signing_key import signer_fingerprint  # noqa: PLC0415 - with --queue alone
    from ..launch.surroundings import now_utc  # noqa: PLC0415 - as above
    from ..workers.dispatch import Dispatcher  # noqa: PLC0415 - as above
    from ..workers.enrolment import Workers  # noqa: PLC0415 - as above
    from ..workers.owner_key import owner_key  # noqa: PLC0415 - as above

    parameters = parameters_of(arguments, console)
    with contextlib.ExitStack() as stack:
        seed = owner_key(vault)
        stack.callback(seed.wipe)
        owner = signer_fingerprint(seed)
        workers = Workers.from_files(_files(arguments.worker), owner, now_utc())
        assignments, note = stack.enter_context(_assignments(vault, teller))
        made_for = partial(
            Dispatcher,
            assignments=assignments,
            note=note,
            workers=workers,
            owner_key=seed,
            owner=owner,
            vault=None if arguments.secrets_at_workers else vault,
            order=order,
            report=teller.event,
            clock=now_utc,
            patience=float(max(arguments.patience, 1)),
        )
        teller.begin(len(fleet.launches))
        return asyncio.run(_run(made_for, parameters, fleet, arguments.lost_worker))


@contextlib.contextmanager
def _assignments(
    vault: Vault, teller: BatchTeller
) -> Iterator[tuple[Assignments, Callable[[], None]]]:
    """The owner's assignments with all that the ledger knows, and what notes the ledger's head."""
    from ..ledger.anchor import check_anchor  # noqa: PLC0415 - with --queue alone
    from ..ledger.ledger import Ledger  # noqa: PLC0415 - as above
    from ..records.database import Records, records_folder  # noqa: PLC0415 - as above
    from ..workers.assignments import Assignments  # noqa: PLC0415 - as above
    from ..workers.job_journal import JobJournal, brought_back, note_head  # noqa: PLC0415 - as above

    home = records_folder()
    with Records.open(home) as records, Assignments.open(home) as assignments:
        ledger = Ledger(records)
        rollback = check_anchor(ledger, vault.ledger_head)
        teller.event({"event": "records", "rollback": rollback.value})
        rows = assignments.stand_by(JobJournal(ledger))
        if rows:
            teller.warnings([brought_back(assignments.WORD, assignments.path, rows)])
        yield assignments, partial(note_head, ledger, vault)


async def _run(
    made_for: Callable[..., Dispatcher],
    parameters: dict[str, str],
    fleet: Fleet,
    lost: list[str],
) -> BatchSummary:
    from ..workers.procrastinate_queue import (  # noqa: PLC0415 - with --queue alone
        ProcrastinateQueue,
    )

    queue = await ProcrastinateQueue.open(parameters)
    try:
        dispatcher = made_for(queue=queue)
        for name in lost:
            _declare_lost(name, dispatcher, fleet)
        dispatcher.workers = _without(dispatcher.workers, lost)
        return await dispatcher.run(fleet)
    finally:
        await queue.close()


def _files(given: list[str]) -> list[Path]:
    """The enrolments' files; a folder stands for all that is in it."""
    found: list[Path] = []
    for path in map(Path, given):
        try:
            found += sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError as fault:
            why = fault.strerror or "it can't be read"
            raise BadInput(
                "bad-folder", "--worker", f"{path}: {why}.", "Name a folder that can be read."
            ) from None
    return found[: _MOST_FILES + 1]


def _declare_lost(name: str, dispatcher: Dispatcher, fleet: Fleet) -> None:
    """Close the open turns that a worker has, on the owner's word."""
    owner, assignments = dispatcher.owner, dispatcher.assignments
    lost = dispatcher.workers.by_name(name).fingerprint
    for planned in fleet.launches:
        turn = assignments.open_turn(owner, planned.profile.name, planned.host)
        if turn is not None and turn.worker == lost:
            assignments.declare_lost(turn, f"--lost-worker {name}")
            dispatcher.report({"event": "lost", "name": planned.name, "worker": name})


def _without(workers: Workers, lost: list[str]) -> Workers:
    from ..workers.enrolment import Workers as _Workers  # noqa: PLC0415 - with --queue alone

    left = [one for one in workers if one.worker not in lost]
    if not left:
        raise _bad("--lost-worker leaves no worker that could be given jobs.")
    return _Workers(left)


def _bad(why: str) -> UsageError:
    return UsageError(
        "bad-arguments",
        "watchword can't be called like that",
        why,
        "See `watchword --batch --help`.",
    )
