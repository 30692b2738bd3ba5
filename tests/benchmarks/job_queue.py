# SPDX-License-Identifier: Apache-2.0
"""What a fleet's queue costs PostgreSQL: ``python tests/benchmarks/job_queue.py 2000`` (jobs).

A private PostgreSQL with lasting commits; one process puts, another part of it takes, answers
and reads, with jobs and answers of the size that real ones have. No launch is made.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core" / "workers"))

from postgres import Cluster, postgres_programs

from watchword.core.workers.guard import GUARD_SCHEMA, Claim, PostgresSeals
from watchword.core.workers.procrastinate_queue import ProcrastinateQueue
from watchword.core.workers.queue_address import queue_parameters
from watchword.core.workers.queue_schema import apply_schema

JOB_BYTES, ANSWER_BYTES = 2500, 1450
AT_ONCE = 50


class Meter:
    """Times a part, and asks PostgreSQL what it was."""

    def __init__(self, cluster, url, count):
        self._cluster, self._url, self._count = cluster, url, count

    def _told(self):
        self._cluster.psql("SELECT pg_stat_force_next_flush()", self._url)
        time.sleep(1.2)  # statistics of other sessions come late
        words = (
            "SELECT xact_commit, tup_inserted, tup_updated, tup_deleted,"
            " pg_current_wal_lsn() - '0/0'::pg_lsn, pg_database_size(current_database())"
            " FROM pg_stat_database WHERE datname = current_database()"
        )
        return [int(float(one)) for one in self._cluster.psql(words, self._url).split("|")]

    async def part(self, name, work):
        before, began = self._told(), time.monotonic()
        await work
        seconds = time.monotonic() - began
        names = ("commits", "rows in", "rows changed", "rows out", "log bytes", "disk bytes")
        grown = [after - old for after, old in zip(self._told(), before, strict=True)]
        each = ", ".join(
            f"{one / self._count:.1f} {what}" for what, one in zip(names, grown, strict=True)
        )
        print(f"{name}: {self._count / seconds:.0f}/s; each {each}")


async def each(count, action):
    """Do it for each number, so many at once."""
    numbers = iter(range(count))

    async def work():
        for number in numbers:
            await action(number)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def measure(cluster, url, count):
    parameters = queue_parameters(url)
    queue = await ProcrastinateQueue.open(parameters)
    meter, job, answer = Meter(cluster, url, count), os.urandom(JOB_BYTES), os.urandom(ANSWER_BYTES)
    await queue.begin("w")

    async def connect():
        import psycopg

        return await psycopg.AsyncConnection.connect(**parameters)

    seals = PostgresSeals(connect)
    name = "{:064x}".format

    async def one(number):
        taken = await queue.take("w")
        claim = Claim(name(number), 1, name(7), f"launch-{number}", name(number))
        assert await seals.claim(claim) is None
        await queue.answer("owner", name(number), answer)
        await queue.finish(taken)

    async def read():
        ids = {name(number) for number in range(count)}
        while found := await queue.answers(ids):
            await queue.remove_answers(found)

    try:
        putting = each(count, lambda number: queue.put("w", name(number), job))
        await meter.part("put", putting)
        await meter.part("take, claim the sealing, answer, finish", each(count, one))
        await meter.part("read the answers, 100 at once", read())
    finally:
        await queue.close()


if __name__ == "__main__":
    programs = postgres_programs()
    assert programs is not None, "apt install postgresql"
    with Cluster(programs, lasting=True) as made:
        database = made.database()
        apply_schema(queue_parameters(database), (GUARD_SCHEMA,))
        asyncio.run(measure(made, database, int(sys.argv[1])))
