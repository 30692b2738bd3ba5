# SPDX-License-Identifier: Apache-2.0
"""Fills ``{name}`` and its like into a manifest's texts; nothing else in them has a meaning."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from ..guest.problems import FieldProblem

NAME: Final = "name"
"""The launch's name."""
NUMBER: Final = "number"
"""Its number, where its name was given as a range; else nothing."""

_BRACES: Final = re.compile(r"\{\{|\}\}|\{([a-z_]{1,20})\}|[{}]")


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with each ``{key}`` replaced by its value, and ``{{`` and ``}}`` by one brace.

    What was filled in is not looked at again. Raises FieldProblem for a brace that stands
    alone and for an unknown key.
    """

    def fill(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[1] not in values:
            raise FieldProblem(_cannot_fill(match, values))
        return values[match[1]]

    return _BRACES.sub(fill, text)


def check_placeholders(text: str, known: Collection[str]) -> str:
    """The text, if ``filled`` will take it with these keys; else FieldProblem."""
    filled(text, dict.fromkeys(known, ""))
    return text


def _cannot_fill(match: re.Match[str], known: Collection[str]) -> str:
    there = ", ".join(f"{{{key}}}" for key in sorted(known))
    if match[1] is None:
        return f"A brace stands alone in it. Write {{{{ or }}}} for a brace; there is {there}."
    return f"{match[0]} stands for nothing here; there is {there}."
