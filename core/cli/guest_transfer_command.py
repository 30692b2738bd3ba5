# SPDX-License-Identifier: Apache-2.0
"""``watchword guest export`` and ``guest import``: profiles that go from one owner to another."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..files import read_file
from ..guest.approving import accept_claims, withdraw_approvals
from ..guest.document import (
    LARGEST_PROFILE,
    profile_from_document,
    profile_text,
    read_profile,
)
from ..guest.profile import GuestProfile
from ..guest.store import ProfileStore, profiles_folder
from .command import Parser, Subparsers, add_command
from .guest_host import readable_host
from .guest_output import profile_json, profile_lines, warn_of_weak_spots
from .new_files import NewFile, refuse_existing, write_new_files
from .output import Console, Result


def declare_transfer(group: Subparsers[Parser]) -> None:
    """Add ``guest export`` and ``guest import``."""
    export = add_command(
        group,
        "export",
        summary="print a profile, or write it to a file; there are no secrets in it",
        example="watchword guest export vm1 --out vm1.toml --redact-host",
        run=_export,
    )
    export.add_argument("name", metavar="NAME", help="the profile")
    export.add_argument("--out", metavar="FILE", help="write it there instead")
    export.add_argument("--redact-host", action="store_true", help="leave the host's URL out")
    take = add_command(
        group,
        "import",
        summary="take a profile in, and show what it would approve; nothing of it counts yet",
        example="watchword guest import vm1.toml --name vm2",
        run=_import,
    )
    take.add_argument("file", metavar="FILE", help="what `guest export` wrote")
    take.add_argument("--name", metavar="NAME", help="keep it under this name")
    take.add_argument(
        "--accept", action="store_true", help="approve every hash in it, as it stands there"
    )
    take.add_argument("--accept-host", action="store_true", help="take its host URL too")


def _export(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    profile = ProfileStore(profiles_folder()).load(arguments.name).profile
    if arguments.redact_host:
        profile = _with(profile, host=None)
    text = profile_text(profile)
    payload: dict[str, object] = {"name": profile.name, "profile": profile_json(profile)}
    if arguments.out is None:
        return Result({**payload, "toml": text}, tuple(text.splitlines()))
    path = Path(arguments.out)
    refuse_existing([path], "--out", "Name a new file.")
    write_new_files([NewFile(path, text.encode(), "--out")])
    return Result({**payload, "path": str(path)}, (f"{profile.name} is written to {path}.",))


def _import(arguments: argparse.Namespace, console: Console) -> Result:
    given = read_profile(read_file(arguments.file, "FILE", LARGEST_PROFILE), arguments.file)
    host = readable_host(given.host) if given.host and arguments.accept_host else None
    # How many of them may be launched while nobody looks is this owner's alone to say.
    profile = _with(given, host=host, watch=None, name=arguments.name or given.name)
    if arguments.accept:
        profile = accept_claims(profile, datetime.now(UTC))
    else:
        profile = withdraw_approvals(profile)
    path = ProfileStore(profiles_folder()).add(profile)
    warn_of_weak_spots(profile, console)
    left_out = given.host if host is None else None
    payload: dict[str, object] = {
        "name": profile.name,
        "path": str(path),
        "approved": arguments.accept,
        "host_left_out": left_out,
        "watch_left_out": given.watch is not None,
        "vault_entries": sorted(set(profile.secrets.values())),
        "profile": profile_json(profile),
    }
    lines = [*profile_lines(profile), f"Guest profile {profile.name} is kept in {path}."]
    if given.watch is not None:
        lines.append(
            "What it lets a watch do was left out: that is yours to say (--set watch.KEY)."
        )
    return Result(payload, (*lines, *_advice(profile, left_out, accepted=arguments.accept)))


def _with(profile: GuestProfile, **changes: Any) -> GuestProfile:
    document = {**profile.to_document(), **changes}
    kept = {key: value for key, value in document.items() if value is not None}
    return profile_from_document(kept, f"guest profile {profile.name}")


def _advice(profile: GuestProfile, host: str | None, *, accepted: bool) -> list[str]:
    lines = []
    if host is not None:
        lines.append(f"Its host {host} was left out: --accept-host would have taken it.")
    if profile.secrets:
        lines.append(
            "A launch would hand these entries of your vault to the guest, if there are any of"
            f" these names: {', '.join(sorted(set(profile.secrets.values())))}."
        )
    if not accepted:
        lines.append(
            "Nothing in it is approved yet. Look at it with `watchword guest check"
            f" {profile.name}`, then approve it with `watchword guest edit {profile.name}"
            " --approve all`."
        )
    return lines
