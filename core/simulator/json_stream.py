# SPDX-License-Identifier: Apache-2.0
"""Cuts a stream of bytes into JSON values, as QEMU's monitor does.

QMP clients need not end a message with a newline, and a message may come in pieces or
together with others, so values are told apart by their brackets alone.
Source: QEMU qobject/json-streamer.c for the words of errors; the limits are narrower than QEMU's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

LARGEST_MESSAGE = 8 * 1024 * 1024
DEEPEST_NESTING = 512
_SPACE = b" \t\r\n"
_OUTSIDE_STRING = re.compile(rb'["{}\[\]]')
_INSIDE_STRING = re.compile(rb'["\\]')
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_END_OF_WORD = re.compile(rb'[\s"{}\[\],:]')


@dataclass(frozen=True, slots=True)
class Malformed:
    """Input that is no JSON value; ``text`` is what QEMU answers to it."""

    text: str


class JsonStream:
    """Feed it bytes as they come; it gives back whole values, or what is wrong with them.

    After a value that is too long or too deep the rest of it is skipped.
    """

    __slots__ = ("_buffer", "_depth", "_in_string", "_scanned", "_skipping")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._depth = 0
        self._in_string = False
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[object]:
        """Add bytes; yields each value that they complete, and a Malformed for each bad one."""
        self._buffer += data
        while True:
            if self._depth == 0 and not self._skip_space():
                return
            found = self._bracketed() if self._depth or self._at_bracket() else self._word()
            if found is None:
                if problem := self._too_much():
                    yield problem
                    continue
                return
            if found and not self._skipping:
                yield _decode(found)
            if self._depth == 0:
                self._skipping = False

    def _skip_space(self) -> bool:
        """Drop white space before the next value; whether anything is left."""
        kept = self._buffer.lstrip(_SPACE)
        if len(kept) != len(self._buffer):
            self._buffer = kept
        self._scanned = 0
        return bool(self._buffer)

    def _at_bracket(self) -> bool:
        return self._buffer[0] in b"{["

    def _bracketed(self) -> bytes | None:
        """The object or array at the start of the buffer, once its last bracket is there."""
        while True:
            pattern = _INSIDE_STRING if self._in_string else _OUTSIDE_STRING
            match = pattern.search(self._buffer, self._scanned)
            if match is None:
                self._scanned = len(self._buffer)
                return None
            sign, position = match.group(), match.start()
            if sign == b"\\":
                if position + 2 > len(self._buffer):
                    self._scanned = position
                    return None
                self._scanned = position + 2
                continue
            self._scanned = position + 1
            if sign == b'"':
                self._in_string = not self._in_string
                continue
            self._depth += 1 if sign in b"{[" else -1
            if self._depth == 0:
                return self._take(self._scanned)
            if self._depth > DEEPEST_NESTING and not self._skipping:
                return None

    def _word(self) -> bytes | None:
        """Whatever stands outside brackets, up to the next white space or sign."""
        if self._buffer[0] == ord('"'):
            match = _STRING.match(self._buffer)
            return self._take(match.end()) if match else None
        match = _END_OF_WORD.search(self._buffer)
        if match is None:
            return None
        return self._take(max(match.start(), 1))

    def _too_much(self) -> Malformed | None:
        """Start skipping where the value in the buffer is beyond the limits."""
        if self._skipping:
            del self._buffer[: self._scanned]
            self._scanned = 0
            return None
        if self._depth > DEEPEST_NESTING:
            problem = Malformed("JSON nesting depth limit exceeded")
        elif len(self._buffer) > LARGEST_MESSAGE:
            problem = Malformed("JSON token size limit exceeded")
        else:
            return None
        self._skipping = True
        if self._depth == 0:  # a word without end: there is no bracket to wait for
            self._buffer.clear()
            self._skipping = False
        return problem

    def _take(self, length: int) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._scanned = 0
        return taken


class _Unacceptable(Exception):
    """JSON that Python would take and QEMU doesn't."""


def _decode(text: bytes) -> object:
    try:
        return json.loads(
            text.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        return Malformed("JSON parse error, invalid UTF-8 sequence in string")
    except _Unacceptable as problem:
        return Malformed(f"JSON parse error, {problem}")
    except (ValueError, RecursionError):
        return Malformed("JSON parse error, expecting value")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unacceptable("duplicate key")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise _Unacceptable(f"invalid keyword '{name}'")
