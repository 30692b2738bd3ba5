# SPDX-License-Identifier: Apache-2.0
"""The types of a manifest's fields: how each is read from TOML, and its JSON schema."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from ..guest import fields
from ..guest.problems import FieldProblem
from ..guest.profile import GuestProfile
from ..guest.value_types import read_by
from .placeholders import NAME, NUMBER, check_placeholders
from .ranges import PATTERN, read_launch_name

LONGEST_WAIT: Final = 3600
"""Seconds that a launch may wait for its VM, and a start command may take."""
HIGHEST_LIMIT: Final = 10_000
"""Launches that may be under way at once, on one host or in all."""
PLACE_KEYS: Final = (NAME, NUMBER)
"""What may stand in braces in a host's URL and in paths."""
START_KEYS: Final = (NAME, NUMBER, "host", "out", "godh", "session", "policy")
"""What may stand in braces in a start command."""

_MOST_WORDS: Final = 256
_LONGEST_TEXT: Final = 4096


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise FieldProblem("It takes true or false.")


def _host(value: object) -> str:
    text = check_placeholders(fields.read_text(value, 2100), PLACE_KEYS)
    fields.read_host(re.sub(r"[{}]", "", text))
    return text


def _folder(value: object) -> str:
    text = fields.read_text(value, _LONGEST_TEXT)
    if not text or "\0" in text:
        raise FieldProblem("It takes the path of a file or folder, from the manifest's folder on.")
    return text


def _path(value: object) -> str:
    return check_placeholders(_folder(value), PLACE_KEYS)


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_WORDS:
        raise FieldProblem(
            'It takes a list: the program and its arguments, such as ["./start-vm", "{name}"].'
            " There is no shell."
        )
    words = [fields.read_text(word, _LONGEST_TEXT) for word in value]
    if any("\0" in word for word in words) or not words[0]:
        raise FieldProblem("The program is missing, or there is a NUL in a word.")
    if "{" in words[0] or "}" in words[0]:
        raise FieldProblem("The program itself has no placeholder.")
    return (words[0], *(check_placeholders(word, START_KEYS) for word in words[1:]))


def _limit(value: object) -> int:
    number = fields.read_whole(value, HIGHEST_LIMIT)
    if number == 0:
        raise FieldProblem("Nothing would ever be launched there. Give 1 or more.")
    return number


def _seconds(value: object) -> int:
    return fields.read_whole(value, LONGEST_WAIT)


class _UncheckedProfile:
    """A profile within the manifest: checked apart from it, so that all is said at once."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        del source, handler
        return core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema())

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        del schema
        return handler(GuestProfile.__pydantic_core_schema__)


_SECONDS: Final = {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT}
_PATH: Final = {"type": "string", "minLength": 1, "maxLength": _LONGEST_TEXT}
_WORDS: Final = {
    "type": "array",
    "items": {"type": "string"},
    "minItems": 1,
    "maxItems": _MOST_WORDS,
}

Host = Annotated[str, *read_by(_host, {"type": "string"})]
Folder = Annotated[str, *read_by(_folder, _PATH)]
Path = Annotated[str, *read_by(_path, _PATH)]
Flag = Annotated[bool, *read_by(_flag, {"type": "boolean"})]
LaunchName = Annotated[str, *read_by(read_launch_name, {"type": "string", "pattern": PATTERN})]
Limit = Annotated[
    int, *read_by(_limit, {"type": "integer", "minimum": 1, "maximum": HIGHEST_LIMIT})
]
Seconds = Annotated[int, *read_by(_seconds, _SECONDS)]
Command = Annotated[tuple[str, ...], *read_by(_words, _WORDS)]
InlineProfile = Annotated[dict[str, Any], _UncheckedProfile()]
