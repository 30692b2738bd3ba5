# SPDX-License-Identifier: Apache-2.0
"""Names with a range in them, such as ``web{1..200}``, which stand for one launch each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from ..guest import fields
from ..guest.problems import FieldProblem

LONGEST_RANGE: Final = 10_000
"""Launches that one name may stand for: as many as a manifest may have."""
PATTERN: Final = (
    rf"^{fields.NAME.pattern}$"
    r"|^(?=[A-Za-z0-9{])[A-Za-z0-9._-]{0,63}\{[0-9]{1,6}\.\.[0-9]{1,6}\}[A-Za-z0-9._-]{0,63}$"
)
"""For the JSON schema; :func:`read_launch_name` is stricter."""

_RANGE: Final = re.compile(r"\{([0-9]{1,6})\.\.([0-9]{1,6})\}", re.ASCII)


class NamedLaunch(NamedTuple):
    """One of the launches that a name stands for.

    ``number``    as it stands in the name; empty where there is no range
    ``position``  from 0
    """

    name: str
    number: str
    position: int


def read_launch_name(value: object) -> str:
    """The name, if each that it stands for may be one; FieldProblem else."""
    text = fields.read_text(value, 160)
    found = _RANGE.search(text)
    if found is None:
        return fields.read_name(text)
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise FieldProblem("Its range ends before it begins. Write the smaller number first.")
    if last - first >= LONGEST_RANGE:
        raise FieldProblem(
            f"Its range has {last - first + 1} numbers; {LONGEST_RANGE} are the most."
        )
    if _RANGE.search(text, found.end()):
        raise FieldProblem("It has two ranges, and takes one: its number tells launches apart.")
    for end in (found[1], _written(last, found[1])):
        fields.read_name(text[: found.start()] + end + text[found.end() :])
    return text


def count_of(name: str) -> int:
    """How many launches a name that :func:`read_launch_name` took stands for."""
    found = _RANGE.search(name)
    return 1 if found is None else int(found[2]) - int(found[1]) + 1


def launches_of(name: str) -> Iterator[NamedLaunch]:
    """The launches that such a name stands for, in order.

    Numbers are as wide as the first one where that begins with a zero: ``{08..10}``.
    """
    found = _RANGE.search(name)
    if found is None:
        yield NamedLaunch(name, "", 0)
        return
    before, after = name[: found.start()], name[found.end() :]
    for position, value in enumerate(range(int(found[1]), int(found[2]) + 1)):
        number = _written(value, found[1])
        yield NamedLaunch(before + number + after, number, position)


def _written(value: int, like: str) -> str:
    return str(value).zfill(len(like)) if like.startswith("0") else str(value)
