# SPDX-License-Identifier: Apache-2.0
"""``watchword evidence export`` and ``open``: documents as files, pages, and without names."""

from __future__ import annotations

import argparse
import hashlib
import os
from pathlib import Path

from ..errors import BadInput, UsageError
from ..evidence.envelope import LARGEST_ENVELOPE
from ..evidence.html_page import evidence_page
from ..evidence.redaction import RedactedEvidence, redact
from ..evidence.salts_file import LARGEST_SALTS, build_salts, opened_texts
from ..evidence.store import EvidenceStore
from ..evidence.verify import verify_evidence
from ..files import read_file
from ..records.database import Records, records_folder
from .evidence_command import signing_key
from .evidence_verify import load_own_files, load_trust
from .new_files import NewFile, write_new_files
from .output import Console, Result, table
from .vault_options import opened_vault


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
        files.append(NewFile(salts, build_salts(redacted), "--salts"))
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


def _page(arguments: argparse.Namespace, envelope: bytes) -> bytes:
    # Whose key it is, a page can't say: whoever reads it has to compare the fingerprint.
    trust = load_trust(arguments, accept_unknown_signer=True)
    return evidence_page(verify_evidence(envelope, trust, load_own_files(arguments))).encode()


def open_commitments(arguments: argparse.Namespace, console: Console) -> Result:
    """Hold each text and salt against its commitment in the document."""
    del console
    envelope = read_file(arguments.file, "FILE", LARGEST_ENVELOPE)
    salts = read_file(arguments.salts, "--salts", LARGEST_SALTS)
    shown = opened_texts(envelope, salts, "FILE", "--salts")
    payload = {"opened": [{"field": place, "text": text} for place, text in shown]}
    return Result(payload, table(shown, indent=""))
