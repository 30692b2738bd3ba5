# SPDX-License-Identifier: Apache-2.0
"""The file of salts that its owner keeps beside a redacted document, to open commitments later."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from ..bounded_json import parse_json
from ..errors import BadInput
from .envelope import open_envelope
from .redaction import RedactedEvidence, opens

LARGEST_SALTS: Final = 1 << 20
_FORMAT: Final = 1
_HOW_TO_CHECK: Final = (
    "Keep this file to yourself. To open one commitment to somebody, tell him its field, salt and"
    " text: the commitment is the SHA-256 of the salt's 32 bytes followed by the text in UTF-8."
)


def build_salts(redacted: RedactedEvidence) -> bytes:
    """The file that opens a redacted document's commitments."""
    content = {
        "format": _FORMAT,
        "how": _HOW_TO_CHECK,
        "document_sha256": hashlib.sha256(redacted.envelope).hexdigest(),
        "openings": [opening.as_json() for opening in redacted.openings],
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def opened_texts(
    envelope: bytes, salts: bytes, field: str, salts_field: str
) -> tuple[tuple[str, str], ...]:
    """Places and texts, each held against its commitment in the document.

    ``field``, ``salts_field``  what errors call the two. Raises BadInput as ``open_envelope``
    does, and ``bad-salts``.
    """
    predicate = open_envelope(envelope, field).statement.to_json()["predicate"]
    given = _read(salts, hashlib.sha256(envelope).hexdigest(), salts_field)
    found: list[tuple[str, str]] = []
    for opening in given:
        commitment = _at(predicate, opening["field"])
        if not opens(commitment, bytes.fromhex(opening["salt"]), opening["text"]):
            place = opening["field"][:80]
            raise _bad_salts(salts_field, f"It does not open “{place}” of this document.")
        found.append((opening["field"], opening["text"]))
    return tuple(found)


def _read(data: bytes, document: str, field: str) -> list[dict[str, str]]:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _bad_salts(field, "It is not text in UTF-8.") from None
    value: Any = parse_json(text, field, deepest=4)
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        raise _bad_salts(field, "It is no file of salts.")
    if value.get("document_sha256") != document:
        raise _bad_salts(field, "It belongs to another document.")
    openings = value.get("openings")
    if not isinstance(openings, list) or not all(map(_is_opening, openings)):
        raise _bad_salts(field, "Its openings can't be read.")
    return openings


def _is_opening(value: object) -> bool:
    if not isinstance(value, dict) or set(value) != {"field", "salt", "text"}:
        return False
    salt = value["salt"]
    is_hex = isinstance(salt, str) and len(salt) == 64 and set(salt) <= set("0123456789abcdef")
    return is_hex and all(isinstance(part, str) for part in value.values())


def _at(predicate: dict[str, Any], place: str) -> str:
    """The commitment at such a place as ``secrets[0].entry``; empty if there is none."""
    value: Any = predicate
    for part in place.replace("]", "").replace("[", ".").split(".")[:8]:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and len(part) < 5:
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return ""
    found = value.get("commitment") if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _bad_salts(field: str, problem: str) -> BadInput:
    return BadInput(
        "bad-salts",
        field,
        problem,
        "Give the file that `watchword evidence export --redact` wrote beside this document.",
    )
