# SPDX-License-Identifier: Apache-2.0
"""``watchword evidence``: signed documents of what was verified; list, export, check them."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from ..errors import VaultError
from ..evidence.signing_key import SIGNING_KEY_ENTRY, new_signing_key, signer_fingerprint
from ..records.database import Records, records_folder
from ..secret import Secret
from ..vault.entries import EntryKind
from ..vault.vault import Vault
from .command import Parser, Subparsers, add_command, add_group
from .output import Console, Result
from .vault_options import add_vault_options, opened_vault

if TYPE_CHECKING:
    from ..evidence.store import StoredEvidence


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``evidence list|export|verify|open|signer``."""
    group = add_group(
        subparsers, "evidence", "list, export and check signed documents of what was verified"
    )
    listing = add_command(
        group,
        "list",
        summary="list the documents in the records, oldest first",
        example="watchword evidence list --launch ID",
        run=_list,
    )
    listing.add_argument("--launch", metavar="ID", help="only those of this launch")
    _declare_export(group)
    _declare_verify(group)
    _declare_open(group)
    signer = add_command(
        group,
        "signer",
        summary="print the fingerprint that others know your signing key by",
        example="watchword evidence signer",
        run=_signer,
    )
    signer.add_argument("--new", action="store_true", help="make the key if there is none yet")
    add_vault_options(signer)


def _declare_export(group: Subparsers[Parser]) -> None:
    export = add_command(
        group,
        "export",
        summary="write a document to a file, as it was signed, as a page to read, or without names",
        example="watchword evidence export ID --out launch.json",
        run=_export,
    )
    export.add_argument("name", metavar="ID|LAUNCH", help="a document, or a launch: its newest")
    export.add_argument("--out", metavar="FILE", required=True, help="where to write it")
    export.add_argument("--html", action="store_true", help="a page to read and print, verified")
    export.add_argument(
        "--redact",
        action="store_true",
        help="take out chip id, host, command line and names, and sign it anew",
    )
    export.add_argument(
        "--salts",
        metavar="FILE",
        help="what opens the commitments that --redact leaves; default: FILE of --out and .salts",
    )
    _add_recheck_options(export)
    add_vault_options(export)


def _declare_verify(group: Subparsers[Parser]) -> None:
    verify = add_command(
        group,
        "verify",
        summary="check signature, certificates, launch digest and the platform's own report",
        example="watchword evidence verify launch.json --signer HEX --firmware OVMF.fd",
        run=_verify,
    )
    verify.add_argument("files", nargs="+", metavar="FILE", help="documents, each with a verdict")
    verify.add_argument(
        "--signer",
        metavar="HEX",
        action="append",
        default=[],
        help="fingerprint of the owner's key, known by another way; may be repeated",
    )
    verify.add_argument(
        "--accept-unknown-signer",
        action="store_true",
        help="check the rest although nobody vouches for the key",
    )
    _add_recheck_options(verify)


def _declare_open(group: Subparsers[Parser]) -> None:
    opening = add_command(
        group,
        "open",
        summary="show the texts behind the commitments of a redacted document",
        example="watchword evidence open redacted.json --salts redacted.json.salts",
        run=_open,
    )
    opening.add_argument("file", metavar="FILE", help="the redacted document")
    opening.add_argument("--salts", metavar="FILE", required=True, help="as export wrote it")


def _add_recheck_options(parser: argparse.ArgumentParser) -> None:
    for name in ("firmware", "kernel", "initrd"):
        parser.add_argument(
            f"--{name}",
            metavar="FILE",
            action="append",
            default=[],
            help=f"the {name} that must have been measured; may be repeated",
        )
    parser.add_argument(
        "--trust-root",
        metavar="FILE",
        action="append",
        default=[],
        help="an ARK that is not AMD's and is to be trusted all the same",
    )


def _list(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    folder = records_folder()
    entries: tuple[StoredEvidence, ...] = ()
    if Records.exists(folder):
        from ..evidence.store import EvidenceStore  # noqa: PLC0415 - large, and rarely needed

        with Records.open(folder) as records:
            entries = EvidenceStore(records).list(arguments.launch)
    lines = tuple(
        f"{entry.number:>5}  {entry.made}  {entry.launch_id}  {entry.sha256[:16]}…"
        for entry in entries
    )
    payload = {"evidence": [entry.as_json() for entry in entries]}
    return Result(payload, lines or ("There is no evidence.",))


def _export(arguments: argparse.Namespace, console: Console) -> Result:
    from .evidence_export import export  # noqa: PLC0415 - large, and only for this word

    return export(arguments, console)


def _verify(arguments: argparse.Namespace, console: Console) -> Result:
    from .evidence_verify import verify  # noqa: PLC0415 - as above

    return verify(arguments, console)


def _open(arguments: argparse.Namespace, console: Console) -> Result:
    from .evidence_export import open_commitments  # noqa: PLC0415 - as above

    return open_commitments(arguments, console)


def _signer(arguments: argparse.Namespace, console: Console) -> Result:
    with opened_vault(arguments, console) as vault:
        if arguments.new:
            make_signing_key(vault)
        key = signing_key(vault)
    try:
        fingerprint = signer_fingerprint(key)
    finally:
        key.wipe()
    lines = (
        fingerprint,
        "Tell it to whoever is to check your evidence, by another way than the evidence itself.",
    )
    return Result({"signer": fingerprint}, lines)


def make_signing_key(vault: Vault) -> None:
    """Make the owner's signing key, unless there is one."""
    if any(entry.name == SIGNING_KEY_ENTRY for entry in vault.list()):
        return
    key = new_signing_key(os.urandom)
    try:
        vault.add(SIGNING_KEY_ENTRY, EntryKind.SIGNING_KEY, key)
    finally:
        key.wipe()


def signing_key(vault: Vault) -> Secret:
    """The owner's signing key, which the caller wipes. Raises VaultError ``no-signing-key``."""
    try:
        return vault.get(SIGNING_KEY_ENTRY)
    except VaultError as error:
        if error.code != "entry-missing":
            raise
        raise VaultError(
            "no-signing-key",
            "There is no key yet to sign evidence with",
            f"The vault has no entry {SIGNING_KEY_ENTRY}.",
            "The first launch makes one; `watchword evidence signer --new` makes it now.",
        ) from None
