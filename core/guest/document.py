# SPDX-License-Identifier: Apache-2.0
"""Profiles as TOML: reading with every problem and its line, and writing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import tomli_w
from pydantic import ValidationError

from .fields import is_newer_format
from .problems import ProfileInvalid
from .profile import ApprovedFile, GuestProfile, OwnerCa, PinnedCek
from .rules import broken_rules
from .toml_document import DocumentKind, located, published, schema_for_toml
from .toml_lines import key_lines
from .watch_limits import WatchLimits

LARGEST_PROFILE: Final = 256 << 10
"""Bytes of a profile's file."""
_MEND: Final = "Mend what is named, and try again."
_SOUNDS_SECRET: Final = re.compile(r"pass|secret|token|value|credential|private|\bkey\b", re.I)


def sounds_secret(key: str) -> bool:
    """Whether a key is called as if a secret were its value."""
    return _SOUNDS_SECRET.search(key) is not None


def _hint(key: str) -> str:
    if not sounds_secret(key):
        return ""
    return " A profile holds no secrets, only names of vault entries, under [secrets]."


PROFILE: Final = DocumentKind(
    "profile",
    LARGEST_PROFILE,
    GuestProfile,
    {
        "firmware": ApprovedFile,
        "kernel": ApprovedFile,
        "initrd": ApprovedFile,
        "oca": OwnerCa,
        "ceks": PinnedCek,
        "watch": WatchLimits,
    },
    _hint,
)


def read_profile(data: bytes, field: str, remedy: str = _MEND) -> GuestProfile:
    """The profile in a TOML file's bytes; ``field`` and ``remedy`` are for errors.

    Raises ProfileInvalid with all problems, or BadInput ``profile-too-large``,
    ``profile-not-text`` or ``profile-not-toml``.
    """
    text = PROFILE.text(data, field)
    return _checked(PROFILE.parsed(text, field, remedy), field, remedy, text)


def read_document(data: bytes, field: str) -> dict[str, Any]:
    """The unchecked values in a TOML text's bytes; raises as ``read_profile`` about its form."""
    return PROFILE.parsed(PROFILE.text(data, field), field, _MEND)


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
    return schema_for_toml(GuestProfile, "Watchword guest profile")


def schema_text() -> str:
    """The schema as it is published, in resources/guest-profile.schema.json."""
    return published(profile_schema())


def _visible(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _checked(document: Mapping[str, Any], field: str, remedy: str, text: str = "") -> GuestProfile:
    try:
        return GuestProfile.model_validate(document)
    except ValidationError as fault:
        problems, untold = PROFILE.problems(fault)
    if is_newer_format(document.get("format")):
        # What a newer format may hold is not for this version to judge.
        problems, untold = [one for one in problems if one.path == ("format",)], 0
    else:
        problems += broken_rules(document)
    lines = key_lines(text)
    raise ProfileInvalid(
        field, [located(problem, document, lines) for problem in problems], remedy, untold
    )
