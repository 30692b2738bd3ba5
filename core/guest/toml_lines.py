# SPDX-License-Identifier: Apache-2.0
"""Finds the line of each key and list element in a TOML text, which the parser doesn't tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .problems import ProfilePath

# A string that never ends is one token up to where it should have: no text costs more than
# time in proportion to its length.
_TOKEN: Final = re.compile(
    r"""(?P<string>\"{3}(?:\\.|[^\\])*?(?:\"{3,5}|\Z)|'{3}.*?(?:'{3,5}|\Z)
        |\"(?:\\.|[^\"\\\n])*\"?|'[^'\n]*'?)
    |(?P<skipped>\#[^\n]*|[ \t\r]+)
    |(?P<mark>[][{}=,.\n])
    |(?P<bare>[^][{}=,.\n\#\"' \t\r]+)""",
    re.DOTALL | re.VERBOSE,
)
_Token = tuple[str, str, int]  # kind, text, line


DEEPEST: Final = 16
"""Brackets in brackets, and parts of a dotted key, that a profile may have."""


@dataclass(slots=True)
class _Open:
    """An array or inline table that has begun and not ended."""

    path: ProfilePath
    position: int | None  # of the element; None in an inline table


def key_lines(text: str) -> dict[ProfilePath, int]:
    """The line (from 1) of each key, table and list element of a text that is TOML.

    For a text that is not, the answer means nothing, but there is one.
    """
    return _LineFinder().run(_tokens(text))


def too_deep(text: str) -> int | None:
    """The line where a text is nested, or a key is dotted, more than DEEPEST times; else None.

    To be asked before parsing: the parser is recursive, and slow for very long keys.
    """
    depth = dots = 0
    for kind, word, line in _tokens(text):
        if word in ("[", "{") and kind == "mark":
            depth += 1
        elif word in ("]", "}") and kind == "mark":
            depth = max(0, depth - 1)
        if word == "." and kind == "mark":
            dots += 1
        elif kind == "mark":
            dots = 0
        if max(depth, dots) > DEEPEST:
            return line
    return None


def line_of(path: ProfilePath, lines: dict[ProfilePath, int]) -> int | None:
    """The line of a path, or of the nearest thing around it; None for what is nowhere."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        kind, word = str(match.lastgroup), match[0]
        if kind != "skipped":
            yield kind, word, line
        line += word.count("\n")


class _LineFinder:
    """Walks over the tokens once, without recursion: texts may be nested as deep as they like."""

    def __init__(self) -> None:
        self._lines: dict[ProfilePath, int] = {}
        self._table: ProfilePath = ()
        self._elements: dict[ProfilePath, int] = {}
        self._open: list[_Open] = []
        self._parts: list[str] = []
        self._path: ProfilePath = ()
        self._in_key = True

    def run(self, tokens: Iterator[_Token]) -> dict[ProfilePath, int]:
        for kind, word, line in tokens:
            if self._in_key:
                if word == "[" and not self._open and not self._parts:
                    self._header(tokens, line)
                else:
                    self._key(kind, word, line)
            else:
                self._value(word, line)
        return self._lines

    def _header(self, tokens: Iterator[_Token], line: int) -> None:
        brackets, parts = 1, []
        for kind, word, _ in tokens:
            if word == "\n":
                break
            brackets += word == "["
            if kind != "mark":
                parts.append(_unquoted(kind, word))
        path: ProfilePath = ()
        for part in parts:
            path = (*self._inside(path), part)
            self._note(path, line)
        if brackets > 1:
            self._elements[path] = self._elements.get(path, -1) + 1
        self._table = self._inside(path)
        self._note(self._table, line)

    def _inside(self, path: ProfilePath) -> ProfilePath:
        """The last element, where the path is one of a list of tables."""
        return (*path, self._elements[path]) if path in self._elements else path

    def _key(self, kind: str, word: str, line: int) -> None:
        if kind != "mark":
            self._parts.append(_unquoted(kind, word))
        elif word == "=":
            path = self._open[-1].path if self._open else self._table
            for part in self._parts:
                path = (*path, part)
                self._note(path, line)
            self._begin_value(path)
        elif word == "}" and self._open:
            self._end_value()
        elif word == "\n" and not self._open:
            self._parts.clear()

    def _begin_value(self, path: ProfilePath) -> None:
        self._parts.clear()
        self._in_key = False
        self._path = path

    def _value(self, word: str, line: int) -> None:
        inside = self._open[-1] if self._open else None
        if word == "\n":
            self._in_key = inside is None
        elif word == "[":
            self._note(self._path, line)
            self._open.append(_Open(self._path, 0))
            self._path = (*self._path, 0)
        elif word == "{":
            self._note(self._path, line)
            self._open.append(_Open(self._path, None))
            self._in_key = True
        elif word in ("]", "}") and inside is not None:
            self._end_value()
        elif word == "," and inside is not None:
            self._next(inside)
        else:
            self._note(self._path, line)

    def _next(self, inside: _Open) -> None:
        if inside.position is None:
            self._in_key = True
        else:
            inside.position += 1
            self._path = (*inside.path, inside.position)

    def _end_value(self) -> None:
        # What was open has ended; what follows is a comma, a bracket or the end of the line.
        self._path = self._open.pop().path
        self._parts.clear()
        self._in_key = False

    def _note(self, path: ProfilePath, line: int) -> None:
        self._lines.setdefault(path, line)


def _unquoted(kind: str, word: str) -> str:
    if kind != "string":
        return word
    try:
        return str(tomllib.loads(f"k = {word}")["k"])
    except tomllib.TOMLDecodeError:
        return word
