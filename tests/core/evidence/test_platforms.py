# SPDX-License-Identifier: Apache-2.0
"""Documents about platforms of every kind: AMD's, waived, refused, not checked."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from watchword.core.amd.roots import amd_roots
from watchword.core.errors import ExitStatus, VerificationRefused
from watchword.core.evidence.envelope import sign_statement
from watchword.core.evidence.facts import LaunchEnd, PlatformFacts, PlatformKind, SignedReport
from watchword.core.evidence.statement import statement
from watchword.core.evidence.verify import verify_evidence
from watchword.core.launch.evidence_of import complete_chain
from watchword.core.secret import Secret
from watchword.core.sev.chain import PlatformCertificates, examine_chain

from . import made
from .made import trust

ROLES = ("ark", "ask", "cek", "oca", "pek", "pdh")


def signed(facts):
    return sign_statement(statement(facts), Secret(made.SEED))


@pytest.fixture
def naples(vectors):
    """AMD's real Naples chain, as hosts hand it out: without ASK and ARK."""
    folder = vectors / "chains" / "naples"
    files = {role: (folder / f"{role}.cert").read_bytes() for role in ROLES}
    return PlatformCertificates(**{**files, "ask": None, "ark": None})


def of_platform(facts, certificates, kind, **changes):
    chain = examine_chain(certificates, amd_roots())
    platform = PlatformFacts(kind=kind, certificates=certificates, report=chain)
    return replace(facts, platform=platform, report=None, simulated=False, **changes)


def test_a_real_chain_verifies_under_amds_root_with_every_certificate(plain, naples):
    whole = complete_chain(naples, amd_roots(), ())
    assert None not in (whole.ask, whole.ark)
    document = signed(of_platform(plain.facts(), whole, PlatformKind.VERIFIED))
    verdict = verify_evidence(document, trust())
    assert verdict.status is ExitStatus.OK
    assert verdict.predicate.platform.generation == "naples"
    assert "up to AMD's naples root" in "".join(finding.text for finding in verdict.findings)
    assert any("Naples endorsement key" in warning for warning in verdict.warnings)


@pytest.mark.parametrize("role", ROLES)
def test_a_changed_bit_in_a_real_certificate_is_refused(plain, naples, role):
    whole = complete_chain(naples, amd_roots(), ())
    facts = of_platform(plain.facts(), whole, PlatformKind.VERIFIED)
    data = bytearray(getattr(whole, role))
    data[0x40] ^= 1
    changed = replace(facts.platform, certificates=replace(whole, **{role: bytes(data)}))
    with pytest.raises(VerificationRefused) as caught:
        verify_evidence(signed(replace(facts, platform=changed)), trust())
    assert caught.value.code == "evidence-verdict-differs"


@pytest.mark.parametrize("pins", [{"cek_pins": ("00" * 32,)}, {"oca_pin": "00" * 32}])
def test_the_pins_of_the_owner_are_checked_again(plain, keys, pins):
    facts = plain.facts()
    pinned = replace(facts, platform=replace(facts.platform, **pins))
    with pytest.raises(VerificationRefused) as caught:
        verify_evidence(signed(pinned), trust(keys))
    assert caught.value.code == "evidence-verdict-differs"
    report = facts.platform.report
    good = {"cek_pins": ("00" * 32, report.cek_sha256), "oca_pin": report.oca_sha256}
    kept = replace(facts, platform=replace(facts.platform, **good))
    assert verify_evidence(signed(kept), trust(keys))


def test_a_waived_platform_is_loud_and_its_report_proves_nothing(plain, keys):
    report = plain.facts().report
    certificates = replace(plain.facts().platform.certificates, cek=None)
    facts = of_platform(
        plain.facts(), certificates, PlatformKind.WAIVED, waivers={"platform": "bench"}
    )
    verdict = verify_evidence(signed(replace(facts, report=report)), trust())
    assert verdict.status is ExitStatus.WAIVED
    assert "WAIVED (platform): bench" in verdict.summary()
    [text] = [f for f in verdict.findings if f.subject == "attestation report"]
    assert text.basis.value == "owner's word"
    assert "whose chain does not hold" in text.text
    unsaid = signed(replace(facts, waivers={}))
    with pytest.raises(VerificationRefused):
        verify_evidence(unsaid, trust())


def test_anybody_can_make_a_report_for_a_waived_platform(plain, keys):
    """That is why it is the owner's word: this PEK is made up on the spot."""
    facts = plain.facts()
    certificates = PlatformCertificates(pdh=keys.pdh, pek=keys.pek)
    waived = of_platform(facts, certificates, PlatformKind.WAIVED, waivers={"platform": "bench"})
    assert isinstance(facts.report, SignedReport)
    body = facts.report.nonce + facts.contents.launch_digest + struct.pack("<I", facts.policy)
    assert facts.report.data.startswith(body)
    verdict = verify_evidence(signed(replace(waived, report=facts.report)), trust())
    assert not [f for f in verdict.findings if f.basis.value == "PEK-signed"]


def test_a_refused_chain_is_shown_with_its_failed_link(refused, naples):
    bad = complete_chain(naples, amd_roots(), ())
    data = bytearray(bad.pdh)
    data[0x40] ^= 1
    facts = of_platform(refused.facts(), replace(bad, pdh=bytes(data)), PlatformKind.REFUSED)
    verdict = verify_evidence(signed(facts), trust())
    assert verdict.status is ExitStatus.OK
    assert not verdict.chain.ok
    assert "does NOT hold" in "".join(finding.text for finding in verdict.findings)


def test_a_refused_platform_without_certificates_is_the_owners_word(refused):
    platform = PlatformFacts(kind=PlatformKind.REFUSED)
    verdict = verify_evidence(signed(replace(refused.facts(), platform=platform)), trust())
    [finding] = [f for f in verdict.findings if f.subject == "platform"]
    assert finding.basis.value == "owner's word"


def test_a_platform_that_nobody_checked_is_said_to_be_so(plain):
    facts = replace(
        plain.facts(), platform=PlatformFacts(kind=PlatformKind.NOT_CHECKED), report=None
    )
    verdict = verify_evidence(signed(facts), trust())
    [finding] = [f for f in verdict.findings if f.subject == "platform"]
    assert "Nobody checked" in finding.text
    assert finding.basis.value == "owner's word"


def test_a_launch_that_ended_before_its_platform_has_a_document(plain):
    facts = replace(
        plain.facts(),
        end=LaunchEnd.ABANDONED,
        platform=PlatformFacts(kind=PlatformKind.NOT_CHECKED),
        **dict.fromkeys(("version", "reported", "session", "packet", "report")),
        matched=False,
        secrets=(),
    )
    assert verify_evidence(signed(facts), trust()).status is ExitStatus.OK
