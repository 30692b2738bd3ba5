# SPDX-License-Identifier: Apache-2.0
"""Checks the attestation report of a document: what the platform itself says, without the owner."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import BadInput, VerificationRefused
from ..sev.attestation_report import AttestationReport, verify_report
from .chain_recheck import RecheckedChain
from .document import Predicate
from .facts import LaunchEnd
from .refusals import contradiction
from .verdict import Basis, Finding, owners_word, recomputed

_FALSE_REPORT = "running-guest-not-confirmed"
"""The refusal of a launch whose report did not verify."""


@dataclass(frozen=True, slots=True)
class RecheckedReport:
    """``signed`` if a PEK that was verified here signed this launch digest and policy."""

    signed: bool
    findings: tuple[Finding, ...]


def recheck_report(predicate: Predicate, chain: RecheckedChain) -> RecheckedReport:
    """Verify the report by the PEK of the chain, with the document's digest, policy and nonce.

    Raises VerificationRefused ``report-label``, ``report-signature``, ``report-nonce``,
    ``report-digest``, ``report-policy`` or ``evidence-contradiction``, and BadInput
    ``bad-evidence`` or ``bad-attestation-report``. A launch that was refused because of
    its report says so.
    """
    if predicate.report is None:
        text = "none: that the guest runs is what the host says, and the owner repeats"
        return RecheckedReport(False, (owners_word("attestation report", text),))
    report = AttestationReport.parse(predicate.report.load(), "the attestation report")
    if chain.pek is None:
        raise contradiction("It has an attestation report, and no PEK that could have signed it.")
    try:
        verify_report(
            report,
            chain.pek,
            bytes.fromhex(predicate.report.nonce),
            launch_digest=_expected(predicate, report),
            policy=predicate.policy.value,
        )
    except VerificationRefused as refusal:
        if not _refused_for_it(predicate):
            raise
        text = f"does NOT verify, for which the launch was refused. {refusal.message}"
        return RecheckedReport(False, (recomputed("attestation report", text),))
    except BadInput as error:
        raise contradiction(f"Its PEK can't have signed a report. {error.message}") from None
    return RecheckedReport(chain.vouched, (_signed(report, chain),))


def _expected(predicate: Predicate, report: AttestationReport) -> bytes:
    """The digest that the report must name: any approved one where none is said to be it."""
    if predicate.contents is not None:
        return bytes.fromhex(predicate.contents.launch_digest)
    listed = predicate.approved.launch_digests
    if report.launch_digest.hex() in listed:
        return report.launch_digest
    return bytes.fromhex(listed[0])


def _refused_for_it(predicate: Predicate) -> bool:
    error = predicate.error
    refused = predicate.outcome is LaunchEnd.REFUSED
    return refused and error is not None and error.code == _FALSE_REPORT


def _signed(report: AttestationReport, chain: RecheckedChain) -> Finding:
    what = (
        f"a guest with the launch digest {report.launch_digest.hex()} ran on this platform under"
        f" policy {report.policy:#x}; that the nonce was fresh is the owner's word"
    )
    if chain.vouched:
        return Finding(Basis.PEK_SIGNED, "attestation report", what)
    text = f"signed by a PEK whose chain does not hold, so that anybody may have made it: {what}"
    return owners_word("attestation report", text)
