# SPDX-License-Identifier: Apache-2.0
"""``watchword guest``: profiles, which say what the owner agreed should run."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from ..errors import ExitStatus, WatchwordError
from ..guest.approvals import APPROVABLE
from ..guest.approving import approve
from ..guest.document import profile_from_document
from ..guest.report import check_profile
from ..guest.store import ProfileStore, profiles_folder
from .command import Parser, Subparsers, add_command, add_group
from .guest_draft_command import declare_draft
from .guest_edit_command import declare_edit
from .guest_host import host_findings
from .guest_options import add_profile_options, document_from_options
from .guest_output import (
    approval_lines,
    profile_json,
    profile_lines,
    report_lines,
    warn_of_weak_spots,
)
from .guest_transfer_command import declare_transfer
from .output import Console, Result
from .vault_options import add_vault_options


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``guest add|list|show|draft|edit|check|remove|export|import``."""
    group = add_group(subparsers, "guest", "keep profiles: what is agreed to run, and where")
    add = add_command(
        group,
        "add",
        summary="make a profile, and approve the files that it names as they are now",
        example="watchword guest add vm1 --firmware OVMF.amdsev.fd --vcpus 1-8 --cpu EPYC-Milan"
        " --secret disk-passphrase=vm1/disk",
        run=_add,
    )
    add.add_argument("name", metavar="NAME", help="letters, digits, dots, hyphens, underscores")
    add_profile_options(add)
    add_command(
        group, "list", summary="list all profiles", example="watchword guest list --json", run=_list
    )
    show = add_command(
        group,
        "show",
        summary="show a profile, with its policy in words",
        example="watchword guest show vm1",
        run=_show,
    )
    check = add_command(
        group,
        "check",
        summary="hold a profile against its files as they are now, and say what is weak in it",
        example="watchword guest check vm1",
        run=_check,
    )
    remove = add_command(
        group,
        "remove",
        summary="remove a profile; its files and secrets stay",
        example="watchword guest remove vm1",
        run=_remove,
    )
    for parser in (show, check, remove):
        parser.add_argument("name", metavar="NAME", help="the profile")
    add_vault_options(check)
    declare_draft(group)
    declare_edit(group)
    declare_transfer(group)


def _store() -> ProfileStore:
    return ProfileStore(profiles_folder())


def _add(arguments: argparse.Namespace, console: Console) -> Result:
    now = datetime.now(UTC)
    field = f"guest profile {arguments.name[:64]}"
    profile = profile_from_document(document_from_options(arguments, now), field)
    profile, approvals = approve(profile, APPROVABLE, now)
    path = _store().add(profile)
    warn_of_weak_spots(profile, console)
    payload: dict[str, object] = {
        "name": profile.name,
        "path": str(path),
        "approved": [approval.as_json() for approval in approvals],
        "profile": profile_json(profile),
    }
    lines = (f"Guest profile {profile.name} is kept in {path}.", *approval_lines(approvals))
    return Result(payload, lines)


def _list(arguments: argparse.Namespace, console: Console) -> Result:
    del arguments, console
    store = _store()
    rows: list[dict[str, object]] = []
    lines: list[str] = []
    for name in store.names():
        row: dict[str, object] = {"name": name, "path": str(store.path(name))}
        try:
            profile = store.load(name).profile
        except WatchwordError as error:
            row["error"] = error.as_json()
            lines.append(f"{name}: can't be used. {error.message}")
        else:
            row |= {
                "technology": profile.technology,
                "policy": profile.policy.value,
                "host": profile.host,
                "description": profile.description,
            }
            about = [profile.technology, f"policy 0x{profile.policy.value:x}"]
            about += [text for text in (profile.host, profile.description) if text]
            lines.append(f"{name}: {', '.join(about)}")
        rows.append(row)
    if not rows:
        lines.append("There are no guest profiles yet; `watchword guest add` makes one.")
    return Result({"guests": rows}, tuple(lines))


def _show(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    stored = _store().load(arguments.name)
    payload: dict[str, object] = {
        "name": stored.profile.name,
        "path": str(stored.path),
        "policy": stored.profile.policy.value,
        "policy_in_words": list(stored.profile.policy.in_words()),
        "profile": profile_json(stored.profile),
    }
    return Result(payload, (*profile_lines(stored.profile), f"kept in {stored.path}"))


def _check(arguments: argparse.Namespace, console: Console) -> Result:
    profile = _store().load(arguments.name).profile
    entries = None
    if profile.secrets:
        from .vault_entries import entries_if_unattended  # noqa: PLC0415 - for secrets alone

        entries = entries_if_unattended(arguments, console)
    report = check_profile(profile, entries, host_findings(profile))
    status = ExitStatus.OK if report.error is None else report.error.exit_status
    return Result(report.as_json(), report_lines(report), status, report.error)


def _remove(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    path = _store().remove(arguments.name)
    return Result(
        {"name": arguments.name, "path": str(path)},
        (f"Guest profile {arguments.name} is removed ({path}).",),
    )
