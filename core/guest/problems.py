# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a profile: every problem with its place in the file, as a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import BadInput, WatchwordError

ProfilePath = tuple[str | int, ...]
"""Keys and positions (from 0) that lead to a value, as in ``("firmware", 0, "sha256")``."""

MOST_TOLD: Final = 50
"""Problems that one error names; nobody reads more before mending the first."""
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)


class FieldProblem(ValueError):
    """What is wrong with one value, as a sentence that does not repeat secrets.

    A ValueError, because that is what lets the reading go on to the other values.
    """

    @classmethod
    def of(cls, error: WatchwordError) -> FieldProblem:
        """The same problem that another part of the core found."""
        return cls(f"{error.message} {error.remedy}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: where (``line`` from 1, None where it can't be told) and what."""

    path: ProfilePath
    sentence: str
    line: int | None = None

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line is not None else []
        where += [shown_path(self.path)] if self.path else []
        return f"{', '.join(where)}: {self.sentence}" if where else self.sentence

    def as_json(self) -> dict[str, object]:
        """The problem with stable field names."""
        return {"path": list(self.path), "line": self.line, "message": self.sentence}


class ProfileInvalid(BadInput):
    """A profile with problems (exit 6): all of them, up to MOST_TOLD, in the file's order."""

    def __init__(
        self, field: str, problems: Sequence[Problem], remedy: str, untold: int = 0
    ) -> None:
        ordered = sorted(problems, key=lambda problem: problem.line or 0)
        told = ordered[:MOST_TOLD]
        untold += len(ordered) - len(told)
        super().__init__(
            "profile-invalid",
            field,
            _all_in_one(told, untold),
            remedy,
            {"problems": [problem.as_json() for problem in told], "count": len(told) + untold},
        )
        self.problems: tuple[Problem, ...] = tuple(told)


def _all_in_one(told: Sequence[Problem], untold: int) -> str:
    if len(told) + untold == 1:
        sentence = str(told[0])
        return sentence[:1].upper() + sentence[1:]
    numbered = " ".join(f"({number}) {problem}" for number, problem in enumerate(told, 1))
    more = f" And {untold} more." if untold else ""
    return f"There are {len(told) + untold} problems. {numbered}{more}"


def shown_path(path: ProfilePath) -> str:
    """Such as ``firmware[0].sha256``; a key that is not plain is quoted, escaped and cut."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else f"“{ascii(part[:40])[1:-1]}”"
            text += f".{key}" if text else key
    return text


def place_in_file(path: Sequence[str | int], document: Mapping[str, object]) -> ProfilePath:
    """The path as it is in the file, where a set of one may be written without a list.

    ``("firmware", 0, "sha256")`` is ``firmware.sha256`` under ``[firmware]``.
    """
    place: list[str | int] = []
    value: object = document
    for part in path:
        if isinstance(value, str):  # what stands for a table or list may be written as text
            break
        if isinstance(part, int):
            if not isinstance(value, list):
                continue
            value = value[part] if part < len(value) else None
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
        place.append(part)
    return tuple(place)
