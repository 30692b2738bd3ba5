# SPDX-License-Identifier: Apache-2.0
"""The attestation report of a running SEV guest: 208 bytes, signed by the platform's PEK.

    nonce 16 | launch digest 32 | u32 policy | u32 usage | u32 algorithm | u32 0 | R 72 | S 72

Source: AMD SEV API specification, ATTESTATION; QEMU ``query-sev-attestation-report``.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from ..errors import BadInput, VerificationRefused
from .certificates import Algorithm, EcPublicKey, SevCertificate, Usage
from .proof import Mint, Proof
from .signatures import ecdsa_problem

_MINT: Final = Mint("watchword.core.sev.attestation_report")


@dataclass(frozen=True, slots=True)
class AttestationReport:
    """A report as parsed; ``signature`` is R and S, 72 bytes each, little-endian."""

    nonce: bytes
    launch_digest: bytes
    policy: int
    usage: int
    algorithm: int
    reserved: int
    signature: bytes

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<16s32sIIII144s")
    SIGNED_SIZE: ClassVar[int] = 52

    @classmethod
    def parse(cls, data: bytes, field: str = "attestation report") -> AttestationReport:
        """Read exactly 208 bytes; BadInput for any other size."""
        if len(data) != cls._LAYOUT.size:
            raise BadInput(
                "bad-attestation-report",
                field,
                f"It has {len(data)} bytes; a SEV attestation report has 208.",
                "Take `data` of query-sev-attestation-report. Reports of SEV-SNP are larger,"
                " and another matter.",
            )
        return cls(*cls._LAYOUT.unpack(data))

    def build(self) -> bytes:
        """The 208 bytes."""
        return self._LAYOUT.pack(
            self.nonce,
            self.launch_digest,
            self.policy,
            self.usage,
            self.algorithm,
            self.reserved,
            self.signature,
        )

    def signed_body(self) -> bytes:
        """The 52 bytes that the PEK signs: nonce, launch digest, policy."""
        return self.build()[: self.SIGNED_SIZE]

    def ecdsa_numbers(self) -> tuple[int, int]:
        """R and S."""
        r, s = self.signature[:72], self.signature[72:]
        return int.from_bytes(r, "little"), int.from_bytes(s, "little")


class VerifiedReport(Proof):
    """A report that this PEK signed over this nonce; ``warnings`` name bytes out of place.

    Whether PEK is a real platform's is for the chain to say.
    """

    __slots__ = ("report", "warnings")

    report: AttestationReport
    warnings: tuple[str, ...]

    def __init__(self, mint: Mint, report: AttestationReport, warnings: tuple[str, ...]) -> None:
        _MINT.check(mint)
        self._establish(report=report, warnings=warnings)


def verify_report(
    report: AttestationReport,
    pek: SevCertificate,
    nonce: bytes,
    *,
    launch_digest: bytes | None = None,
    policy: int | None = None,
) -> VerifiedReport:
    """Check label, signature, nonce and, where given, launch digest and policy.

    Raises VerificationRefused: ``report-label``, ``report-signature``,
    ``report-nonce``, ``report-digest`` or ``report-policy``.
    """
    if (report.usage, report.algorithm) != (Usage.PEK, Algorithm.ECDSA_SHA256):
        raise _refused(
            "label",
            f"It names usage 0x{report.usage:x} and algorithm 0x{report.algorithm:x} instead of"
            " a PEK with ECDSA and SHA-256",
        )
    key = EcPublicKey.parse(pek.public_key_area, "PEK").load("PEK")
    problem = ecdsa_problem(key, report.ecdsa_numbers(), report.signed_body(), report.algorithm)
    if problem is not None:
        raise _refused("signature", "This platform's PEK did not sign it, or it was altered")
    if not hmac.compare_digest(report.nonce, nonce):
        raise _refused("nonce", "It answers another nonce than the one asked with: it may be old")
    if launch_digest is not None and not hmac.compare_digest(report.launch_digest, launch_digest):
        raise _refused("digest", "Another launch digest runs there than the one expected")
    if policy is not None and report.policy != policy:
        raise _refused("policy", f"The guest runs under policy 0x{report.policy:x}")
    stray = "Its reserved bytes are not zero; nothing signs them, so they were ignored."
    return VerifiedReport(_MINT, report, (stray,) if report.reserved else ())


def _refused(what: str, problem: str) -> VerificationRefused:
    return VerificationRefused(
        f"report-{what}",
        "The attestation report does not verify",
        f"{problem}.",
        "Ask for a new report with a fresh nonce; if that fails too, don't trust this host.",
    )
