# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON (RFC 8785) without floats: a value has one text, and no other is read back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final, NoReturn

import rfc8785

LARGEST_INTEGER: Final = 2**53 - 1
"""Beyond it, readers that take numbers for floats see another one."""
DEEPEST: Final = 16
"""How many objects and lists may be nested in each other."""

_BEYOND_16_BITS: Final = re.compile(rb"[\xf0-\xff]")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class NotPlain(ValueError):
    """A value that has no place in canonical JSON; the text names the place, never the value."""


class NotCanonical(ValueError):
    """Bytes that are not the one text of a value."""


def plain(value: object, place: str, depth: int = 1) -> object:
    """A copy of the value in dicts, lists, strings, integers, booleans and None alone.

    ``place`` is what the value is called. Raises NotPlain for anything else: floats,
    integers beyond 2^53 - 1, bytes, secrets, half surrogate pairs, more than 16 levels.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _plain_integer(value, place)
    if isinstance(value, str):
        return _plain_text(value, place)
    if depth > DEEPEST:
        raise NotPlain(f"{place} lies deeper than {DEEPEST} levels")
    if isinstance(value, Mapping):
        return dict(_plain_members(value, place, depth))
    if isinstance(value, list | tuple):
        return [plain(item, f"{place}[{i}]", depth + 1) for i, item in enumerate(value)]
    raise NotPlain(f"{place} is no text, whole number, truth value, list or object")


def _plain_integer(value: int, place: str) -> int:
    if abs(value) > LARGEST_INTEGER:
        raise NotPlain(f"{place} is a number beyond 2^53 - 1")
    return int(value)


def _plain_text(value: str, place: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotPlain(f"{place} is no valid Unicode") from None
    return str.__str__(value)


def _plain_members(
    value: Mapping[object, object], place: str, depth: int
) -> Iterator[tuple[str, object]]:
    for key, member in value.items():
        if not isinstance(key, str):
            raise NotPlain(f"{place} has a name that is no text")
        name = _plain_text(key, f"a name in {place}")
        yield name, plain(member, f"{place}.{name}", depth + 1)


def canonical(value: object) -> bytes:
    """The one text of a value that :func:`plain` or :func:`parse_canonical` has given.

    json's encoder writes the same as rfc8785 and is ten times as fast, except that it
    sorts names by code points and RFC 8785 by UTF-16 units: beyond 16 bits these differ.
    ``tests/core/ledger`` holds the two against each other.
    """
    text = _ENCODER.encode(value).encode()
    if text.isascii() or not _BEYOND_16_BITS.search(text):
        return text
    return rfc8785.dumps(value)  # type: ignore[arg-type]


def parse_canonical(data: bytes) -> object:
    """The value of which these bytes, whose size the caller has bounded, are the one text.

    Duplicate names, floats, spaces, other orders and other ways to write a character
    are none of it. Raises NotCanonical.
    """
    try:
        value: object = _DECODER.decode(data.decode())
        if data.count(b"{") + data.count(b"[") > DEEPEST and _depth(value) > DEEPEST:
            raise NotCanonical
        text = canonical(value)
    except (ValueError, RecursionError):
        raise NotCanonical from None
    if text != data:
        raise NotCanonical
    return value


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _no_such_number(digits: str) -> NoReturn:
    del digits
    raise NotCanonical


def _integer(digits: str) -> int:
    number = int(digits) if len(digits) <= len(str(-LARGEST_INTEGER)) else None
    if number is None or abs(number) > LARGEST_INTEGER:
        raise NotCanonical
    return number


_DECODER: Final = json.JSONDecoder(
    parse_float=_no_such_number, parse_int=_integer, parse_constant=_no_such_number
)
