# SPDX-License-Identifier: Apache-2.0
"""Documents that hold: every statement with what it rests on, waivers and refusals loud."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from watchword.core.errors import BadInput, ExitStatus, VerificationRefused
from watchword.core.evidence.digest_recheck import OwnFiles
from watchword.core.evidence.envelope import sign_statement
from watchword.core.evidence.facts import LaunchEnd, LoadedContents
from watchword.core.evidence.limits import WHAT_SEV_CANNOT_PROVE
from watchword.core.evidence.statement import statement
from watchword.core.evidence.verdict import Basis
from watchword.core.evidence.verify import verify_evidence
from watchword.core.secret import Secret
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.simulator import build_firmware

from . import made
from .made import trust


def basis_of(verdict, subject):
    found = {finding.basis for finding in verdict.findings if finding.subject == subject}
    assert len(found) == 1, subject
    return found.pop()


def texts(verdict):
    return "\n".join(f"{finding.subject}: {finding.text}" for finding in verdict.findings)


def test_a_completed_launch_verifies_where_nobody_has_seen_it(plain, plain_document, keys):
    verdict = verify_evidence(plain_document, trust(keys))
    assert verdict.status is ExitStatus.OK
    assert verdict.signer_known
    assert verdict.chain is not None
    assert verdict.chain.ok
    assert len([finding for finding in verdict.findings if finding.subject == "chain"]) == 7
    assert verdict.summary()[0].startswith("SIMULATED")
    assert verdict.predicate.outcome is LaunchEnd.RUNNING


def test_each_statement_says_what_it_rests_on(es, es_document, keys, image):
    files = OwnFiles((image,), (hashlib.sha256(b"a kernel").digest(),))
    bare = verify_evidence(es_document, trust(keys))
    full = verify_evidence(es_document, trust(keys), files)
    for subject in ("signature", "platform", "chain", "CEK fingerprint", "policy in words"):
        assert basis_of(bare, subject) is Basis.RECOMPUTED
    for subject in ("policy", "launch digest", "attestation report"):
        assert basis_of(bare, subject) is Basis.PEK_SIGNED
    for subject in ("measurement", "secret", "secure processor", "host", "launch blob", "outcome"):
        assert basis_of(full, subject) is Basis.OWNERS_WORD
    for subject in ("what it is made of", "firmware", "kernel hash", "vCPUs"):
        assert basis_of(bare, subject) is Basis.OWNERS_WORD
        assert basis_of(full, subject) is Basis.RECOMPUTED
    assert "not recomputed" in texts(bare)
    assert "not recomputed" not in texts(full)
    assert "TIK is never disclosed" in texts(full)


def test_without_a_report_nothing_is_said_to_be_signed_by_the_pek(plain_document, keys):
    def drop(predicate):
        predicate["report"] = None

    verdict = verify_evidence(made.forged(plain_document, drop), trust(keys))
    assert not [finding for finding in verdict.findings if finding.basis is Basis.PEK_SIGNED]
    assert "what the host says" in texts(verdict)


def test_what_sev_cannot_prove_is_part_of_every_verdict(plain_document, keys):
    codes = [
        entry["code"]
        for entry in verify_evidence(plain_document, trust(keys)).as_json()["not_provable"]
    ]
    assert codes == [limit.code for limit in WHAT_SEV_CANNOT_PROVE]
    for code in ("secret-address", "disk-rollback", "console", "secure-processor", "disclosure"):
        assert code in codes


def test_a_waived_launch_says_so_and_is_status_8(waived, keys):
    verdict = verify_evidence(waived.document(), trust(keys))
    assert verdict.status is ExitStatus.WAIVED
    assert "WAIVED (policy): lab machine only" in verdict.summary()
    assert any("decrypt the guest's memory" in warning for warning in verdict.warnings)


def test_a_refused_launch_has_a_document_that_verifies_and_says_so(refused, keys):
    verdict = verify_evidence(refused.document(), trust(keys))
    assert refused.error.code == "measurement-mismatch"
    assert verdict.status is ExitStatus.OK
    assert any(line.startswith("The launch was REFUSED.") for line in verdict.summary())
    assert "did NOT accept it" in texts(verdict)
    assert "No secret was handed over" in verdict.summary()[-1]
    subjects = verdict.opened.statement.to_json()["subject"]
    assert [subject["name"] for subject in subjects] == ["firmware", "approved-launch-digest"]


def test_a_secret_that_was_handed_over_before_the_refusal_is_loud(plain, keys):
    error = VerificationRefused("running-guest-not-confirmed", "Title", "Message.", "Remedy.")
    document = plain.document(end=LaunchEnd.REFUSED, error=error)
    assert "ALREADY HANDED OVER" in verify_evidence(document, trust(keys)).summary()[-1]


def test_handed_over_but_not_confirmed_is_never_called_completed(plain, keys):
    document = plain.document(end=LaunchEnd.NOT_CONFIRMED)
    summary = "\n".join(verify_evidence(document, trust(keys)).summary())
    assert "nobody has confirmed" in summary
    assert "was completed" not in summary


def test_an_abandoned_launch_has_a_document(plain, keys):
    document = plain.document(end=LaunchEnd.ABANDONED)
    assert verify_evidence(document, trust(keys)).status is ExitStatus.OK


def test_a_signer_whom_nobody_named_is_refused(plain, plain_document, keys):
    for known in ((), (made.fingerprint(made.OTHER_SEED),)):
        with pytest.raises(VerificationRefused) as caught:
            verify_evidence(plain_document, trust(keys, signers=known))
        assert caught.value.code == "unknown-signer"
        assert made.fingerprint(made.SEED) in caught.value.message
        accepted = trust(keys, signers=known, accept_unknown_signer=True)
        verdict = verify_evidence(plain_document, accepted)
        assert not verdict.signer_known
        assert "NOBODY HERE VOUCHES" in texts(verdict)


def test_a_root_that_only_the_owner_trusted_is_refused(plain_document):
    with pytest.raises(VerificationRefused) as caught:
        verify_evidence(plain_document, trust())
    assert caught.value.code == "untrusted-root"


def test_another_firmware_kernel_or_initrd_is_refused(es_document, plain_document, keys, image):
    changed = bytearray(build_firmware())
    changed[0] ^= 1
    other = FirmwareImage.from_bytes(bytes(changed))
    digest = hashlib.sha256(b"other").digest()
    for document, files, code in (
        (es_document, OwnFiles(firmware=(other,)), "firmware-differs"),
        (es_document, OwnFiles((image,), kernels=(digest,)), "kernel-differs"),
        (es_document, OwnFiles(initrds=(digest,)), "initrd-differs"),
        (plain_document, OwnFiles(kernels=(digest,)), "kernel-not-measured"),
    ):
        with pytest.raises(VerificationRefused) as caught:
            verify_evidence(document, trust(keys), files)
        assert caught.value.code == code
    # Among several files each document finds its own.
    assert verify_evidence(es_document, trust(keys), OwnFiles((other, image)))


def test_of_a_digest_whose_parts_are_not_known_nothing_more_is_said(plain, es, keys, image):
    """As where the owner approved the launch digest itself, and no files."""
    for launch, files, basis in (
        (plain, OwnFiles(), Basis.OWNERS_WORD),
        (es, OwnFiles((image,), (bytes(32),)), Basis.OWNERS_WORD),
        (plain, OwnFiles((image,)), Basis.RECOMPUTED),
    ):
        facts = launch.facts()
        bare = LoadedContents(launch_digest=facts.contents.launch_digest)
        document = sign_statement(statement(replace(facts, contents=bare)), Secret(made.SEED))
        verdict = verify_evidence(document, trust(keys), files)
        assert basis_of(verdict, "what it is made of") is basis
        assert ("none was measured" in texts(verdict)) is (basis is Basis.RECOMPUTED)


def test_a_document_holds_what_the_issue_asks_for(es, es_document):
    predicate = made.predicate_of(es_document)
    text = json.dumps(predicate)
    measurement = es.launch.facts["measurement"].record
    session = es.launch.facts["session"].record
    packet = es.launch.facts["secret"].record["packet_sha256"]
    for value in (measurement["nonce"], measurement["measurement"], session["blob_sha256"], packet):
        assert value in text
    assert set(predicate["platform"]["certificates"]) >= {"ark", "ask", "cek", "oca", "pek", "pdh"}
    assert all(predicate["platform"]["certificates"][role] for role in ("ark", "ask", "cek", "pdh"))
    assert predicate["policy"]["names"] == "nodbg,noks,es,nosend,sev,min-api=0.17"
    assert predicate["contents"]["vcpus"] == {
        "count": 3,
        "family": 25,
        "model": 1,
        "stepping": 1,
        "vmsa": "legacy",
        "sev_features": "0x0",
    }
    assert [part["name"] for part in predicate["contents"]["components"]] == [
        "firmware",
        "kernel-hashes",
        "vmsa",
        "vmsa",
    ]
    assert predicate["secrets"] == [
        {
            "name": "disk-passphrase",
            "guid": made.ENTRY_GUID,
            "entry": made.ENTRY,
            "size": 44,
            "test": True,
        }
    ]
    assert predicate["program"].startswith("watchword ")
    assert predicate["simulated"] is True


def test_a_huge_document_is_refused_unread():
    with pytest.raises(BadInput) as caught:
        verify_evidence(b"[" * ((1 << 20) + 1), trust())
    assert caught.value.code == "evidence-too-large"
