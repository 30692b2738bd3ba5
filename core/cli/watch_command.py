# SPDX-License-Identifier: Apache-2.0
"""``watchword --watch WATCH.toml``: launches on request, without a screen, as a service does."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..batch.json_lines import JsonLinesFile
from ..errors import UsageError, WatchwordError
from ..files import read_file
from ..guest.store import ProfileStore, profiles_folder
from ..records.database import Records, records_folder
from ..watch.approvals import pending_approvals
from ..watch.metrics import WatchMetrics
from ..watch.notify import ServiceManager
from ..watch.service import WatchService
from ..watch.settings import LARGEST_SETTINGS
from ..watch.settings_check import WatchSettings, check_settings
from ..watch.sources import sources_of
from ..watch.watch import Watch
from ..watch.watch_lock import only_watch
from .batch_process import allow_files
from .command import HelpText, Parser
from .desk_options import add_desk_options, desk_over, surroundings_of
from .output import Console, Result
from .vault_entries import entries_if_unattended
from .vault_options import opened_vault
from .watch_output import WatchTeller

if TYPE_CHECKING:
    from ..vault.vault import Vault

_DESCRIPTION = """\
Serves requests for launch blobs, and gives VMs that were started with these their
secret, without asking anything: by the profiles' own limits, on platforms that
these pin. Every launch is the ordinary one; nothing is waived.

It runs until it is stopped (SIGTERM, Ctrl-C), and reads its settings and the
profiles anew on SIGHUP; what is under way goes on. stdout has a JSON line for each
event; at a terminal, plain lines. docs/watch.md explains the settings."""
_EPILOG = """\
exit status: 0 stopped as it was told, 3 or 6 the settings can't be used or another
watch serves this home, 5 the vault can't be opened

example:
  watchword --watch watch.toml --dry-run"""


def build_watch_parser() -> Parser:
    """The parser of ``watchword --watch``."""
    parser = Parser(
        prog="watchword",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=HelpText,
        allow_abbrev=False,
    )
    # Its value may be missing so that --help comes to be read after it.
    parser.add_argument("--watch", metavar="WATCH.toml", nargs="?", help="the settings")
    parser.add_argument(
        "--dry-run", action="store_true", help="check all that is set, and start nothing"
    )
    parser.add_argument(
        "--approvals", action="store_true", help="list what waits for a decision of yours"
    )
    parser.add_argument("--allow", metavar="ID", help="allow what this approval is about")
    parser.add_argument("--refuse", metavar="ID", help="refuse what this approval is about")
    parser.add_argument(
        "--output", metavar="FILE", help="append the JSON lines to FILE instead of stdout"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines at a terminal too")
    add_desk_options(parser)
    parser.set_defaults(run=_watch)
    return parser


def _watch(arguments: argparse.Namespace, console: Console) -> Result:
    if arguments.watch is None:
        raise _no_settings()
    if arguments.approvals or arguments.allow or arguments.refuse:
        return _decide(arguments)
    with contextlib.ExitStack() as stack:
        file = None
        if arguments.output is not None:
            file = stack.enter_context(JsonLinesFile(Path(arguments.output), "--output"))
        teller = WatchTeller(console, file, as_json=arguments.json)
        try:
            return _run(arguments, console, teller)
        except WatchwordError as error:
            teller.failure(error)
            raise


def _decide(arguments: argparse.Namespace) -> Result:
    from .watch_approvals import approvals_folder, decided, listed  # noqa: PLC0415 - for this alone

    if sum((arguments.approvals, bool(arguments.allow), bool(arguments.refuse))) > 1:
        raise _one_at_a_time()
    path = Path(arguments.watch)
    folder = approvals_folder(read_file(path, str(path), LARGEST_SETTINGS), path)
    if arguments.approvals:
        return listed(folder)
    return decided(folder, arguments.allow or arguments.refuse, allow=bool(arguments.allow))


def _run(arguments: argparse.Namespace, console: Console, teller: WatchTeller) -> Result:
    teller.event({"event": "watch", "settings": str(arguments.watch)})
    manager = ServiceManager.of_this_process()
    load = _Settings(Path(arguments.watch))
    load()  # what is wrong with the settings is told before the vault is opened
    if arguments.dry_run:
        entries = entries_if_unattended(arguments, console)
        settings = load(entries)
        teller.warnings(settings)
        return Result(teller.checked(settings, vault_known=entries is not None), ())
    with contextlib.ExitStack() as stack:
        stack.enter_context(only_watch(records_folder()))
        vault = stack.enter_context(opened_vault(arguments, console))
        settings = load(_entries(vault))
        teller.warnings(settings)
        allow_files(settings.rules.jobs + settings.rules.most_waiting, _FEWER)
        # To wait for another process's lock would keep everybody waiting.
        surroundings = replace(surroundings_of(arguments, console), lock_seconds=0.0)
        records = stack.enter_context(Records.open(records_folder()))
        desk = stack.enter_context(desk_over(records, vault, surroundings, console))
        # An older copy of the records is noticed before anything begins.
        teller.event({"event": "records", "rollback": desk.rollback.value})
        metrics = WatchMetrics()
        service = WatchService(settings, load, metrics, manager, teller.event)
        watch = Watch(desk, records, surroundings, settings.rules, service.observe)
        metrics.look_at(watch.gauges, lambda: _pending(service))
        try:
            asyncio.run(_serve(service, watch, settings))
        except asyncio.CancelledError:  # told a second time
            raise KeyboardInterrupt from None
    return Result({"event": "end"}, ())


async def _serve(service: WatchService, watch: Watch, settings: WatchSettings) -> None:
    sources = sources_of(settings, lambda: service.settings.platforms, service.observe)
    with _signals(service):
        await service.run(watch, sources)


def _pending(service: WatchService) -> int:
    """How many decisions wait for a person; none where that can't be told."""
    folder = service.settings.rules.approvals
    with contextlib.suppress(WatchwordError):
        return 0 if folder is None else len(pending_approvals(folder))
    return 0


@contextlib.contextmanager
def _signals(service: WatchService) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end the service in order, and at once the second time."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def end() -> None:
        if stopping and task is not None:
            task.cancel()
        stopping.append(True)
        service.stop()

    stopping: list[bool] = []
    handlers: dict[signal.Signals, Callable[[], None]] = {
        signal.SIGTERM: end,
        signal.SIGINT: end,
        signal.SIGHUP: service.reload,
    }
    for number, handler in handlers.items():
        if before[number] is not signal.SIG_IGN or number == signal.SIGHUP:
            loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number, handler_before in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler_before)


_FEWER = "Write jobs and most_waiting into the settings that are no more than {most} together"
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class _Settings:
    """Where the settings lie; called, it reads them and the profiles that they name."""

    path: Path

    def __call__(self, entries: Collection[str] | None = None) -> WatchSettings:
        data = read_file(self.path, str(self.path), LARGEST_SETTINGS)
        folder = self.path.absolute().parent
        store = ProfileStore(profiles_folder())
        return check_settings(data, str(self.path), folder, store, entries)


def _entries(vault: Vault) -> Collection[str]:
    return [entry.name for entry in vault.list()]


def _no_settings() -> UsageError:
    return UsageError(
        "bad-arguments",
        "watchword can't be called like that",
        "Argument --watch: the settings are missing.",
        "See `watchword --watch --help`.",
    )


def _one_at_a_time() -> UsageError:
    return UsageError(
        "bad-arguments",
        "watchword can't be called like that",
        "--approvals, --allow and --refuse don't go together.",
        "Give one of them.",
    )
