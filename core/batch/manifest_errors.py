# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a manifest, as one error: all problems with their places, nothing started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..errors import BadInput, VerificationRefused
from ..guest.problems import Problem

_REMEDY: Final = (
    "Mend all that is named, and look again with --check. Nothing was started: the launches of a"
    " manifest are begun when all of them can be."
)


class ManifestInvalid(BadInput):
    """A manifest with problems (exit 6), in the file's order."""

    def __init__(self, field: str, problems: Sequence[Problem], untold: int = 0) -> None:
        message, details = problems_told(problems, untold)
        super().__init__("manifest-invalid", field, message, _REMEDY, details)
        self.problems: tuple[Problem, ...] = tuple(problems)


class ManifestRefused(VerificationRefused):
    """A manifest in order, with launches that are not allowed in a batch (exit 3)."""

    def __init__(self, field: str, problems: Sequence[Problem], untold: int = 0) -> None:
        message, details = problems_told(problems, untold)
        super().__init__(
            "manifest-refused",
            f"Refused: {field}",
            message,
            _REMEDY,
            {"field": field, **details},
        )
        self.problems: tuple[Problem, ...] = tuple(problems)


def problems_told(problems: Sequence[Problem], untold: int) -> tuple[str, dict[str, object]]:
    """How many problems there are, with the first, and all of them as an error's details."""
    count = len(problems) + untold
    details: dict[str, object] = {
        "problems": [problem.as_json() for problem in problems],
        "count": count,
    }
    first = str(problems[0])
    if count == 1:
        return first[:1].upper() + first[1:], details
    return f"There are {count} problems. The first: {first}", details
