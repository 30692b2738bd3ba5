# SPDX-License-Identifier: Apache-2.0
"""What came of checking a document: statements, and for each what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..errors import ExitStatus
from ..sev.chain import ChainReport
from .document import Predicate, shown
from .envelope import OpenedEnvelope
from .facts import HandedOver, LaunchEnd
from .limits import WHAT_SEV_CANNOT_PROVE


class Basis(StrEnum):
    """What a statement rests on."""

    RECOMPUTED = "recomputed"
    """Worked out again here, from the document's own certificates, hashes and your files."""
    PEK_SIGNED = "PEK-signed"
    """Signed by the platform's PEK, whose chain was verified here."""
    OWNERS_WORD = "owner's word"
    """Rests on the owner's signature alone."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement about the launch: what about, in words, and what it rests on."""

    basis: Basis
    subject: str
    text: str

    def as_json(self) -> dict[str, str]:
        """The finding with stable field names."""
        return {"basis": self.basis.value, "subject": self.subject, "text": self.text}


def recomputed(subject: str, text: str) -> Finding:
    """A statement that was worked out again."""
    return Finding(Basis.RECOMPUTED, subject, text)


def owners_word(subject: str, text: str) -> Finding:
    """A statement that nothing but the owner's signature stands for."""
    return Finding(Basis.OWNERS_WORD, subject, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceVerdict:
    """A document that verified, and everything to be said of it.

    ``signer_known``  whether the signer was among those that the caller named
    ``chain``         the verdicts on the certificates, recomputed; None without certificates
    ``warnings``      what is known against platform, policy and firmware, as of today
    """

    opened: OpenedEnvelope
    signer_known: bool
    chain: ChainReport | None
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]

    @property
    def predicate(self) -> Predicate:
        """What the document says."""
        return self.opened.statement.predicate

    @property
    def waived(self) -> bool:
        """Whether something was accepted by the owner's typed word only."""
        return bool(self.predicate.waivers)

    @property
    def status(self) -> ExitStatus:
        """0, or 8 for a launch that went on by a waiver; a refused one has nothing to waive."""
        went_on = self.predicate.outcome is not LaunchEnd.REFUSED
        return ExitStatus.WAIVED if self.waived and went_on else ExitStatus.OK

    def summary(self) -> tuple[str, ...]:
        """What nobody may overlook, loudest first."""
        predicate = self.predicate
        lines = [_outcome(predicate)]
        if predicate.simulated:
            lines.insert(0, "SIMULATED: no real machine took part in this launch.")
        for step, reason in predicate.waivers.items():
            lines.append(f"WAIVED ({step}): {shown(reason)}")
        if predicate.redaction is not None:
            lines.append(
                "REDACTED: texts were taken out, and the rest signed anew. The original has the"
                f" SHA-256 {predicate.redaction.original_sha256}."
            )
        return tuple(lines)

    def as_json(self) -> dict[str, object]:
        """The verdict with stable field names."""
        return {
            "sha256": self.opened.sha256,
            "signer": self.opened.fingerprint,
            "signer_known": self.signer_known,
            "simulated": self.predicate.simulated,
            "outcome": self.predicate.outcome.value,
            "waived": self.waived,
            "redacted": self.predicate.redaction is not None,
            "summary": list(self.summary()),
            "findings": [finding.as_json() for finding in self.findings],
            "warnings": list(self.warnings),
            "not_provable": [limit.as_json() for limit in WHAT_SEV_CANNOT_PROVE],
            "statement": self.opened.statement.to_json(),
        }


_RELEASED: Final = {
    HandedOver.NO: "No secret was handed over, says the owner.",
    HandedOver.MAYBE: "The sealed secret MAY HAVE BEEN HANDED OVER: nobody knows.",
    HandedOver.YES: "The sealed secret was ALREADY HANDED OVER.",
}


def _outcome(predicate: Predicate) -> str:
    error = predicate.error
    why = "" if error is None else f" {error.title}: {shown(error.message)}"
    packet = predicate.packet
    sent = HandedOver.NO if packet is None else packet.handed_over
    if predicate.outcome is LaunchEnd.RUNNING:
        return "The launch was completed: the guest was let run."
    if predicate.outcome is LaunchEnd.NOT_CONFIRMED:
        known = "was" if sent is HandedOver.YES else "MAY HAVE BEEN"
        return (
            f"The secret {known} HANDED OVER, and nobody has confirmed that the guest runs:"
            f" that is less than a completed launch.{why}"
        )
    released = _RELEASED[sent]
    if predicate.outcome is LaunchEnd.REFUSED:
        return f"The launch was REFUSED.{why} {released}"
    return f"The launch was ABANDONED.{why} {released}"
