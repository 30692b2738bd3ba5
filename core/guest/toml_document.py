# SPDX-License-Identifier: Apache-2.0
"""Reads TOML files against a model: bounded, in words for people, every problem with its place."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import BadInput
from .fields import looks_like_a_value
from .problems import MOST_TOLD, FieldProblem, Problem, ProfilePath, place_in_file
from .rules import RulesBroken
from .toml_lines import DEEPEST, line_of, too_deep

_WHERE_TOMLLIB_STOPPED: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")

# What the checks of structure say; all other values speak for themselves.
_SENTENCES: Final = {
    "missing": "It is missing",
    "model_type": "It takes text, or a table of keys and values.",
    "dict_type": "It takes a table of keys and values.",
    "tuple_type": "It takes a list.",
    "too_short": "It takes one at least.",
}


class Table(BaseModel):
    """What all tables of a document have in common: nothing unknown is let through."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def _no_hint(key: str) -> str:
    del key
    return ""


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """What a TOML file is to be, and the words for it.

    ``noun``     such as “profile”; error codes begin with it
    ``largest``  bytes of the file
    ``model``    what its values are checked against
    ``tables``   the models of tables and lists in it, by their key
    ``hint``     what to add where a key is unknown, empty or with a blank before it
    ``sentences``  for problems of structure, where the usual ones don't fit
    """

    noun: str
    largest: int
    model: type[BaseModel]
    tables: Mapping[str, type[BaseModel]]
    hint: Callable[[str], str] = _no_hint
    sentences: Mapping[str, str] = field(default_factory=dict)

    def text(self, data: bytes, field: str) -> str:
        """The text in a file's bytes; BadInput ``NOUN-too-large`` or ``NOUN-not-text``."""
        if len(data) > self.largest:
            raise BadInput(
                f"{self.noun}-too-large",
                field,
                f"It has {len(data)} bytes; a {self.noun} has {self.largest} at most.",
                "It is most likely another file.",
            )
        try:
            return data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as fault:
            line = data.count(b"\n", 0, fault.start) + 1
            raise BadInput(
                f"{self.noun}-not-text",
                field,
                f"Line {line} is not UTF-8 text.",
                f"Save it as UTF-8, or check whether it is a {self.noun} at all.",
                {"line": line},
            ) from None

    def parsed(self, text: str, field: str, remedy: str) -> dict[str, Any]:
        """The unchecked values of a TOML text; BadInput ``NOUN-not-toml`` with the line."""
        problem, line = f"It is nested more than {DEEPEST} deep", too_deep(text)
        if line is None:
            try:
                return tomllib.loads(text)
            except (ValueError, RecursionError) as fault:
                problem, line = _parser_words(str(fault))
        where = f" at line {line}" if line is not None else ""
        raise BadInput(
            f"{self.noun}-not-toml",
            field,
            f"It is not TOML{where}: {problem}.",
            remedy,
            {"line": line},
        )

    def problems(
        self, fault: ValidationError, most_told: int = MOST_TOLD
    ) -> tuple[list[Problem], int]:
        """What the model found, and how much more than ``most_told`` it is.

        Rules between values are left out: whoever checks them tells them in any case.
        """
        errors = fault.errors(include_url=False, include_input=False)
        problems = []
        for error in errors[:most_told]:
            reason = error.get("ctx", {}).get("error")
            if not isinstance(reason, RulesBroken):
                path = tuple(part for part in error["loc"] if part != "[key]")
                problems.append(Problem(path, self._sentence(error["type"], path, error, reason)))
        return problems, max(0, len(errors) - most_told)

    def _sentence(
        self, kind: str, path: ProfilePath, error: Mapping[str, Any], reason: object
    ) -> str:
        if isinstance(reason, FieldProblem):
            return str(reason)
        if kind == "extra_forbidden":
            return self._unknown(path)
        if kind == "too_long":
            context = error["ctx"]
            most = context["max_length"]
            return f"It has {context['actual_length']} entries; {most} are the most."
        sentences = {**_SENTENCES, **self.sentences}
        sentence = sentences.get(kind, "It can't be read.")
        return f"{sentence}: {self._purpose(path)}." if kind == "missing" else sentence

    def _model_of(self, path: ProfilePath) -> type[BaseModel]:
        return self.model if len(path) == 1 else self.tables.get(str(path[0]), self.model)

    def _purpose(self, path: ProfilePath) -> str:
        known = self._model_of(path).model_fields.get(str(path[-1]))
        return str(known.description) if known is not None else "it is needed"

    def _unknown(self, path: ProfilePath) -> str:
        key = str(path[-1])
        known: Sequence[str] = list(self._model_of(path).model_fields)
        near = difflib.get_close_matches(key[:40].lower(), known, n=2, cutoff=0.6)
        meant = f" Is “{'” or “'.join(near)}” meant?" if near else ""
        return f"A {self.noun} has no such key.{meant}{self.hint(key)}"


def _parser_words(words: str) -> tuple[str, int | None]:
    """What the parser says, without the position, and the line; nothing else that it may say."""
    where = _WHERE_TOMLLIB_STOPPED.search(words)
    if where is None:
        return "A value in it can't be read", None
    return ascii(words[: where.start()][:100])[1:-1], int(where[1]) if where[1] else None


def located(
    problem: Problem, document: Mapping[str, Any], lines: dict[ProfilePath, int]
) -> Problem:
    """The problem with its place and line in the file."""
    place = place_in_file(problem.path, document)
    line = line_of(place, lines)
    # Somebody who mixes up name and value puts the secret on the left.
    hidden = ["…" if isinstance(key, str) and looks_like_a_value(key) else key for key in place]
    return replace(problem, path=tuple(hidden), line=line)


def schema_for_toml(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The JSON schema of a document's file, for editors that complete and check."""
    schema: dict[str, Any] = _for_toml(model.model_json_schema())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": title,
    }


def published(schema: Mapping[str, Any]) -> str:
    """A schema as it is kept in resources."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _for_toml(schema: Any) -> Any:
    """The schema without what TOML can't have (null), and without names made up for fields."""
    if isinstance(schema, list):
        return [_for_toml(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made_up = {key for key in ("title", "default") if not isinstance(schema.get(key), dict)}
    kept = {key: _for_toml(part) for key, part in schema.items() if key not in made_up}
    if isinstance(kept.get("description"), str):
        kept["description"] = kept["description"].partition("\n\n")[0].replace("\n", " ")
    if {"type": "null"} in kept.get("anyOf", ()):
        choices = [choice for choice in kept.pop("anyOf") if choice != {"type": "null"}]
        kept |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    return kept
