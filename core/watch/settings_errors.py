# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a watch's settings, as one error: all problems with their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..batch.manifest_errors import problems_told
from ..errors import BadInput, VerificationRefused
from ..guest.problems import Problem

_REMEDY: Final = (
    "Mend all that is named, and look again with --dry-run. Nothing was taken over from this file:"
    " a watch that runs goes on by what it was told before."
)


class WatchFileInvalid(BadInput):
    """Settings with problems (exit 6), in the file's order."""

    def __init__(self, field: str, problems: Sequence[Problem], untold: int = 0) -> None:
        message, details = problems_told(problems, untold)
        super().__init__("watch-file-invalid", field, message, _REMEDY, details)
        self.problems: tuple[Problem, ...] = tuple(problems)


class WatchFileRefused(VerificationRefused):
    """Settings in order, with guests that are not served where nobody looks (exit 3)."""

    def __init__(self, field: str, problems: Sequence[Problem], untold: int = 0) -> None:
        message, details = problems_told(problems, untold)
        details["field"] = field
        super().__init__("watch-file-refused", f"Refused: {field}", message, _REMEDY, details)
        self.problems: tuple[Problem, ...] = tuple(problems)
