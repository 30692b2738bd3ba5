# SPDX-License-Identifier: Apache-2.0
"""Reports of running guests: signature, labels, nonce, and what the owner expects in them."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput, VerificationRefused
from watchword.core.sev.attestation_report import AttestationReport, verify_report
from watchword.core.sev.certificates import SevCertificate

from . import chain_maker as raw
from .conftest import outcome

NONCE, DIGEST, POLICY = b"n" * 16, b"d" * 32, 0x1100002F


def sized(size):
    return st.binary(min_size=size, max_size=size)


U32 = st.integers(0, 2**32 - 1)
REPORTS = st.builds(AttestationReport, sized(16), sized(32), U32, U32, U32, U32, sized(144))


@pytest.fixture
def pek(maker):
    return SevCertificate.parse(maker.pek())


@pytest.fixture
def good(maker):
    body = NONCE + DIGEST + struct.pack("<I", POLICY)
    slot = raw.ecdsa_slot(raw.PEK, maker.key("pek"), body)
    return body + slot[:8] + bytes(4) + slot[8:152]


def refusal(data, pek, nonce=NONCE, **expected):
    with pytest.raises(VerificationRefused) as caught:
        verify_report(AttestationReport.parse(data), pek, nonce, **expected)
    assert caught.value.exit_status == 3
    return caught.value.code


@settings(max_examples=40)
@given(REPORTS)
def test_a_report_survives_build_and_parse(report):
    assert len(report.build()) == 208
    assert AttestationReport.parse(report.build()) == report


@given(st.binary(max_size=210) | sized(208))
def test_any_bytes_are_a_report_or_bad_input(data):
    found = outcome(AttestationReport.parse, data)
    if len(data) == 208:
        assert found.build() == data
    else:
        assert isinstance(found, BadInput)
        assert str(len(data)) in found.message


@settings(max_examples=20)
@given(report=REPORTS)
def test_any_report_is_refused_in_words(maker, report):
    with pytest.raises(VerificationRefused):
        verify_report(report, SevCertificate.parse(maker.pek()), report.nonce)


def test_a_report_of_the_pek_over_the_nonce_verifies(good, pek):
    report = AttestationReport.parse(good)
    verified = verify_report(report, pek, NONCE, launch_digest=DIGEST, policy=POLICY)
    assert verified.report == report
    assert verified.warnings == ()


@pytest.mark.parametrize("place", [0, 15, 16, 47, 48, 51, 64, 64 + 72])
def test_any_change_in_what_is_signed_or_in_the_signature_is_refused(good, pek, place):
    data = bytearray(good)
    data[place] ^= 1
    assert refusal(bytes(data), pek, bytes(data[:16])) == "report-signature"


@pytest.mark.parametrize(("place", "value"), [(52, 1), (53, 0), (56, 1), (57, 1), (56, 3)])
def test_another_label_is_refused_though_nothing_signs_it(good, pek, place, value):
    data = bytearray(good)
    data[place] = value
    assert refusal(bytes(data), pek) == "report-label"


def test_an_old_report_is_refused(good, pek):
    assert refusal(good, pek, b"m" * 16) == "report-nonce"
    assert refusal(good, pek, b"") == "report-nonce"


def test_what_the_owner_did_not_expect_is_refused(good, pek):
    assert refusal(good, pek, launch_digest=b"e" * 32) == "report-digest"
    assert refusal(good, pek, policy=1) == "report-policy"
    assert refusal(good, pek, policy=0) == "report-policy"


def test_another_platforms_pek_does_not_vouch_for_it(good, maker):
    other = raw.PlatformMaker(maker.authority, "chip 2")
    assert refusal(good, SevCertificate.parse(other.pek())) == "report-signature"


def test_reserved_bytes_are_a_warning(good, pek):
    data = bytearray(good)
    data[60] = 1
    [warning] = verify_report(AttestationReport.parse(bytes(data)), pek, NONCE).warnings
    assert "reserved" in warning


def test_a_pek_off_its_curve_is_bad_input(good, maker):
    data = bytearray(maker.pek())
    data[0x14] ^= 1
    with pytest.raises(BadInput):
        verify_report(AttestationReport.parse(good), SevCertificate.parse(bytes(data)), NONCE)


def test_the_known_reports(vectors):
    folder = vectors / "legacy-attestation"
    manifest = json.loads((folder / "manifest.json").read_text())
    pek = SevCertificate.parse((vectors / manifest["pek"]).read_bytes())
    nonce = (folder / "good.bin").read_bytes()[:16]
    assert len(manifest["cases"]) == 14
    for case in manifest["cases"]:
        data = (folder / case["file"]).read_bytes()
        if case["expected"] in ("valid", "malleable"):
            verified = verify_report(AttestationReport.parse(data), pek, nonce)
            assert bool(verified.warnings) is (case["expected"] == "malleable")
        elif len(data) != 208:
            with pytest.raises(BadInput):
                AttestationReport.parse(data)
        else:
            # The nonce in the report, so that it is the signature that is at fault.
            code = refusal(data, pek, data[:16])
            label = case["expected"] == "invalid-label"
            assert code == ("report-label" if label else "report-signature"), case["file"]
