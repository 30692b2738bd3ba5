# SPDX-License-Identifier: Apache-2.0
"""``watchword --watch WATCH.toml --approvals``, ``--allow`` and ``--refuse``: the owner decides."""

from __future__ import annotations

from pathlib import Path

from ..errors import BadInput
from ..watch.approvals import PendingApproval, decide, pending_approvals
from ..watch.settings import read_settings
from ..watch.settings_errors import WatchFileInvalid
from .output import Result


def approvals_folder(data: bytes, path: Path) -> Path:
    """The folder that the settings in these bytes name; nothing else in them counts here.

    Raises WatchFileInvalid where that is what is wrong, and BadInput ``no-approvals``.
    """
    read = read_settings(data, str(path))
    wrong = read.locate([one for one in read.problems if one.path[:1] == ("approvals",)])
    if wrong:
        raise WatchFileInvalid(str(path), wrong)
    if read.file.approvals is None:
        raise BadInput(
            "no-approvals",
            str(path),
            "It names no folder for what a person has to decide.",
            "Write approvals = “FOLDER” into it, and have the watch reload it.",
        )
    return path.absolute().parent / read.file.approvals


def listed(folder: Path) -> Result:
    """What waits for a decision."""
    found = pending_approvals(folder)
    lines = [line for one in found for line in _shown(one)]
    return Result(
        {"approvals": [one.as_json() for one in found]},
        tuple(lines) or ("Nothing waits for a decision.",),
    )


def decided(folder: Path, approval: str, *, allow: bool) -> Result:
    """Take a decision; a watch that runs finds it."""
    decide(folder, approval, allow=allow)
    word = "allowed" if allow else "refused"
    return Result({"approval": approval, "allow": allow}, (f"Approval {approval}: {word}.",))


def _shown(one: PendingApproval) -> tuple[str, ...]:
    return (
        f"{one.id}  guest {one.guest}, asked {one.asked}",
        f"  firmware {one.firmware_sha256}, which no launch of yours has verified before",
        f"  launch {one.launch_id} at {one.host}",
    )
