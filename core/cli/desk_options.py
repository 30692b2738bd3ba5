# SPDX-License-Identifier: Apache-2.0
"""Opens the desk: vault and records as the options say, and AMD's copies of CEKs."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import WatchwordError
from ..launch.desk import LaunchDesk
from ..launch.surroundings import Surroundings
from ..records.database import Records, records_folder
from .output import Console
from .platform_options import add_key_service_option
from .vault_options import add_vault_options, opened_vault

if TYPE_CHECKING:
    from ..vault.vault import Vault

_MOST_TOLD = 5


def add_desk_options(parser: argparse.ArgumentParser) -> None:
    """``--fetch-cek``, ``--key-service``, and the options that open the vault."""
    parser.add_argument(
        "--fetch-cek",
        action="store_true",
        help="ask AMD's key service where a CEK came unsigned; it learns the chip id",
    )
    add_key_service_option(parser)
    add_vault_options(parser)


def surroundings_of(arguments: argparse.Namespace, console: Console) -> Surroundings:
    """Hosts, time, randomness, AMD's keys and the owner's deny-list, all of them the real ones.

    What signed jobs launch is not sealed for anybody else.
    """
    from ..workers.by_hand_guard import by_hand_guard  # noqa: PLC0415 - for launches alone
    from .cek_options import cek_source  # noqa: PLC0415 - a check needs no key service

    source, home = cek_source(arguments, console, online=arguments.fetch_cek), records_folder()
    surroundings = Surroundings.of_this_machine(home, more_certificates=source.more_certificates)
    return replace(surroundings, before_sealing=by_hand_guard(home))


@contextlib.contextmanager
def opened_desk(arguments: argparse.Namespace, console: Console) -> Iterator[LaunchDesk]:
    """The desk over the user's vault and records; at its end the keyring takes note of both.

    Raises as Vault.open and Records.open do.
    """
    with contextlib.ExitStack() as stack:
        vault = stack.enter_context(opened_vault(arguments, console))
        surroundings = surroundings_of(arguments, console)
        records = stack.enter_context(Records.open(records_folder()))
        yield stack.enter_context(desk_over(records, vault, surroundings, console))


@contextlib.contextmanager
def desk_over(
    records: Records, vault: Vault, surroundings: Surroundings, console: Console
) -> Iterator[LaunchDesk]:
    """The desk; that the keyring does not take note at its end is no reason to lose results.

    Keys that serve no launch any more are told of.
    """
    desk = LaunchDesk(records, vault, surroundings)
    try:
        yield desk
        _tell_stray_keys(desk, console)
    finally:
        try:
            desk.close()
        except WatchwordError as error:
            console.note(
                "warning: what was done is recorded, but the newest state could not be noted, so"
                f" that an older copy may go unnoticed. {error.title}: {error.message}"
            )


def _tell_stray_keys(desk: LaunchDesk, console: Console) -> None:
    with contextlib.suppress(WatchwordError):  # what was asked for is done
        stray = desk.stray_keys
        for launch_id in stray.unknown[:_MOST_TOLD]:
            console.note(
                f"warning: the vault has keys of launch {launch_id}, which is not in the records."
                " If the records are elsewhere, find them; else remove the keys:"
                f" `watchword vault remove launch/{launch_id}/tek`, and so on."
            )
        for launch_id in stray.unfinished[:_MOST_TOLD]:
            console.note(
                f"warning: the vault has keys of launch {launch_id}, whose launch blob nobody was"
                f" given. Take it on with `watchword launch resume {launch_id}`, or give it up"
                " with `watchword launch abandon`."
            )
