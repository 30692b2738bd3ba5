# SPDX-License-Identifier: Apache-2.0
"""Takes the owner's and the host's names out of a document, and leaves commitments to them.

    commitment = SHA-256(salt of 32 bytes || the text in UTF-8), in hex

The salts go to the owner alone, who can open a commitment later by telling text and
salt. The new document is signed anew by the same key: it is the owner's word that it is
the old one with texts taken out.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from ..errors import VerificationRefused
from ..secret import Secret
from .envelope import open_envelope, sign_statement
from .refusals import contradiction
from .signing_key import signer_fingerprint

SALT_SIZE: Final = 32
REDACTION_NOTES: Final = (
    (
        "CEK, OCA, PEK and PDH are still there, so that the chain can be checked: whoever knows"
        " the machine's certificates recognises it."
    ),
    (
        "The hash of the command line and the launch digest are still there: whoever guesses the"
        " whole command line can confirm the guess."
    ),
    (
        "All else can be recomputed as from the original. That only texts were taken out of it is"
        " the owner's word."
    ),
)
"""What the document says of its own gaps."""
_ALWAYS: Final = (
    "host",
    "guest",
    "launch.id",
    "profile.name",
    "profile.sha256",
    "platform.chip_id",
    "contents.cmdline",
    "error.message",
)
_SHORTEST_NEEDLE: Final = 3
_PATH: Final = re.compile(r"(?<![\w./-])/[^\s/]")
"""A path on the owner's machine, with his name in it and what he calls his things."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens one commitment: the place in the predicate, the salt (32 bytes), the text."""

    place: str
    salt: bytes = field(repr=False)
    text: str = field(repr=False)

    def as_json(self) -> dict[str, str]:
        """The opening with stable field names."""
        return {"field": self.place, "salt": self.salt.hex(), "text": self.text}


@dataclass(frozen=True, slots=True)
class RedactedEvidence:
    """The new document, and what opens its commitments: that stays with the owner."""

    envelope: bytes
    openings: tuple[Opening, ...] = field(repr=False)


def commitment_of(salt: bytes, text: str) -> str:
    """SHA-256 (hex) of a salt (32 bytes) and a text; another salt gives another commitment."""
    return hashlib.sha256(salt + text.encode("utf-8")).hexdigest()


def opens(commitment: str, salt: bytes, text: str) -> bool:
    """Whether salt and text are those of a commitment (hex)."""
    return len(salt) == SALT_SIZE and hmac.compare_digest(commitment_of(salt, text), commitment)


def redact(
    envelope: bytes, signing_key: Secret, random: Callable[[int], bytes]
) -> RedactedEvidence:
    """The document without chip id, host, command line, and the names of guest, profile and vault.

    Free texts in which one of these occurs go as a whole. Raises as ``open_envelope``
    does, VerificationRefused ``not-your-evidence`` for another owner's document, and
    ``evidence-contradiction`` for one that is redacted already.
    """
    opened = open_envelope(envelope)
    if opened.fingerprint != signer_fingerprint(signing_key):
        raise _not_yours(opened.fingerprint)
    if opened.statement.predicate.redaction is not None:
        raise contradiction("It is redacted already; redact the original.")
    statement = opened.statement.to_json()
    openings = tuple(_take_out(statement["predicate"], random))
    statement["predicate"]["redaction"] = {
        "original_sha256": opened.sha256,
        "fields": [opening.place for opening in openings],
        "notes": list(REDACTION_NOTES),
    }
    return RedactedEvidence(sign_statement(statement, signing_key), openings)


def _take_out(predicate: dict[str, Any], random: Callable[[int], bytes]) -> Iterator[Opening]:
    """Replace what is to go, in place; the openings as they are made."""
    needles = tuple(_needles(predicate))
    for place, holder, key in _places(predicate):
        text = holder[key]
        if not isinstance(text, str):
            continue
        if place in _ALWAYS or place.endswith("].entry") or _tells(text, needles):
            salt = random(SALT_SIZE)
            holder[key] = {"commitment": commitment_of(salt, text)}
            yield Opening(place, salt, text)


def _places(predicate: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Every text that may be taken out: where it is, what holds it, under which key."""
    for place in _ALWAYS:
        *path, name = place.split(".")
        holder = predicate
        for part in path:
            holder = holder[part] if holder is not None else None
        if holder is not None:
            yield place, holder, name
    for number, secret in enumerate(predicate["secrets"]):
        for name in ("name", "entry"):
            yield f"secrets[{number}].{name}", secret, name
    for step in predicate["waivers"]:
        yield f"waivers.{step}", predicate["waivers"], step
    for number in range(len(predicate["warnings"])):
        yield f"warnings[{number}]", predicate["warnings"], number


def _needles(predicate: Mapping[str, Any]) -> Iterator[str]:
    """What free texts are searched for: the names, and the parts of the host's URL."""
    contents = predicate["contents"] or {}
    named = [
        predicate["guest"],
        predicate["profile"]["name"],
        predicate["launch"]["id"],
        predicate["platform"]["chip_id"],
        contents.get("cmdline"),
        predicate["host"],
        *(secret["entry"] for secret in predicate["secrets"]),
        *_parts_of_url(predicate["host"] or ""),
    ]
    for text in named:
        if isinstance(text, str) and text:
            yield text


def _parts_of_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        found = (parts.hostname, parts.username, parts.path, *parts.query.split("&"))
    except ValueError:
        return
    for text in found:
        value = (text or "").rpartition("=")[2]
        if len(value) >= _SHORTEST_NEEDLE:
            yield value


def _tells(text: str, needles: tuple[str, ...]) -> bool:
    return _PATH.search(text) is not None or any(
        re.search(rf"(?<![A-Za-z0-9]){re.escape(needle)}(?![A-Za-z0-9])", text, re.IGNORECASE)
        for needle in needles
    )


def _not_yours(fingerprint: str) -> VerificationRefused:
    return VerificationRefused(
        "not-your-evidence",
        "This evidence is signed by another key than yours",
        f"Its key is {fingerprint}. Only its owner can say what the rest of it is without names.",
        "Redact it where its signing key is, or ask its owner to.",
    )
