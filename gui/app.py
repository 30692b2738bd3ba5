# SPDX-License-Identifier: Apache-2.0
"""Where ``watchword-gui`` starts: everything is checked here before Qt is loaded, without Qt."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence

from watchword.core.cli.hardening import harden_process
from watchword.core.cli.output import printable
from watchword.core.errors import ExitStatus, UsageError

from .early_checks import Surroundings, find_problem


def main(argv: Sequence[str] | None = None) -> int:
    """Show the window until it is closed; exit status 2 (usage) where there can't be one.

    After ``--try`` it is the launch's own, as ``watchword rehearse`` has it.
    """
    arguments = _parse(argv)
    harden_process()
    problem = _find_problem(arguments)
    if problem is None:
        from .bindings_check import bindings_problem  # noqa: PLC0415 - Qt is known to load now

        problem = bindings_problem()
    if problem is not None:
        return _refuse(problem)
    if arguments.check:
        return int(ExitStatus.OK)
    # Imports make many objects and no garbage; collector.py looks for it once the window is seen.
    gc.disable()
    from .application import run  # noqa: PLC0415 - as above

    return run(try_it_now=arguments.try_it_now, attack=arguments.attack)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.attack is not None and not arguments.try_it_now:
        parser.error("--attack needs --try: only a simulated host can be told to lie")
    return arguments


def _find_problem(arguments: argparse.Namespace) -> UsageError | None:
    if arguments.attack is not None:
        from watchword.core.rehearsal.stepwise import (  # noqa: PLC0415 - only if it is asked for
            hostile_behaviour,
        )

        try:
            hostile_behaviour(arguments.attack)
        except UsageError as error:
            return error
    return find_problem(Surroundings.of_this_machine(os.environ))


def _refuse(problem: UsageError) -> int:
    words = f"{problem.title}. {problem.message} {problem.remedy}"
    sys.stderr.write(f"{printable(words)}\n")
    return int(problem.exit_status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="watchword-gui",
        description="Watchword's window. The same things without one: `watchword --help`.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--try",
        dest="try_it_now",
        action="store_true",
        help="a launch on a SIMULATED platform and nothing else; exits with the launch's status",
    )
    parser.add_argument(
        "--attack", metavar="ATTACK", help="with --try: let the simulated host misbehave"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="show nothing; exit status 0 if a window can be shown here, else 2 and the reason",
    )
    return parser
