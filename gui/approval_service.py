# SPDX-License-Identifier: Apache-2.0
"""What a watch asks its owner, as the window has it: listed and decided. Knows no Qt; blocks."""

from __future__ import annotations

from pathlib import Path

from watchword.core.cli.watch_approvals import approvals_folder
from watchword.core.files import read_file
from watchword.core.watch.approvals import PendingApproval, decide, pending_approvals
from watchword.core.watch.settings import LARGEST_SETTINGS

_FIELD = "the settings of the watch"


def questions_of(settings: str) -> tuple[PendingApproval, ...]:
    """The open questions of the watch with this settings file, the oldest first.

    Raises BadInput and UsageError as ``approvals_folder`` and ``pending_approvals``.
    """
    return pending_approvals(_folder(settings))


def answer(settings: str, approval: str, *, allow: bool) -> tuple[PendingApproval, ...]:
    """Decide a question, which a watch that runs finds; the questions that are left."""
    folder = _folder(settings)
    decide(folder, approval, allow=allow)
    return pending_approvals(folder)


def _folder(settings: str) -> Path:
    path = Path(settings)
    return approvals_folder(read_file(path, _FIELD, LARGEST_SETTINGS), path)
