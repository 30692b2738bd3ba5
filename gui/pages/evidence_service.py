# SPDX-License-Identifier: Apache-2.0
"""Signed documents as the window has them: listed, saved, redacted, checked; without Qt.

Every method blocks and opens the records for itself, in whichever thread it is called.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchword.core.cli.new_files import NewFile, refuse_existing, write_new_files
from watchword.core.errors import BadInput, UsageError, WatchwordError
from watchword.core.evidence.store import EvidenceStore
from watchword.core.files import BOOT_FILE_LIMIT, read_chunks, read_file
from watchword.core.records.database import Records, records_folder

from .vault_service import VaultService

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchword.core.evidence.digest_recheck import OwnFiles
    from watchword.core.evidence.store import StoredEvidence
    from watchword.core.evidence.verdict import EvidenceVerdict
    from watchword.core.evidence.verify import Trust
    from watchword.core.secret import Secret
    from watchword.core.sev.certificates import AmdCertificate

_DOCUMENT: Final = "the document"
_SALTS: Final = "the file of salts"
_LARGEST_ROOT: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusting:
    """Whom and what the person who checks trusts; files by path, empty for none.

    ``signers``  fingerprints (hex) of owners' keys
    ``root``     an ARK that is not AMD's, as those of simulated platforms
    """

    signers: tuple[str, ...] = ()
    accept_unknown_signer: bool = False
    root: str = ""
    firmware: str = ""
    kernel: str = ""
    initrd: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """One document: its verdict, or why there is none."""

    path: str
    verdict: EvidenceVerdict | None
    error: WatchwordError | None = None


class EvidenceService:
    """The documents in the user's records, and any others by path.

    ``vaults``  the window's vault, which holds the signing key
    """

    def __init__(self, vaults: VaultService | None, folder: Path | None = None) -> None:
        self.vaults = vaults
        self._folder = folder

    @contextmanager
    def _records(self) -> Iterator[Records]:
        folder = self._folder if self._folder is not None else records_folder()
        if not Records.exists(folder):
            raise _no_records()
        with Records.open(folder) as records:
            yield records

    def documents(self) -> tuple[StoredEvidence, ...]:
        """All documents in the records, the newest first."""
        try:
            with self._records() as records:
                return EvidenceStore(records).list()[::-1]
        except UsageError:
            return ()

    def envelope(self, name: str) -> bytes:
        """A document as it was signed, by number or launch. Raises UsageError."""
        with self._records() as records:
            store = EvidenceStore(records)
            return store.envelope(store.find(name))

    def write(self, path: str, data: bytes) -> None:
        """Write a new file. Raises BadInput ``file-exists`` or ``file-not-written``."""
        self._write([(Path(path), data)])

    def page(self, name: str, envelope: bytes | None = None) -> bytes:
        """A document as a page to read in HTML, verified; ``envelope`` may be one made of it.

        Raises UsageError, and as ``verify_evidence`` does.
        """
        from watchword.core.evidence.html_page import evidence_page  # noqa: PLC0415
        from watchword.core.evidence.verify import verify_evidence  # noqa: PLC0415

        data = self.envelope(name) if envelope is None else envelope
        # Whose key it is, a page can't say: whoever reads it has to compare the fingerprint.
        trust = _trust(Trusting(accept_unknown_signer=True), self._roots_of(name))
        return evidence_page(verify_evidence(data, trust)).encode()

    def _roots_of(self, name: str) -> tuple[AmdCertificate, ...]:
        """The roots that its owner trusted for a document's launch."""
        from watchword.core.launch.store import LaunchStore  # noqa: PLC0415 - for pages alone
        from watchword.core.sev.certificates import AmdCertificate  # noqa: PLC0415 - as above

        with self._records() as records:
            launch_id = EvidenceStore(records).find(name).launch_id
            store = LaunchStore(records)
            if all(summary.id != launch_id for summary in store.list()):
                return ()
            roots = store.load(launch_id).record.order.trusted_roots
        return tuple(AmdCertificate.parse(data, "the trusted root") for data in roots)

    def redact(self, name: str, path: str, salts: str = "") -> Path:
        """Write a document without its names, signed anew, and what opens its commitments.

        A path that ends in ``.html`` gets a page. Returns where the salts are. Raises UsageError,
        BadInput, and VaultError as VaultService.opened does.
        """
        from watchword.core.evidence.redaction import redact  # noqa: PLC0415 - rarely needed
        from watchword.core.evidence.salts_file import build_salts  # noqa: PLC0415 - as above

        out, kept = Path(path), Path(salts or f"{path}.salts")
        if out.absolute() == kept.absolute():
            raise _same_file()
        _refuse(out, kept)
        envelope = self.envelope(name)
        with self._signing_key() as key:
            redacted = redact(envelope, key, os.urandom)
        page = out.suffix.lower() in (".html", ".htm")
        content = self.page(name, redacted.envelope) if page else redacted.envelope
        self._write([(kept, build_salts(redacted)), (out, content)])
        return kept

    def _write(self, files: Sequence[tuple[Path, bytes]]) -> None:
        _refuse(*(path for path, _ in files))
        write_new_files([NewFile(path, data, "the new file") for path, data in files])

    def signer(self, *, new: bool = False) -> str:
        """The fingerprint of the owner's signing key, which is made if ``new``.

        Raises VaultError ``no-signing-key``, and as VaultService.opened does.
        """
        from watchword.core.cli.evidence_command import make_signing_key  # noqa: PLC0415
        from watchword.core.evidence.signing_key import signer_fingerprint  # noqa: PLC0415

        if new and self.vaults is not None:
            with self.vaults.opened() as vault:
                make_signing_key(vault)
        with self._signing_key() as key:
            return signer_fingerprint(key)

    @contextmanager
    def _signing_key(self) -> Iterator[Secret]:
        from watchword.core.cli.evidence_command import signing_key  # noqa: PLC0415 - as above

        if self.vaults is None:
            raise _no_records()
        with self.vaults.opened() as vault:
            key = signing_key(vault)
        try:
            yield key
        finally:
            key.wipe()

    def check(self, paths: Sequence[str], trusting: Trusting) -> tuple[Judged, ...]:
        """A verdict for each document; one that is refused does not stop the others.

        Raises UsageError and BadInput for what is trusted.
        """
        trust, files = _trust(trusting, _roots(trusting.root)), _own_files(trusting)
        return tuple(_judged(path, trust, files) for path in paths)

    def opened_texts(self, path: str, salts: str) -> tuple[tuple[str, str], ...]:
        """The texts behind the commitments of a redacted document, by place. Raises BadInput."""
        from watchword.core.evidence.envelope import LARGEST_ENVELOPE  # noqa: PLC0415
        from watchword.core.evidence.salts_file import (  # noqa: PLC0415 - rarely needed
            LARGEST_SALTS,
            opened_texts,
        )

        envelope = read_file(path, _DOCUMENT, LARGEST_ENVELOPE)
        return opened_texts(envelope, read_file(salts, _SALTS, LARGEST_SALTS), _DOCUMENT, _SALTS)


