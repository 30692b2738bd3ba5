# SPDX-License-Identifier: Apache-2.0
"""``watchword guest edit``: change a profile, and approve files anew, old and new shown."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..errors import UsageError
from ..guest.approvals import APPROVABLE
from ..guest.approving import ALL, Approval, approve, chosen_components
from ..guest.document import profile_from_document, profile_text
from ..guest.profile import GuestProfile
from ..guest.store import ProfileStore, StoredProfile, profiles_folder
from .command import Parser, Subparsers, add_command
from .guest_changes import SETS, SETTABLE, add_values, drop_values, set_values, unset_keys
from .guest_editor import edit_by_hand
from .guest_output import approval_lines, profile_json, warn_of_weak_spots
from .output import Console, Result

_CHANGES = ("set", "unset", "add", "drop", "approve")


def declare_edit(group: Subparsers[Parser]) -> None:
    """Add ``guest edit``."""
    edit = add_command(
        group,
        "edit",
        summary="change a profile; approve files that have changed, old and new hash shown",
        example="watchword guest edit vm1 --set vcpus=1-16 --approve firmware",
        run=_edit,
    )
    edit.add_argument("name", metavar="NAME", help="the profile")
    several: dict[str, Any] = {"action": "append", "default": [], "metavar": "KEY=VALUE"}
    edit.add_argument(
        "--set",
        help=f"one of {', '.join(SETTABLE)}, secrets.NAME, watch.KEY; a list as TOML has it",
        **several,
    )
    edit.add_argument("--add", help=f"to a set: {', '.join(SETS)}", **several)
    edit.add_argument("--drop", help="from a set: by path, hash or value", **several)
    edit.add_argument(
        "--unset", metavar="KEY", action="append", default=[], help="back to the default"
    )
    edit.add_argument(
        "--approve",
        metavar="WHAT",
        action="append",
        nargs="+",
        default=[],
        help=f"what the files are now: {', '.join(APPROVABLE)} or {ALL}",
    )
    edit.add_argument(
        "--keep-old", action="store_true", help="with --approve: the old hashes stay allowed too"
    )
    edit.add_argument("--editor", action="store_true", help="open it in $VISUAL or $EDITOR")
    edit.add_argument(
        "--from", dest="file", metavar="COPY", help="with --editor: begin with this text"
    )


def _edit(arguments: argparse.Namespace, console: Console) -> Result:
    _refuse_mixture(arguments)
    store = ProfileStore(profiles_folder())
    before = store.load(arguments.name)
    approvals: tuple[Approval, ...] = ()
    if arguments.editor:
        after = edit_by_hand(store, before, arguments.file)
    else:
        _warn_of_comments(before, console)
        after, approvals = _changed(arguments, before.profile)
        if after != before.profile:
            after = store.replace(before, profile_text(after).encode())
    warn_of_weak_spots(after, console)
    return _result(before, after, approvals)


def _refuse_mixture(arguments: argparse.Namespace) -> None:
    by_options = any(getattr(arguments, change) for change in _CHANGES)
    if arguments.editor and arguments.json:
        problem = "An editor writes to the terminal, so that there can be no JSON."
    elif arguments.editor and by_options:
        problem = "It takes one way of changing, options or --editor."
    elif not arguments.editor and (arguments.file is not None or not by_options):
        problem = "Nothing is said of what to change."
    else:
        return
    raise UsageError(
        "bad-change",
        "The profile can't be changed like that",
        problem,
        "Use --set, --add, --drop, --unset and --approve, or --editor alone.",
    )


def _changed(
    arguments: argparse.Namespace, profile: GuestProfile
) -> tuple[GuestProfile, tuple[Approval, ...]]:
    """The profile after all options, in this order: drop, unset, set, add, approve."""
    now = datetime.now(UTC)
    components = chosen_components([word for words in arguments.approve for word in words])
    document = profile.to_document()
    drop_values(document, arguments.drop)
    unset_keys(document, arguments.unset)
    set_values(document, arguments.set)
    add_values(document, arguments.add, now)
    changed = profile_from_document(document, f"guest profile {profile.name}")
    return approve(changed, components, now, keep_old=arguments.keep_old)


def _warn_of_comments(stored: StoredProfile, console: Console) -> None:
    if any(line.lstrip().startswith(b"#") for line in stored.data.splitlines()):
        console.note("The file's comments are not kept; --editor keeps them.")


def _result(before: StoredProfile, after: GuestProfile, approvals: tuple[Approval, ...]) -> Result:
    old, new = profile_json(before.profile), profile_json(after)
    changes = [
        {"key": key, "before": old.get(key), "after": new.get(key)}
        for key in dict.fromkeys((*old, *new))
        if old.get(key) != new.get(key)
    ]
    payload: dict[str, object] = {
        "name": after.name,
        "path": str(before.path),
        "changes": changes,
        "approved": [approval.as_json() for approval in approvals],
        "profile": new,
    }
    lines = [_change_line(change) for change in changes if change["key"] not in APPROVABLE]
    lines += approval_lines(approvals)
    shown = {approval.component for approval in approvals}
    lines += [
        f"{change['key']} changed" for change in changes if change["key"] in {*APPROVABLE} - shown
    ]
    return Result(payload, tuple(lines) or ("Nothing changed.",))


def _change_line(change: Mapping[str, object]) -> str:
    words = [
        "not stated" if change[side] is None else str(change[side]) for side in ("before", "after")
    ]
    return f"{change['key']}: {words[0]} -> {words[1]}"
