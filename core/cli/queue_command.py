# SPDX-License-Identifier: Apache-2.0
"""``watchword queue``: makes the database ready that a fleet's jobs go through."""

from __future__ import annotations

import argparse

from .command import Parser, Subparsers, add_command, add_group
from .output import Console, Result
from .queue_options import add_queue_option, parameters_of


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``queue init``."""
    group = add_group(subparsers, "queue", "make a PostgreSQL ready for a fleet past one machine")
    init = add_command(
        group,
        "init",
        summary="make the queue's tables in a database; what is there stays",
        example="watchword queue init --queue 'postgresql:///watchword?host=/run/postgresql'",
        run=_init,
    )
    add_queue_option(init, required=True)


def _init(arguments: argparse.Namespace, console: Console) -> Result:
    parameters = parameters_of(arguments, console)
    from ..workers.guard import GUARD_SCHEMA  # noqa: PLC0415 - help needs none of it
    from ..workers.queue_errors import no_driver  # noqa: PLC0415 - as above
    from ..workers.queue_schema import apply_schema  # noqa: PLC0415 - as above

    try:
        new = apply_schema(parameters, (GUARD_SCHEMA,))
    except ImportError:
        raise no_driver() from None
    words = "The queue is made." if new else "The queue was there; what was missing is made."
    return Result({"new": new}, (words,))
