# SPDX-License-Identifier: Apache-2.0
"""Reads JSON from people and hosts: bounded in depth, and refused in words."""

from __future__ import annotations

import json
import math
import re
from typing import Final, NoReturn

from .errors import BadInput

DEEPEST: Final = 32
_MARKS: Final = re.compile(r'\\.|["\[\]{}]', re.DOTALL)


def parse_json(text: str, field: str, *, deepest: int = DEEPEST) -> object:
    """The value of a JSON text nested at most ``deepest`` levels.

    The caller has bounded the size. The depth is counted before anything is
    parsed, because the parser itself is recursive; brackets inside strings are not
    counted. Text in the value can be encoded, and its numbers are finite.
    Raises BadInput ``json-too-deep`` or ``bad-json``.
    """
    if _nests_deeper_than(deepest, text):
        problem = f"It is nested deeper than {deepest} levels."
        raise _bad_json(field, problem, "json-too-deep")
    try:
        value: object = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        # Half a surrogate pair, as \ud800, would fail wherever it is shown or written.
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError as error:
        # Only the position: the text itself may hold anything.
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise _bad_json(field, f"It is not JSON{where}.") from None
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError
    return number


def _nests_deeper_than(limit: int, text: str) -> bool:
    if text.count("[") + text.count("{") <= limit:
        return False
    depth = 0
    in_string = False
    for match in _MARKS.finditer(text):
        mark = match[0]
        if mark == '"':
            in_string = not in_string
        elif in_string:
            continue
        elif mark in "[{":
            depth += 1
            if depth > limit:
                return True
        elif mark in "]}":
            depth -= 1
    return False


def _bad_json(field: str, problem: str, code: str = "bad-json") -> BadInput:
    return BadInput(code, field, problem, "Give the program's JSON output unchanged.")
