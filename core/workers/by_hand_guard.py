# SPDX-License-Identifier: Apache-2.0
"""The guard for launches by hand: what signed jobs launch is sealed for no one else.

A worker's own run has a guard of its own and never asks this one. A packet that was sealed
before may be sent again: nobody is asked for that.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from ..errors import VerificationRefused
from ..launch.sealing_guard import BeforeSealing, SealIntent

# As WorkerStore and Assignments have them, which are loaded only where the files are.
WORKER_FILE: Final = "worker.sqlite3"
OWNER_FILE: Final = "assignments.sqlite3"


def by_hand_guard(home: Path) -> BeforeSealing:
    """Asks what worker and owner have noted beside the records in ``home``, where they have.

    Asked first, it has the ledger bring back what those files lack. Raises VerificationRefused
    ``guest-of-jobs`` for a guest that this worker has had a job for, at whatever host (a launch
    can be told of another one), ``guest-at-a-worker`` where a worker has the open turn of the
    guest at the host, and as the two's ``stand_by``; BadInput as SmallDatabase does.
    """
    newest: set[Path] = set()

    async def ask(intent: SealIntent) -> None:
        # Another process may hold a file for a while, and others share this loop.
        if home not in newest:
            await asyncio.to_thread(_bring_back, home)
            newest.add(home)
        await asyncio.to_thread(_check, home, intent)

    return ask


def _bring_back(home: Path) -> None:
    """What an older copy of the two files lacks, or all of it where they are gone."""
    from ..ledger.ledger import Ledger  # noqa: PLC0415 - for launches alone
    from ..records.database import Records  # noqa: PLC0415 - as above
    from .job_journal import AT_OWNERS, AT_WORKERS, JobJournal  # noqa: PLC0415 - as above

    if not Records.exists(home):
        return
    with Records.open(home) as records:
        journal = JobJournal(Ledger(records))
        if journal.noted(AT_WORKERS):
            from .worker_store import WorkerStore  # noqa: PLC0415 - on workers alone

            with WorkerStore.open(home) as store:
                store.stand_by(journal)
        if journal.noted(AT_OWNERS):
            from .assignments import Assignments  # noqa: PLC0415 - where jobs are signed alone

            with Assignments.open(home) as assignments:
                assignments.stand_by(journal)


def _check(home: Path, intent: SealIntent) -> None:
    if (home / WORKER_FILE).exists():
        from .worker_store import WorkerStore  # noqa: PLC0415 - on workers alone

        with WorkerStore.open(home) as store:
            if store.takes_jobs_for(intent.guest):
                raise _of_jobs(intent)
    if (home / OWNER_FILE).exists():
        from .assignments import Assignments  # noqa: PLC0415 - where jobs are signed alone

        with Assignments.open(home) as assignments:
            turn = assignments.open_at(intent.guest, intent.host)
        if turn is not None:
            raise _at_a_worker(intent, turn.worker, turn.turn)


def _of_jobs(intent: SealIntent) -> VerificationRefused:
    return VerificationRefused(
        "guest-of-jobs",
        "This guest is launched by signed jobs",
        f"This worker has had a job for {intent.guest}, so that another worker may have, or get,"
        " the next one. A launch by hand would know nothing of that.",
        "Nothing was sealed. Have the owner dispatch the guest again with --retry-failed, and run"
        " `watchword worker run` here. A launch by hand needs another home (WATCHWORD_HOME).",
        {"launch": intent.launch_id, "guest": intent.guest, "host": intent.host},
    )


def _at_a_worker(intent: SealIntent, worker: str, turn: int) -> VerificationRefused:
    return VerificationRefused(
        "guest-at-a-worker",
        "A worker has this guest",
        f"Launch {turn} of {intent.guest} at {intent.host} was given to the worker {worker}, which"
        " has not said that it is done or given up.",
        "Nothing was sealed. Let that worker finish, or give the job up (`watchword worker run"
        " --give-up`) and hear of it with `watchword --batch … --queue … --resume`.",
        {"launch": intent.launch_id, "worker": worker, "turn": turn},
    )
