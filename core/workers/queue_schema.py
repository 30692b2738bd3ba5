# SPDX-License-Identifier: Apache-2.0
"""The tables of the queue: Procrastinate's own, and beside them answers, files and workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from .job_queue import LARGEST_ANSWER, LARGEST_FILE, LARGEST_JOB
from .queue_errors import database_words, unreachable

TABLES: Final = f"""\
CREATE TABLE IF NOT EXISTS watchword_answers (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job text NOT NULL CHECK (octet_length(job) <= 64),
    body bytea NOT NULL CHECK (octet_length(body) <= {LARGEST_ANSWER}),
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS watchword_answers_of_job ON watchword_answers (job);
CREATE TABLE IF NOT EXISTS watchword_files (
    sha256 text PRIMARY KEY CHECK (octet_length(sha256) <= 64),
    content bytea NOT NULL CHECK (octet_length(content) <= {LARGEST_FILE}),
    at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS watchword_workers (
    worker text PRIMARY KEY CHECK (octet_length(worker) <= 64),
    seen timestamptz NOT NULL DEFAULT now()
);
"""
BOUNDED_JOBS: Final = f"""\
ALTER TABLE procrastinate_jobs ADD CONSTRAINT watchword_jobs_bounded
CHECK (octet_length(args::text) <= {2 * LARGEST_JOB})
"""
"""For a table that was just made: a job is base64 there, with a little around it."""
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtext('watchword queue init'))"


def apply_schema(parameters: Mapping[str, str], more: Sequence[str] = ()) -> bool:
    """Make what is missing in the database, all of it or nothing; whether anything was made new.

    ``more``: statements that may be run again. Raises HostError ``queue-unreachable`` or
    ``queue-refused``.
    """
    import psycopg  # noqa: PLC0415 - an extra, and slow to import
    from procrastinate.schema import SchemaManager  # noqa: PLC0415 - as above

    options: dict[str, str] = dict(parameters)
    try:
        connection = psycopg.connect(**options)  # type: ignore[arg-type]
    except psycopg.Error as fault:
        raise unreachable(fault) from None
    try:
        with connection:
            connection.execute(_ONE_AT_A_TIME)
            found = connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone()
            new = found is None or found[0] is None
            if new:
                connection.execute(SchemaManager.get_schema())
                connection.execute(BOUNDED_JOBS)
            connection.execute(TABLES)
            for statement in more:
                connection.execute(statement)
    except psycopg.Error as fault:
        raise database_words(fault) from None
    return new
