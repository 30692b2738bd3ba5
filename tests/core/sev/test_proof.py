# SPDX-License-Identifier: Apache-2.0
"""Values that stand for something verified: not made, changed, copied or loaded elsewhere."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from watchword.core.secret import Secret
from watchword.core.sev import (
    attestation_report,
    measurement,
    platform,
    policy,
    secret_packet,
    session,
)
from watchword.core.sev.certificates import SevCertificate
from watchword.core.sev.proof import Mint, Proof
from watchword.core.sev.secret_table import DISK_PASSPHRASE, SecretEntry

from . import chain_maker as raw

PROOFS = {
    platform.Platform: ["pdh", "report"],
    platform.VerifiedPlatform: ["pdh", "report"],
    platform.ForeignRootPlatform: ["pdh", "report"],
    platform.WaivedPlatform: ["pdh", "report", "reason"],
    policy.ApprovedPolicy: ["policy", "waiver"],
    session.LaunchSession: ["platform", "policy", "keys", "nonce"],
    measurement.VerifiedMeasurement: ["session", "reported", "version", "digest"],
    secret_packet.SecretPacket: ["header", "ciphertext", "verified"],
    secret_packet.StoredPacket: ["header", "ciphertext"],
    attestation_report.VerifiedReport: ["report", "warnings"],
}


def every_proof(kind=Proof):
    for child in kind.__subclasses__():
        yield child
        yield from every_proof(child)


@pytest.fixture
def proofs(verified_platform, foreign_platform, waived_platform, new_session, measured, maker):
    """One object of each class that can be had."""
    launch = new_session(verified_platform)
    verified = measured(launch)
    entry = SecretEntry(DISK_PASSPHRASE, Secret(b"the secret of this launch"))
    packet = secret_packet.seal(verified, [entry], bytes(16), None)
    return [
        verified_platform,
        foreign_platform,
        waived_platform,
        launch.policy,
        launch,
        verified,
        packet,
        secret_packet.StoredPacket.load(
            packet.header, packet.ciphertext, secret_packet.packet_sha256(packet)
        ),
        verified_report(maker),
    ]


def verified_report(maker):
    body = b"n" * 16 + b"d" * 32 + b"\x2f\0\0\x11"
    slot = raw.ecdsa_slot(raw.PEK, maker.key("pek"), body)
    report = attestation_report.AttestationReport.parse(body + slot[:8] + bytes(4) + slot[8:152])
    return attestation_report.verify_report(report, SevCertificate.parse(maker.pek()), b"n" * 16)


def test_every_proof_of_the_package_is_tested_here():
    here = {kind for kind in every_proof() if kind.__module__.startswith("watchword.core.sev.")}
    assert here == set(PROOFS)


@pytest.mark.parametrize("kind", PROOFS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("token", [None, object(), "mint", Mint("watchword.core.sev.platform")])
def test_no_proof_is_made_without_its_modules_token(kind, token):
    parts = dict.fromkeys(PROOFS[kind])
    with pytest.raises(TypeError, match=r"only watchword\.core\.sev\.\w+ makes this value"):
        kind(token, **parts)


@pytest.mark.parametrize("kind", PROOFS, ids=lambda kind: kind.__name__)
def test_another_modules_token_does_not_pass(kind):
    parts = dict.fromkeys(PROOFS[kind])
    modules = [platform, policy, session, measurement, secret_packet, attestation_report]
    for module in modules:
        if module.__name__ != kind.__module__:
            with pytest.raises(TypeError, match="makes this value"):
                kind(module._MINT, **parts)


@pytest.mark.parametrize(
    "copier",
    [
        copy.copy,
        copy.deepcopy,
        lambda proof: copy.deepcopy([proof]),
        dataclasses.replace,
        lambda proof: type(proof).__replace__(proof),
        *(lambda proof, p=p: pickle.dumps(proof, p) for p in range(pickle.HIGHEST_PROTOCOL + 1)),
    ],
)
def test_proofs_are_neither_copied_nor_pickled_nor_replaced(proofs, copier):
    for proof in proofs:
        with pytest.raises(TypeError):
            copier(proof)


def test_attributes_of_proofs_are_neither_set_nor_deleted_nor_added(proofs):
    for proof in proofs:
        for name in (*PROOFS[type(proof)], "proven", "anything"):
            with pytest.raises(TypeError, match="can't be changed"):
                setattr(proof, name, None)
            with pytest.raises(TypeError, match="can't be changed"):
                delattr(proof, name)
        assert not hasattr(proof, "__dict__")


def test_proofs_are_the_same_only_as_themselves(proofs, maker):
    first, second = verified_report(maker), verified_report(maker)
    assert first != second
    assert len({*proofs, first, second}) == len(proofs) + 2


def test_a_mint_takes_only_itself():
    mint = Mint("here")
    mint.check(mint)
    with pytest.raises(TypeError, match="only here makes"):
        mint.check(Mint("here"))
