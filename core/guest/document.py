# SPDX-License-Identifier: Apache-2.0
"""Profiles as TOML: reading with every problem and its line, and writing."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import tomli_w
from pydantic import ValidationError

from ..errors import BadInput
from .fields import is_newer_format, looks_like_a_value
from .problems import (
    MOST_TOLD,
    FieldProblem,
    Problem,
    ProfileInvalid,
    ProfilePath,
    place_in_file,
)
from .profile import ApprovedFile, GuestProfile, OwnerCa, PinnedCek
from .rules import RulesBroken, broken_rules
from .toml_lines import DEEPEST, key_lines, line_of, too_deep

LARGEST_PROFILE: Final = 256 << 10
"""Bytes of a profile's file."""
_MEND: Final = "Mend what is named, and try again."
_WHERE_TOMLLIB_STOPPED: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_SOUNDS_SECRET: Final = re.compile(r"pass|secret|token|value|credential|private|\bkey\b", re.I)

# What the checks of structure say; all other values speak for themselves.
_SENTENCES: Final = {
    "missing": "It is missing",
    "model_type": "It takes text, or a table of keys and values.",
    "dict_type": "It takes a table of keys and values.",
    "tuple_type": "It takes a list.",
}
_KEYS: Final = {
    "firmware": ApprovedFile,
    "kernel": ApprovedFile,
    "initrd": ApprovedFile,
    "oca": OwnerCa,
    "ceks": PinnedCek,
}


def read_profile(data: bytes, field: str, remedy: str = _MEND) -> GuestProfile:
    """The profile in a TOML file's bytes; ``field`` and ``remedy`` are for errors.

    Raises ProfileInvalid with all problems, or BadInput ``profile-too-large``,
    ``profile-not-text`` or ``profile-not-toml``.
    """
    text = _text(data, field)
    return _checked(_parsed(text, field, remedy), field, remedy, text)


def read_document(data: bytes, field: str) -> dict[str, Any]:
    """The unchecked values in a TOML text's bytes; raises as ``read_profile`` about its form."""
    return _parsed(_text(data, field), field, _MEND)


def profile_from_document(document: Mapping[str, Any], field: str) -> GuestProfile:
    """The profile that these values make; raises ProfileInvalid with all problems."""
    return _checked(document, field, _MEND)


def profile_text(profile: GuestProfile) -> str:
    """The profile as TOML, in which nothing can steer a terminal."""
    text = tomli_w.dumps(profile.to_document())
    # Characters that can't be shown are in strings only, and there they may be escaped.
    return "".join(_visible(character) for character in text)


def profile_schema() -> dict[str, Any]:
    """The JSON schema of a profile's file, for editors that complete and check."""
    schema: dict[str, Any] = _for_toml(GuestProfile.model_json_schema())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Watchword guest profile",
    }


def schema_text() -> str:
    """The schema as it is published, in resources/guest-profile.schema.json."""
    return json.dumps(profile_schema(), indent=2, ensure_ascii=False) + "\n"


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


def _visible(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _text(data: bytes, field: str) -> str:
    if len(data) > LARGEST_PROFILE:
        raise BadInput(
            "profile-too-large",
            field,
            f"It has {len(data)} bytes; a profile has {LARGEST_PROFILE} at most.",
            "It is most likely another file.",
        )
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise BadInput(
            "profile-not-text",
            field,
            f"Line {line} is not UTF-8 text.",
            "Save it as UTF-8, or check whether it is a profile at all.",
            {"line": line},
        ) from None


def _parsed(text: str, field: str, remedy: str) -> dict[str, Any]:
    problem, line = f"It is nested more than {DEEPEST} deep", too_deep(text)
    if line is None:
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError) as fault:
            problem, line = _parser_words(str(fault))
    where = f" at line {line}" if line is not None else ""
    raise BadInput(
        "profile-not-toml", field, f"It is not TOML{where}: {problem}.", remedy, {"line": line}
    )


def _parser_words(words: str) -> tuple[str, int | None]:
    """What the parser says, without the position, and the line; nothing else that it may say."""
    where = _WHERE_TOMLLIB_STOPPED.search(words)
    if where is None:
        return "A value in it can't be read", None
    return ascii(words[: where.start()][:100])[1:-1], int(where[1]) if where[1] else None


def _checked(document: Mapping[str, Any], field: str, remedy: str, text: str = "") -> GuestProfile:
    try:
        return GuestProfile.model_validate(document)
    except ValidationError as fault:
        problems, untold = _field_problems(fault)
    if is_newer_format(document.get("format")):
        # What a newer format may hold is not for this version to judge.
        problems, untold = [one for one in problems if one.path == ("format",)], 0
    else:
        problems += broken_rules(document)
    lines = key_lines(text)
    located = [_located(problem, document, lines) for problem in problems]
    raise ProfileInvalid(field, located, remedy, untold)


def _located(
    problem: Problem, document: Mapping[str, Any], lines: dict[ProfilePath, int]
) -> Problem:
    """The problem with its place and line in the file."""
    place = place_in_file(problem.path, document)
    line = line_of(place, lines)
    # Somebody who mixes up name and value puts the secret on the left.
    hidden = ["…" if isinstance(key, str) and looks_like_a_value(key) else key for key in place]
    return replace(problem, path=tuple(hidden), line=line)


def _field_problems(fault: ValidationError) -> tuple[list[Problem], int]:
    """What the model found, and how much more; the rules are told whatever else is wrong."""
    errors = fault.errors(include_url=False, include_input=False)
    problems = []
    for error in errors[:MOST_TOLD]:
        reason = error.get("ctx", {}).get("error")
        if not isinstance(reason, RulesBroken):
            path = tuple(part for part in error["loc"] if part != "[key]")
            problems.append(Problem(path, _sentence(error["type"], path, error, reason)))
    return problems, max(0, len(errors) - MOST_TOLD)


def _sentence(kind: str, path: ProfilePath, error: Mapping[str, Any], reason: object) -> str:
    if isinstance(reason, FieldProblem):
        return str(reason)
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "too_long":
        context = error["ctx"]
        return f"It has {context['actual_length']} entries; {context['max_length']} are the most."
    sentence = _SENTENCES.get(kind, "It can't be read.")
    return f"{sentence}: {_purpose(path)}." if kind == "missing" else sentence


def _purpose(path: ProfilePath) -> str:
    model: Any = GuestProfile if len(path) == 1 else _KEYS.get(str(path[0]), GuestProfile)
    known = model.model_fields.get(str(path[-1]))
    return str(known.description) if known is not None else "it is needed"


def _unknown(path: ProfilePath) -> str:
    key = str(path[-1])
    model: Any = GuestProfile if len(path) == 1 else _KEYS.get(str(path[0]), GuestProfile)
    known: Sequence[str] = list(model.model_fields)
    near = difflib.get_close_matches(key[:40].lower(), known, n=2, cutoff=0.6)
    hint = f" Is “{'” or “'.join(near)}” meant?" if near else ""
    if _SOUNDS_SECRET.search(key):
        hint += " A profile holds no secrets, only names of vault entries, under [secrets]."
    return f"A profile has no such key.{hint}"
