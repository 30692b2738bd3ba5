# SPDX-License-Identifier: Apache-2.0
"""``watchword worker``: a machine that runs signed jobs, its keys, and whom the owner enrols."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadInput, UsageError
from .batch_process import DEFAULT_JOBS, allow_files, start_environment
from .command import Parser, Subparsers, add_command, add_group, whole_number
from .desk_options import add_desk_options, desk_over, surroundings_of
from .output import Console, Result
from .queue_options import add_queue_option, connecting, parameters_of
from .vault_options import opened_vault
from .worker_keys_command import declare_keys

if TYPE_CHECKING:
    from ..workers.job_run import Workshop

_MOST_JOBS = 10_000
_ABOUT_RUN = """\
Takes this worker's jobs from the queue and runs each as an ordinary launch, with
vault and records of this machine, until SIGTERM or Ctrl-C. A job counts only with
the signature of the owner whose fingerprint is given; nothing else that the
database says does. What was under way is taken up by the next run.

stdout has a JSON line for each event and result; stderr has words for people."""


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``worker run`` and the commands for keys and enrolments."""
    group = add_group(subparsers, "worker", "run a fleet's launches on this machine, and enrol it")
    run = add_command(
        group,
        "run",
        summary="take signed jobs from the queue and run them",
        example="watchword worker run --queue 'postgresql://rack3@db/watchword' --owner HEX",
        run=_work,
    )
    run.description = _ABOUT_RUN
    add_queue_option(run, required=True)
    run.add_argument(
        "--owner",
        metavar="HEX",
        required=True,
        help="the owner's fingerprint, as `watchword worker owner` prints it on his machine",
    )
    run.add_argument(
        "--jobs",
        metavar="N",
        type=whole_number,
        default=DEFAULT_JOBS,
        help=f"launches that are under way at once, default {DEFAULT_JOBS}",
    )
    run.add_argument(
        "--out",
        metavar="DIR",
        help="write what hosts are given to DIR/NAME; default: a folder for each job in"
        " $WATCHWORD_HOME/jobs",
    )
    run.add_argument("--folder", metavar="DIR", help="where start commands run, default: here")
    run.add_argument(
        "--allow-start", action="store_true", help="run the start commands of signed jobs"
    )
    run.add_argument(
        "--give-up",
        metavar="REASON",
        default="",
        help="run nothing: give up each job that comes and has no packet yet, for good, so that"
        " the next --batch --resume gives it to another worker",
    )
    add_desk_options(run)
    declare_keys(group)


def _work(arguments: argparse.Namespace, console: Console) -> Result:
    from ..workers.procrastinate_queue import (  # noqa: PLC0415 - help needs none of it
        ProcrastinateQueue,
    )
    from ..workers.worker_loop import work  # noqa: PLC0415 - as above

    if not 1 <= arguments.jobs <= _MOST_JOBS:
        raise _bad_jobs()
    parameters = parameters_of(arguments, console)
    allow_files(arguments.jobs)

    async def run(made_for: Callable[..., Workshop]) -> None:
        queue = await ProcrastinateQueue.open(parameters)
        shop = made_for(queue=queue)
        shop.report({"event": "worker", "worker": shop.key.fingerprint, "owner": shop.owner})
        try:
            await work(shop, arguments.jobs)
        except asyncio.CancelledError:
            # SIGTERM: all is where the records know it.
            shop.report({"event": "ended"})
        finally:
            await queue.close()

    with _workshop(arguments, console, parameters) as made_for:
        asyncio.run(run(made_for))
    return Result({"event": "end"}, ())


@contextlib.contextmanager
def _workshop(
    arguments: argparse.Namespace, console: Console, parameters: dict[str, str]
) -> Iterator[Callable[..., Workshop]]:
    """Makes what the worker works with of a queue, which belongs to an event loop."""
    from ..launch.launch_lock import LaunchLock  # noqa: PLC0415 - help needs none of it
    from ..ledger.ledger import Ledger  # noqa: PLC0415 - as above
    from ..records.database import Records, records_folder  # noqa: PLC0415 - as above
    from ..workers.guard import JobGuard, PostgresSeals  # noqa: PLC0415 - as above
    from ..workers.job_journal import JobJournal, brought_back  # noqa: PLC0415 - as above
    from ..workers.job_run import Workshop  # noqa: PLC0415 - as above
    from ..workers.lending import take_all_back  # noqa: PLC0415 - as above
    from ..workers.owner_key import pinned_owner  # noqa: PLC0415 - as above
    from ..workers.worker_key import open_worker_key  # noqa: PLC0415 - as above
    from ..workers.worker_store import WorkerStore  # noqa: PLC0415 - as above
    from .batch_output import BatchTeller  # noqa: PLC0415 - as above

    console.as_json = True
    owner, home = pinned_owner(arguments.owner), records_folder()
    with contextlib.ExitStack() as stack:
        vault = stack.enter_context(opened_vault(arguments, console))
        key = stack.enter_context(open_worker_key(vault))
        try:
            lock = LaunchLock.take(home, "worker-run", "", 0)
        except BadInput as error:
            raise _runs_already(error) from None
        stack.callback(lock.release)
        store = stack.enter_context(WorkerStore.open(home))
        guard = JobGuard(store, PostgresSeals(connecting(parameters)))
        surroundings = replace(
            surroundings_of(arguments, console), lock_seconds=0.0, before_sealing=guard
        )
        records = stack.enter_context(Records.open(home))
        desk = stack.enter_context(desk_over(records, vault, surroundings, console))
        teller = stack.enter_context(BatchTeller(console, None))
        # An older copy of the records is noticed before the ledger is believed.
        teller.event({"event": "records", "rollback": desk.rollback.value})
        rows = store.stand_by(JobJournal(ledger := Ledger(records)))
        if rows:
            teller.warnings([brought_back(store.WORD, store.path, rows)])
        take_all_back(vault, store)  # the run before may have been killed
        folder = Path(arguments.folder or ".").absolute()
        yield partial(
            Workshop,
            key=key,
            owner=owner,
            desk=desk,
            surroundings=surroundings,
            vault=vault,
            store=store,
            guard=guard,
            ledger=ledger,
            files=home / "jobs",
            folder=folder,
            out=None if arguments.out is None else Path(arguments.out).absolute(),
            environment=start_environment(),
            allow_start=arguments.allow_start,
            report=teller.event,
            give_up=arguments.give_up,
        )


def _bad_jobs() -> UsageError:
    return UsageError(
        "bad-arguments",
        "watchword worker run can't be called like that",
        f"Argument --jobs: give a number from 1 to {_MOST_JOBS}.",
        "See `watchword worker run --help`.",
    )


def _runs_already(error: BadInput) -> BadInput:
    if error.code != "launch-busy":
        return error
    return BadInput(
        "worker-runs-already",
        "this worker",
        error.message.replace("working on it", "this worker already"),
        "One process is one worker. For a second one on this machine give it a home of its own"
        " (WATCHWORD_HOME), with keys of its own.",
    )
