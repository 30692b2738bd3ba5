# SPDX-License-Identifier: Apache-2.0
"""Changes to a profile's document as people type them: set, unset, add to and drop from sets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NoReturn

from ..errors import BadInput, UsageError
from ..guest.approvals import OCA, look_at
from ..guest.document import read_document
from ..guest.rules import FILES, needs_es
from .guest_host import readable_host
from .guest_options import hash_or_path, whole_path

Document = dict[str, Any]

SETTABLE: Final = (
    "description",
    "technology",
    "policy",
    "minimum_api",
    "minimum_build",
    "oca",
    "ceks",
    "cmdline",
    "vcpus",
    "cpu",
    "vmsa",
    "sev_features",
    "route",
    "host",
)
SETS: Final = (*FILES, "cmdline", "cpu", "ceks")
_SECRETS: Final = "secrets"
_WATCH: Final = "watch"
TABLES: Final = (_SECRETS, _WATCH)
_SHORTEST_HASH: Final = 8


def set_values(document: Document, texts: Sequence[str]) -> None:
    """Apply KEY=VALUE texts; what is stated about the technology follows the policy."""
    keys = []
    for text in texts:
        key, value = _split(text, "--set")
        keys.append(key)
        if secret := _name_in(_SECRETS, key):
            document[_SECRETS] = {**document.get(_SECRETS, {}), secret: value}
        elif limit := _name_in(_WATCH, key):
            document[_WATCH] = {**document.get(_WATCH, {}), limit: value}
        elif key in FILES:
            _not_settable(key)
        elif key not in SETTABLE:
            _unknown_key("--set", key, (*SETTABLE, "secrets.NAME", "watch.KEY"))
        else:
            document[key] = _value(key, value)
    if "policy" in keys and "technology" not in keys:
        document["technology"] = "sev" if needs_es(document) is False else "sev-es"


def _value(key: str, text: str) -> object:
    if text[:1] in ("[", "{"):
        return _toml_value(text)
    if key == "host":
        return readable_host(text)
    if key == OCA:
        return _looked_at_oca(text)
    return text


def _toml_value(text: str) -> object:
    document = read_document(f"value = {text}".encode(errors="replace"), "--set")
    if set(document) == {"value"}:
        return document["value"]
    raise UsageError(
        "bad-change",
        "Can't read --set",
        "More follows after the value.",
        "Give --set once for each key.",
    )


def _looked_at_oca(text: str) -> object:
    """A fingerprint as it is, or the path of a certificate with the one that it has now."""
    given = hash_or_path(text)
    if given == text and not text.startswith("/"):
        return text
    found = look_at(OCA, given)
    if found.problem is not None:
        raise found.problem
    return {"sha256": found.sha256, "path": given}


def unset_keys(document: Document, keys: Sequence[str]) -> None:
    """Leave keys out, so that their defaults hold."""
    for key in keys:
        table, _, name = key.partition(".")
        if name and table in TABLES:
            if name not in document.get(table, {}):
                _nothing_there("--unset", key)
            document[table] = {
                other: value for other, value in document[table].items() if other != name
            }
        elif key not in (*SETTABLE, *FILES, *TABLES):
            _unknown_key("--unset", key, (*SETTABLE, *FILES, "secrets.NAME", "watch.KEY"))
        elif document.pop(key, None) is None:
            _nothing_there("--unset", key)


def add_values(document: Document, texts: Sequence[str], now: datetime) -> None:
    """Apply KEY=VALUE texts that add to sets; a file that is named is looked at and approved."""
    for text in texts:
        key, value = _split(text, "--add")
        if key not in SETS:
            _unknown_key("--add", key, SETS)
        members = _members(document, key)
        members.append(_new_file(key, value, members, now) if key in FILES else value)
        document[key] = members


def _new_file(component: str, text: str, members: list[Any], now: datetime) -> Document:
    given = hash_or_path(text)
    if given == text and not text.startswith("/"):
        return {"sha256": text, "approved": now}
    path = whole_path(text)
    if any(member.get("path") == path for member in members):
        raise UsageError(
            "already-in-profile",
            "The profile names this file already",
            f"{path} is part of it.",
            f"If it has changed and you agree to what it is now: --approve {component}.",
        )
    found = look_at(component, path)
    if found.problem is not None:
        raise found.problem
    return {"path": path, "sha256": found.sha256, "size": found.size, "approved": now}


def drop_values(document: Document, texts: Sequence[str]) -> None:
    """Apply KEY=VALUE texts that take members out of sets.

    Files and chips go by path or the beginning of their hash, others by what they are.
    """
    for text in texts:
        key, value = _split(text, "--drop")
        if key not in SETS:
            _unknown_key("--drop", key, SETS)
        members = _members(document, key)
        kept = [member for member in members if not _is_meant(member, value)]
        if len(kept) == len(members):
            _nothing_there("--drop", key)
        if len(members) - len(kept) > 1:
            raise UsageError(
                "ambiguous-drop",
                f"More than one {key} is meant",
                "Several of the set fit what --drop says.",
                "Give more digits of the hash.",
            )
        document[key] = kept


def _is_meant(member: object, text: str) -> bool:
    if not isinstance(member, dict):
        return member == text
    digits = str(member.get("sha256", ""))
    by_hash = len(text) >= _SHORTEST_HASH and digits.startswith(text.lower())
    return by_hash or member.get("path") in (text, whole_path(text))


def _members(document: Document, key: str) -> list[Any]:
    value = document.get(key, [])
    return list(value) if isinstance(value, list | tuple) else [value]


def _split(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(
            "bad-change",
            f"Can't read {option}",
            "It takes KEY=VALUE.",
            f"Write, for example, {option} cpu=EPYC-Milan.",
        )
    return key.strip(), value


def _name_in(table: str, key: str) -> str:
    """The name that follows a table's and a dot; empty if it is no such key."""
    found, dot, name = key.partition(".")
    return name if found == table and dot else ""


def _unknown_key(option: str, key: str, known: Sequence[str]) -> NoReturn:
    raise UsageError(
        "bad-change",
        f"Can't use {option}",
        f"{key[:40]!r} is nothing that it can change.",
        f"There are {', '.join(known)}.",
    )


def _not_settable(component: str) -> NoReturn:
    raise UsageError(
        "bad-change",
        f"{component} can't be set",
        "What is approved changes by approving.",
        f"Use --add {component}=FILE, --drop {component}=FILE, or --approve {component} for a"
        " file that has changed.",
    )


def _nothing_there(option: str, key: str) -> NoReturn:
    raise BadInput(
        "not-in-profile",
        option,
        f"The profile has no such {key}.",
        "See what it has with `watchword guest show`.",
    )
