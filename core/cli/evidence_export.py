# SPDX-License-Identifier: Apache-2.0
"""``watchword evidence export`` and ``open``: documents as files, pages, and without names."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

from ..bounded_json import parse_json
from ..errors import BadInput, UsageError
from ..evidence.envelope import LARGEST_ENVELOPE, open_envelope
from ..evidence.html_page import evidence_page
from ..evidence.redaction import RedactedEvidence, opens, redact
from ..evidence.store import EvidenceStore
from ..evidence.verify import verify_evidence
from ..files import read_file
from ..records.database import Records, records_folder
from .evidence_command import signing_key
from .evidence_verify import load_own_files, load_trust
from .new_files import NewFile, write_new_files
from .output import Console, Result, table
from .vault_options import opened_vault

_SALTS_FORMAT: Final = 1
_LARGEST_SALTS: Final = 1 << 20
_HOW_TO_CHECK: Final = (
    "Keep this file to yourself. To open one commitment to somebody, tell him its field, salt and"
    " text: the commitment is the SHA-256 of the salt's 32 bytes followed by the text in UTF-8."
)


def export(arguments: argparse.Namespace, console: Console) -> Result:
    """Write one document; nothing that exists is overwritten."""
    out = Path(arguments.out)
    salts = Path(arguments.salts or f"{arguments.out}.salts")
    if arguments.salts is not None and not arguments.redact:
        raise UsageError(
            "salts-without-redact",
            "--salts is given without --redact",
            "There are salts only where names were taken out.",
            "Add --redact, or leave --salts out.",
        )
    _refuse_existing(out, "--out")
    if arguments.redact:
        _refuse_existing(salts, "--salts")
        _refuse_same(out, salts)
    stored, envelope = _load(arguments.name)
    files: list[NewFile] = []
    redacted = _redacted(arguments, console, envelope) if arguments.redact else None
    if redacted is not None:
        envelope = redacted.envelope
        files.append(NewFile(salts, _salts_file(redacted), "--salts"))
    content = _page(arguments, envelope) if arguments.html else envelope
    write_new_files([*files, NewFile(out, content, "--out")])
    payload: dict[str, object] = {
        **stored,
        "sha256": hashlib.sha256(envelope).hexdigest(),
        "file": str(out),
        "salts": str(salts) if redacted is not None else None,
    }
    lines = [f"Wrote {out}."]
    if redacted is not None:
        lines.append(f"Wrote {salts}, which opens its commitments: keep it to yourself.")
    return Result(payload, tuple(lines))


def _refuse_existing(path: Path, option: str) -> None:
    if os.path.lexists(path):
        raise BadInput(
            "file-exists",
            option,
            f"{path} exists already, and nothing is overwritten.",
            f"Name another file with {option}.",
            {"path": str(path)},
        )


def _refuse_same(out: Path, salts: Path) -> None:
    if out.absolute() == salts.absolute():
        raise UsageError(
            "contradicting-options",
            "--out and --salts name the same file",
            "Whoever is given the document would be given what opens its commitments.",
            "Name another file with --salts.",
        )


def _load(name: str) -> tuple[dict[str, object], bytes]:
    """A document of the records, and what they say of it."""
    folder = records_folder()
    if not Records.exists(folder):
        raise UsageError(
            "evidence-missing",
            "There is no such evidence",
            "There are no records of launches yet.",
            "A launch makes evidence when it ends.",
        )
    with Records.open(folder) as records:
        store = EvidenceStore(records)
        found = store.find(name)
        return found.as_json(), store.envelope(found)


def _redacted(arguments: argparse.Namespace, console: Console, envelope: bytes) -> RedactedEvidence:
    with opened_vault(arguments, console) as vault:
        key = signing_key(vault)
    try:
        return redact(envelope, key, os.urandom)
    finally:
        key.wipe()


def _salts_file(redacted: RedactedEvidence) -> bytes:
    content = {
        "format": _SALTS_FORMAT,
        "how": _HOW_TO_CHECK,
        "document_sha256": hashlib.sha256(redacted.envelope).hexdigest(),
        "openings": [opening.as_json() for opening in redacted.openings],
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def _page(arguments: argparse.Namespace, envelope: bytes) -> bytes:
    # Whose key it is, a page can't say: whoever reads it has to compare the fingerprint.
    trust = load_trust(arguments, accept_unknown_signer=True)
    return evidence_page(verify_evidence(envelope, trust, load_own_files(arguments))).encode()


def open_commitments(arguments: argparse.Namespace, console: Console) -> Result:
    """Hold each text and salt against its commitment in the document."""
    del console
    envelope = read_file(arguments.file, "FILE", LARGEST_ENVELOPE)
    predicate = open_envelope(envelope, "FILE").statement.to_json()["predicate"]
    given = _read_salts(arguments.salts, hashlib.sha256(envelope).hexdigest())
    shown: list[tuple[str, str]] = []
    for opening in given:
        commitment = _at(predicate, opening["field"])
        if not opens(commitment, bytes.fromhex(opening["salt"]), opening["text"]):
            raise _bad_salts(f"It does not open “{opening['field'][:80]}” of this document.")
        shown.append((opening["field"], opening["text"]))
    payload = {"opened": [{"field": place, "text": text} for place, text in shown]}
    return Result(payload, table(shown, indent=""))


def _read_salts(path: str, document: str) -> list[dict[str, str]]:
    try:
        text = read_file(path, "--salts", _LARGEST_SALTS).decode()
    except UnicodeDecodeError:
        raise _bad_salts("It is not text in UTF-8.") from None
    value: Any = parse_json(text, "--salts", deepest=4)
    if not isinstance(value, dict) or value.get("format") != _SALTS_FORMAT:
        raise _bad_salts("It is no file of salts.")
    if value.get("document_sha256") != document:
        raise _bad_salts("It belongs to another document.")
    openings = value.get("openings")
    if not isinstance(openings, list) or not all(map(_is_opening, openings)):
        raise _bad_salts("Its openings can't be read.")
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


def _bad_salts(problem: str) -> BadInput:
    return BadInput(
        "bad-salts",
        "--salts",
        problem,
        "Give the file that `watchword evidence export --redact` wrote beside this document.",
    )
