# SPDX-License-Identifier: Apache-2.0
"""How a command is declared: its parser, its help with an example, and what it runs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from functools import cache

from ..errors import UsageError
from .output import Console, Result

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from typing import NoReturn

Run = Callable[[argparse.Namespace, Console], Result]

HOST_HELP = "qmp+unix:///… (or +tcp, +ssh, +tls), libvirt+qemu:///… or kubevirt://…"
"""What ``--host`` takes wherever a host is connected to."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are our errors, with their exit status and JSON form."""

    helped_by = ""
    """The words that show its help, where these are not its name."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse; what is unknown here is known to nobody, so that this command's help is named."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

    def error(self, message: str) -> NoReturn:
        """Raise UsageError ``bad-arguments``."""
        raise UsageError(
            "bad-arguments",
            f"{self.prog} can't be called like that",
            f"{message[:1].upper()}{message[1:]}.",
            f"See `{self.helped_by or self.prog} --help`.",
        )


class HelpText(argparse.RawDescriptionHelpFormatter):
    """Help as it was written, as wide as the terminal.

    argparse makes one of these for each option that is added, and would look up the
    terminal's width each time, with a module that it imports for that alone.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width())


@cache
def _width() -> int:
    try:
        columns = int(os.environ.get("COLUMNS", "")) or os.get_terminal_size().columns
    except (ValueError, OSError):
        columns = 0
    return max(columns or 80, 40) - 2


Subparsers = argparse._SubParsersAction


def whole_number(text: str) -> int:
    """A type of option: decimal digits alone, where int() would take 1_0 and other scripts' too."""
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a whole number")


def add_command(
    subparsers: Subparsers[Parser], name: str, *, summary: str, example: str, run: Run
) -> Parser:
    """A leaf command: every one has ``--json`` and shows an example in its help."""
    parser = subparsers.add_parser(
        name,
        help=summary,
        description=summary[:1].upper() + summary[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=HelpText,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)
    return parser


def add_group(subparsers: Subparsers[Parser], name: str, summary: str) -> Subparsers[Parser]:
    """A word that has commands below it, such as ``platform``."""
    parser = subparsers.add_parser(
        name,
        help=summary,
        description=summary[:1].upper() + summary[1:] + ".",
        formatter_class=HelpText,
        allow_abbrev=False,
    )
    return parser.add_subparsers(metavar="COMMAND", required=True)
