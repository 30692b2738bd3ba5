# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a profile that is being filled in, by the field that it belongs to; no Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from watchword.core.cli.guest_host import readable_host
from watchword.core.errors import UsageError
from watchword.core.guest.document import profile_from_document
from watchword.core.guest.problems import ProfileInvalid, shown_path

Document = dict[str, Any]


def problems_of(document: Mapping[str, Any], secrets: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Every problem as a sentence, by the key of its field; no file is looked at.

    ``secrets``  as they were typed: a name that is there twice is lost in the document
    """
    found: dict[str, list[str]] = {}
    try:
        profile_from_document(document, "the profile")
    except ProfileInvalid as invalid:
        for problem in invalid.problems:
            key, *rest = problem.path or ("",)
            where = shown_path(tuple(rest))
            sentence = f"{where}: {problem.sentence}" if where else problem.sentence
            found.setdefault(str(key), []).append(sentence)
    if "host" in document and "host" not in found:
        try:
            readable_host(str(document["host"]))
        except UsageError as error:
            found["host"] = [f"{error.message} {error.remedy}"]
    names = [name for name, _ in secrets]
    if len(set(names)) < len(names):
        sentence = "Two of them have one name; the guest would see only one of them."
        found.setdefault("secrets", []).append(sentence)
    return {key: " ".join(dict.fromkeys(sentences)) for key, sentences in found.items()}


def without_empty(document: Mapping[str, Any]) -> Document:
    """The document without what is not stated."""
    return {key: value for key, value in document.items() if value not in ("", None, [], {})}


def lines_of(text: str) -> list[str]:
    """The lines of a text that have something in them, blanks and all."""
    return [line for line in text.split("\n") if line.strip()]


def cmdlines(text: str, before: Sequence[object]) -> list[object]:
    """The command lines of a text; those that are known by their hash alone stay."""
    lines = lines_of(text)
    if lines == [line for line in before if isinstance(line, str)]:
        return [*before]
    return [*(line for line in before if not isinstance(line, str)), *lines]


def owner_ca(text: str, before: object) -> object:
    """What the document has for an owner CA: the table that was there, if it is still meant."""
    if isinstance(before, Mapping) and text in (before.get("sha256"), before.get("path")):
        return dict(before)
    return text


def chips(lines: Sequence[str], before: Sequence[Mapping[str, Any]]) -> list[object]:
    """The chips by fingerprint, with what was noted of them before."""
    known = {str(chip.get("sha256")): dict(chip) for chip in before}
    return [known.get(line.strip().lower(), line.strip()) for line in lines]
