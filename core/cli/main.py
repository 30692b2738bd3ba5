# SPDX-License-Identifier: Apache-2.0
"""The entry point ``watchword``: parses, runs one command, turns errors into exit statuses."""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType

from ..errors import ExitStatus, UsageError, WatchwordError, unexpected
from .command import HelpText, Parser
from .hardening import harden_process
from .output import Console, accept_any_text

COMMANDS = {
    "platform": "verify or export a platform's certificate chain",
    "session": "make what a host needs to start the VM",
    "digest": "compute the launch digest from what the guest is to load",
    "measurement": "compute or verify a launch measurement",
    "secret": "seal secrets for a VM that was measured",
    "attest": "read a paused VM's measurement, verify it, inject the secret and let it run",
    "report": "verify attestation reports of running guests",
    "firmware": "look into firmware images",
    "image": "build encrypted disk images, look into them, and give them new keys",
    "guest": "keep profiles: what is agreed to run, and where",
    "vault": "keep secrets, and the keys of launches",
    "launch": "prepare, complete and look after launches of guest profiles",
    "evidence": "list, export and check signed documents of what was verified",
    "ledger": "show, check and search the record of what was done",
    "doctor": "look at what this machine has of what Watchword uses, and how to get the rest",
    "convert": "write certificates, launch material and packets as other tools expect them",
    "worker": "run a fleet's launches on this machine, and enrol it",
    "queue": "make a PostgreSQL ready for a fleet past one machine",
    "simulate": "serve QMP as a QEMU on a simulated SEV platform would, until `quit` or Ctrl-C",
    "rehearse": "play a whole launch against a simulated platform",
    "completion": "print what a shell needs to complete the words of Watchword's command line",
}
"""The words of the command line and their summaries; ``X_command.py`` declares the word X.

The summaries are here too, so that the list of commands costs no imports.
"""

_OPTIONS_FIRST = {
    "--batch": (".batch_command", "build_batch_parser"),
    "--watch": (".watch_command", "build_watch_parser"),
}
"""Options that stand in the place of a command: module and function that make their parser."""

_DESCRIPTION = """\
Checks the machine that a confidential VM is to run on, has the VM started there
without trusting whoever runs that machine, and hands over the disk secret only
after the VM has proved what it is (AMD SEV and SEV-ES)."""
_EPILOG = """\
exit status: 0 ok, 1 unexpected, 2 usage, 3 verification refused, 4 host
unreachable or misbehaving, 5 vault or keyring, 6 bad input file, 7 some of a
batch failed, 8 done but something was waived, 9 waiting for somebody, 130
interrupted

example:
  watchword rehearse        a whole launch against a simulated platform"""


def build_parser(words: Sequence[str]) -> Parser:
    """The parser for these words; with no known command among them, one that lists all."""
    for option, (module, build) in _OPTIONS_FIRST.items():
        if words and words[0].startswith("-") and _asks_for(option, words):
            begun: Parser = getattr(importlib.import_module(module, __package__), build)()
            begun.helped_by = f"watchword {option}"
            return begun
    parser = Parser(
        prog="watchword",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=HelpText,
        allow_abbrev=False,
    )
    if "--version" in words:
        parser.add_argument("--version", action="version", version=f"watchword {_version()}")
    else:
        parser.add_argument("--version", action="store_true", help="show the version and exit")
    parser.add_argument(
        "--batch", metavar="FLEET.toml", help="launch a fleet; see `watchword --batch --help`"
    )
    parser.add_argument(
        "--watch", metavar="WATCH.toml", help="launch on request; see `watchword --watch --help`"
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", parser_class=Parser)
    first = next((word for word in words if not word.startswith("-")), None)
    if first in COMMANDS:
        importlib.import_module(f".{first}_command", __package__).declare(subparsers)
        return parser
    for word, summary in COMMANDS.items():
        subparsers.add_parser(word, help=summary)
    return parser


def _asks_for(option: str, words: Sequence[str]) -> bool:
    options = itertools.takewhile("--".__ne__, words)
    return any(word == option or word.startswith(f"{option}=") for word in options)


def _version() -> str:
    # importlib.metadata costs as much as everything else a plain command imports.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("watchword")
    except PackageNotFoundError:
        return "(not installed)"


def main(argv: Sequence[str] | None = None, *, collect_later: bool = False) -> int:
    """Run the command line; the return value is the exit status.

    With ``collect_later`` garbage is collected again once the command is known: see start.py.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    harden_process()
    accept_any_text()
    # After "--" it is the name of a file.
    console = Console(as_json="--json" in itertools.takewhile("--".__ne__, words))
    with _terminable():
        status = _run(words, console, collect_later=collect_later)
    console.finish()
    if not console.output_lost:
        return status
    console.note("The output could not be written, or not all of it.")
    return status or int(ExitStatus.UNEXPECTED)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, unless the caller ignores it."""
    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    """Pass SIGTERM to whoever handles SIGINT now.

    While asyncio runs, that is a handler of its own, which ends the task in order: an
    exception that is raised from just anywhere can get lost in a clean-up.
    """
    del number
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):  # a shell's job in the background ignores Ctrl-C
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)


def _run(words: list[str], console: Console, *, collect_later: bool) -> int:
    try:
        arguments = build_parser(words).parse_args(words)
        if collect_later:
            gc.freeze()  # what was imported stays to the end, and is not looked at again then
            gc.enable()
        if not hasattr(arguments, "run"):
            return _no_command(words)
        result = arguments.run(arguments, console)
        console.result(result)
        return int(result.status)
    except WatchwordError as error:
        console.failure(error)
        return int(error.exit_status)
    except KeyboardInterrupt:
        console.failure(_interrupted())
        return int(ExitStatus.INTERRUPTED)
    except SystemExit as end:  # how argparse ends after --help and --version
        return int(end.code or 0)
    except Exception as error:  # noqa: BLE001 - one of the three edges
        console.failure(unexpected(error))
        return int(ExitStatus.UNEXPECTED)


def _no_command(words: list[str]) -> int:
    if words:
        raise UsageError(
            "no-command", "No command", "There is nothing to do.", "See `watchword --help`."
        )
    build_parser(()).print_help()
    return int(ExitStatus.OK)


def _interrupted() -> WatchwordError:
    return WatchwordError(
        "interrupted",
        "Interrupted",
        "The command was stopped before it was done.",
        "See above how far it came. Start again only what had not handed anything over.",
    )


if __name__ == "__main__":
    sys.exit(main())
