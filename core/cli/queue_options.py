# SPDX-License-Identifier: Apache-2.0
"""The option that says where the queue is."""

from __future__ import annotations

import argparse
import os

from .output import Console

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from ..workers.guard import Connect

_PASSWORD_VARIABLE = "PGPASSWORD"  # noqa: S105 - the name of a variable


def add_queue_option(parser: argparse._ActionsContainer, *, required: bool) -> None:
    """``--queue``."""
    parser.add_argument(
        "--queue",
        metavar="URL",
        required=required,
        help="postgresql://USER@HOST/DATABASE, or postgresql:///DATABASE?host=/run/postgresql;"
        " its password is in ~/.pgpass or the file that PGPASSFILE names",
    )


def parameters_of(arguments: argparse.Namespace, console: Console) -> dict[str, str]:
    """What libpq is told; UsageError as ``queue_parameters``."""
    from ..workers.queue_address import queue_parameters  # noqa: PLC0415 - with --queue alone

    if _PASSWORD_VARIABLE in os.environ:
        console.note(
            f"warning: {_PASSWORD_VARIABLE} is set: whoever may look at this process can read it."
            " A password file (~/.pgpass, mode 0600) is safer."
        )
    return queue_parameters(arguments.queue)


def connecting(parameters: dict[str, str]) -> Connect:
    """Opens a connection for the guard's one question."""

    async def connect():  # type: ignore[no-untyped-def]  # noqa: ANN202 - the driver is an extra
        import psycopg  # noqa: PLC0415 - as above

        return await psycopg.AsyncConnection.connect(**parameters)  # type: ignore[arg-type]

    return connect