def _judged(path: str, trust: Trust, files: OwnFiles) -> Judged:
    from watchword.core.evidence.envelope import LARGEST_ENVELOPE  # noqa: PLC0415
    from watchword.core.evidence.verify import verify_evidence  # noqa: PLC0415

    try:
        data = read_file(path, _DOCUMENT, LARGEST_ENVELOPE)
        return Judged(path, verify_evidence(data, trust, files, field=_DOCUMENT))
    except WatchwordError as error:
        return Judged(path, None, error)


def _trust(trusting: Trusting, roots: tuple[AmdCertificate, ...]) -> Trust:
    from watchword.core.amd.advisories import published_advisories  # noqa: PLC0415
    from watchword.core.amd.roots import amd_roots  # noqa: PLC0415 - reads a resource
    from watchword.core.cli.hex_text import parse_hex  # noqa: PLC0415
    from watchword.core.evidence.verify import Trust  # noqa: PLC0415

    field = "the signer's fingerprint"
    return Trust(
        roots=amd_roots(),
        advisories=published_advisories(),
        signers=tuple(parse_hex(text, field, 32).hex() for text in trusting.signers),
        accept_unknown_signer=trusting.accept_unknown_signer,
        trusted_roots=roots,
    )


def _roots(path: str) -> tuple[AmdCertificate, ...]:
    from watchword.core.sev.certificates import AmdCertificate  # noqa: PLC0415
    from watchword.core.sev.chain_files import recognise  # noqa: PLC0415

    if not path:
        return ()
    field = "the trusted root"
    ark = recognise([(path, read_file(path, field, _LARGEST_ROOT))]).certificates.ark
    if ark is None:
        raise BadInput(
            "no-root-in-file",
            field,
            f"{Path(path).name} holds no ARK.",
            "Give the root certificate itself, such as ark.cert.",
        )
    return (AmdCertificate.parse(ark, field),)


def _own_files(trusting: Trusting) -> OwnFiles:
    from watchword.core.cli.digest_options import load_firmware  # noqa: PLC0415
    from watchword.core.evidence.digest_recheck import OwnFiles  # noqa: PLC0415

    firmware = trusting.firmware
    return OwnFiles(
        firmware=(load_firmware(firmware, "the firmware"),) if firmware else (),
        kernels=_hashes(trusting.kernel, "the kernel"),
        initrds=_hashes(trusting.initrd, "the initrd", may_be_empty=True),
    )


def _hashes(path: str, field: str, *, may_be_empty: bool = False) -> tuple[bytes, ...]:
    from watchword.core.sev.kernel_hashes import hash_chunks  # noqa: PLC0415

    if not path:
        return ()
    chunks = read_chunks(path, field, limit=BOOT_FILE_LIMIT, allow_empty=may_be_empty)
    return (hash_chunks(chunks),)


def _refuse(*paths: Path) -> None:
    refuse_existing(paths, "the new file", "Name a new file; nothing is overwritten.")


def _same_file() -> UsageError:
    return UsageError(
        "contradicting-options",
        "The document and its salts would be one file",
        "Whoever is given the document would be given what opens its commitments.",
        "Name another file for the salts.",
    )


def _no_records() -> UsageError:
    return UsageError(
        "evidence-missing",
        "There is no such evidence",
        "There are no records of launches yet.",
        "A launch makes evidence when it ends.",
    )
