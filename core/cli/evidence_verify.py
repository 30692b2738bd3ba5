# SPDX-License-Identifier: Apache-2.0
"""``watchword evidence verify``: a verdict for each document, and the worst as the exit status."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

from ..amd.advisories import published_advisories
from ..amd.roots import amd_roots
from ..errors import ExitStatus, WatchwordError
from ..evidence.digest_recheck import OwnFiles
from ..evidence.envelope import LARGEST_ENVELOPE
from ..evidence.limits import WHAT_SEV_CANNOT_PROVE
from ..evidence.verdict import EvidenceVerdict
from ..evidence.verify import Trust, verify_evidence
from ..files import BOOT_FILE_LIMIT, read_chunks, read_file
from ..sev.kernel_hashes import hash_chunks
from .digest_options import load_firmware
from .hex_text import parse_hex
from .output import Console, Result
from .platform_options import load_trusted_roots

_BADNESS: Final = (ExitStatus.OK, ExitStatus.WAIVED, ExitStatus.BAD_INPUT, ExitStatus.REFUSED)
"""From best to worst; anything else is worse still."""


def verify(arguments: argparse.Namespace, console: Console) -> Result:
    """Every file's verdict; one that is refused does not stop the others."""
    del console
    trust = load_trust(
        arguments,
        signers=tuple(parse_hex(text, "--signer", 32).hex() for text in arguments.signer),
        accept_unknown_signer=arguments.accept_unknown_signer,
    )
    files = load_own_files(arguments)
    documents: list[dict[str, object]] = []
    lines: list[str] = []
    worst: tuple[ExitStatus, WatchwordError | None] = (ExitStatus.OK, None)
    for path in arguments.files:
        try:
            data = read_file(path, path, LARGEST_ENVELOPE)
            verdict = verify_evidence(data, trust, files, field=path)
        except WatchwordError as error:
            end: tuple[ExitStatus, WatchwordError | None] = (error.exit_status, error)
            documents.append({"file": path, "ok": False, "error": error.as_json()})
            lines += _refused_lines(path, error)
        else:
            end = (verdict.status, None)
            documents.append({"file": path, "ok": True, **verdict.as_json()})
            lines += verdict_lines(path, verdict)
        if _badness(end[0]) > _badness(worst[0]):
            worst = end
    if any(document["ok"] for document in documents):
        lines += limit_lines()
    return Result({"documents": documents}, tuple(lines), *worst)


def _badness(status: ExitStatus) -> int:
    return _BADNESS.index(status) if status in _BADNESS else len(_BADNESS)


def load_trust(
    arguments: argparse.Namespace, *, signers: tuple[str, ...] = (), accept_unknown_signer: bool
) -> Trust:
    """Whom and what the options trust; AMD's roots always."""
    return Trust(
        roots=amd_roots(),
        advisories=published_advisories(),
        signers=signers,
        accept_unknown_signer=accept_unknown_signer,
        trusted_roots=load_trusted_roots(arguments),
    )


def load_own_files(arguments: argparse.Namespace) -> OwnFiles:
    """The files of ``--firmware``, ``--kernel`` and ``--initrd``, read once each."""
    return OwnFiles(
        firmware=tuple(load_firmware(path) for path in arguments.firmware),
        kernels=tuple(_hash(path, "--kernel") for path in arguments.kernel),
        initrds=tuple(_hash(path, "--initrd") for path in arguments.initrd),
    )


def _hash(path: str, option: str) -> bytes:
    empty = option == "--initrd"
    return hash_chunks(read_chunks(path, option, limit=BOOT_FILE_LIMIT, allow_empty=empty))


def _refused_lines(path: str, error: WatchwordError) -> Iterator[str]:
    yield f"{path}: NOT VERIFIED"
    yield f"  {error.title}. {error.message}"
    yield ""


def verdict_lines(path: str, verdict: EvidenceVerdict) -> Iterator[str]:
    """The verdict for people, each statement with what it rests on."""
    yield f"{path}: verified"
    yield from (f"  {line}" for line in verdict.summary())
    yield ""
    width = max(len(finding.subject) for finding in verdict.findings)
    for finding in verdict.findings:
        yield f"  [{finding.basis.value:12}]  {finding.subject.ljust(width)}  {finding.text}"
    yield from (f"  warning: {warning}" for warning in verdict.warnings)
    yield ""


def limit_lines() -> Iterator[str]:
    """What none of these documents proves."""
    yield "What SEV cannot prove:"
    yield from (f"  - {limit.text}" for limit in WHAT_SEV_CANNOT_PROVE)
