# SPDX-License-Identifier: Apache-2.0
"""Checks a document on a machine that has never seen the launch.

Nothing that the owner recorded as a verdict is taken over: certificates, launch digest
and the platform's own report are judged again, and what differs is refused. What can't
be judged by anybody else is said to be the owner's word.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..sev.advisories import Advisories
from ..sev.certificates import AmdCertificate
from ..sev.chain import RootKeys
from ..sev.policy import Policy
from .chain_recheck import recheck_chain
from .consistency import check_consistency, todays_warnings
from .digest_recheck import NO_FILES, OwnFiles, recheck_digest
from .document import Predicate, SecretSection, shown
from .envelope import OpenedEnvelope, open_envelope
from .facts import HandedOver, LaunchEnd
from .refusals import unknown_signer
from .report_recheck import RecheckedReport, recheck_report
from .verdict import Basis, EvidenceVerdict, Finding, owners_word, recomputed

_SENT: Final = {
    HandedOver.NO: "sealed, and not handed over",
    HandedOver.MAYBE: "sealed, and perhaps handed over: nobody knows",
    HandedOver.YES: "handed over, as the host said",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom and what the caller trusts.

    ``roots``          AMD's keys
    ``advisories``     what is known against generations and builds
    ``signers``        fingerprints (SHA-256 of the raw public key, hex) of owners
    ``trusted_roots``  roots that are not AMD's, as those of simulated platforms
    """

    roots: tuple[RootKeys, ...]
    advisories: Advisories
    signers: tuple[str, ...] = ()
    accept_unknown_signer: bool = False
    trusted_roots: tuple[AmdCertificate, ...] = ()


def verify_evidence(
    envelope: bytes, trust: Trust, files: OwnFiles = NO_FILES, *, field: str = "the evidence"
) -> EvidenceVerdict:
    """The verdict on a document that holds in every part; a refused launch's may hold too.

    ``files`` are the caller's own, to work the launch digest out again; ``field`` is
    what errors call the document. Raises BadInput as ``open_envelope`` does, and
    VerificationRefused: ``evidence-signature``, ``unknown-signer``,
    ``evidence-contradiction``, ``evidence-verdict-differs``, ``untrusted-root``,
    ``launch-digest-differs``, ``firmware-differs`` and its like, ``report-…``.
    """
    opened = open_envelope(envelope, field)
    known = _check_signer(opened, trust)
    policy = check_consistency(opened.statement)
    predicate = opened.statement.predicate
    chain = recheck_chain(predicate, trust.roots, trust.trusted_roots)
    digest = recheck_digest(predicate, files)
    report = recheck_report(predicate, chain)
    generation = chain.report.generation if chain.report is not None else None
    warnings = todays_warnings(predicate, policy, generation, trust.advisories)
    chain_warnings = () if chain.report is None else chain.report.warnings
    return EvidenceVerdict(
        opened=opened,
        signer_known=known,
        chain=chain.report,
        findings=(
            _signature(opened, known=known),
            *chain.findings,
            *_policy(policy, report),
            *_digest(predicate, report),
            *digest,
            *report.findings,
            *_rest(predicate),
        ),
        warnings=(*chain_warnings, *warnings),
    )


def _check_signer(opened: OpenedEnvelope, trust: Trust) -> bool:
    known = any(hmac.compare_digest(opened.fingerprint, one.lower()) for one in trust.signers)
    if not known and not trust.accept_unknown_signer:
        raise unknown_signer(opened.fingerprint, named=bool(trust.signers))
    return known


# -- in words ------------------------------------------------------------------------


def _signature(opened: OpenedEnvelope, *, known: bool) -> Finding:
    who = "which you named" if known else "which NOBODY HERE VOUCHES FOR: compare it by another way"
    return recomputed("signature", f"holds, by the key {opened.fingerprint}, {who}")


def _policy(policy: Policy, report: RecheckedReport) -> Iterator[Finding]:
    basis = Basis.PEK_SIGNED if report.signed else Basis.OWNERS_WORD
    yield Finding(basis, "policy", f"{policy.value:#x}")
    yield recomputed("policy in words", policy.names())


def _digest(predicate: Predicate, report: RecheckedReport) -> Iterator[Finding]:
    """The digest itself; what it is made of is another question."""
    contents = predicate.contents
    if contents is None:
        count = predicate.approved.count
        yield owners_word("launch digest", f"{count} were approved")
        return
    basis = Basis.PEK_SIGNED if report.signed else Basis.OWNERS_WORD
    state = "" if predicate.matched else ", approved; no measurement of it was accepted"
    yield Finding(basis, "launch digest", f"{contents.launch_digest}{state}")


def _rest(predicate: Predicate) -> Iterator[Finding]:
    """What nobody but the owner can know."""
    yield from _measurement(predicate)
    yield from _session(predicate)
    for secret in predicate.secrets:
        yield owners_word("secret", _secret(secret))
    for step, reason in predicate.waivers.items():
        yield owners_word("waiver", f"{step}: {shown(reason)}")
    yield owners_word("outcome", predicate.outcome.value)
    if predicate.error is not None:
        error = predicate.error
        yield owners_word("error", f"{error.code}: {error.title}. {shown(error.message)}")
    yield owners_word("launch", shown(predicate.launch.id))
    yield owners_word("begun and ended", f"{predicate.launch.begun}, {predicate.launch.ended}")
    named = (
        ("guest", predicate.guest),
        ("profile", predicate.profile.name),
        ("profile's SHA-256", predicate.profile.sha256),
        ("host", predicate.host),
    )
    for subject, value in named:
        if value is not None:
            yield owners_word(subject, shown(value))
    for warning in predicate.warnings:
        yield owners_word("warning then", shown(warning))
    yield owners_word("made by", predicate.program)


def _measurement(predicate: Predicate) -> Iterator[Finding]:
    if predicate.processor is not None:
        whose = "inside the measurement" if predicate.matched else "as the host said"
        yield owners_word("secure processor", f"API {predicate.processor.load()}, {whose}")
    if predicate.measurement is None:
        yield owners_word("measurement", "none: the launch did not come that far")
        return
    measured = predicate.measurement
    verdict = (
        "the owner recomputed it with TIK and it matched"
        if measured.matched
        else "the owner recomputed it with TIK and did NOT accept it"
    )
    yield owners_word(
        "measurement",
        f"{measured.value}, nonce {measured.nonce}: {verdict}; TIK is never disclosed",
    )


def _session(predicate: Predicate) -> Iterator[Finding]:
    session, packet = predicate.session, predicate.packet
    if session is not None:
        yield owners_word(
            "launch blob",
            f"SHA-256 {session.blob_sha256}, made for this PDH; GODH {session.godh_sha256}",
        )
    if packet is not None:
        yield owners_word("sealed packet", f"SHA-256 {packet.sha256}, {_SENT[packet.handed_over]}")
    elif predicate.outcome is LaunchEnd.RUNNING:
        yield owners_word("sealed packet", "none: there was nothing to hand over")


def _secret(secret: SecretSection) -> str:
    entry = "" if secret.entry is None else f", vault entry {shown(secret.entry)}"
    test = ", a TEST secret of no worth" if secret.test else ""
    return f"{shown(secret.name)} ({secret.guid}), {secret.size} bytes{entry}{test}"
