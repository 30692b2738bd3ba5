# SPDX-License-Identifier: Apache-2.0
"""The examination of a whole chain: a verdict for each link, roots, pins, warnings."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from watchword.core.sev.certificates import AmdCertificate, SevCertificate
from watchword.core.sev.chain import (
    ChainReport,
    Link,
    PlatformCertificates,
    Role,
    Root,
    Verdict,
    examine_chain,
)

from . import chain_maker as raw

LINKS = [
    ("ark", "ark"),
    ("ask", "ark"),
    ("cek", "ask"),
    ("oca", "oca"),
    ("pek", "oca"),
    ("pek", "cek"),
    ("pdh", "pek"),
]
UNPINNED = pytest.mark.parametrize("missing", ["ark", "ask", "cek", "oca", "pek", "pdh"])


@pytest.fixture
def examine(made, made_roots):
    """Examines the made-up chain with changes, as if its root were AMD's."""

    def run(roots=made_roots, trusted=(), oca_pin=None, **changes):
        chain = PlatformCertificates(**{**made, **changes})
        return examine_chain(chain, roots, trusted_roots=trusted, oca_pin=oca_pin)

    return run


def verdicts(report):
    return {
        (link.certificate.value, link.signed_by.value): link.verdict.value for link in report.links
    }


def bad_links(report):
    return {pair: verdict for pair, verdict in verdicts(report).items() if verdict != "ok"}


def reason(report, certificate, signer):
    pair = (Role(certificate), Role(signer))
    return next(x.reason for x in report.links if (x.certificate, x.signed_by) == pair)


def test_a_good_chain_has_seven_good_links(examine):
    report = examine()
    assert report.ok
    assert list(verdicts(report)) == LINKS
    assert (report.root, report.generation) == (Root.AMD, "made-up")
    assert report.warnings == ()
    assert report.first_problem() is None


def test_the_report_names_pdh_cek_oca_and_chip(examine, made):
    report = examine(chip_id=b"\xab" * 64)
    assert report.chip_id == "ab" * 64
    assert report.cek_sha256 == SevCertificate.parse(made["cek"]).fingerprint()
    assert report.oca_sha256 == SevCertificate.parse(made["oca"]).fingerprint()
    assert set(report.as_json()) >= {"ok", "generation", "root", "links", "pdh_sha256", "warnings"}


def test_no_links_are_no_good_chain():
    nothing = ChainReport((), Root.UNKNOWN, None, None, None, None, None, ())
    assert not nothing.ok


def test_an_empty_chain_has_seven_links_and_none_is_good():
    report = examine_chain(PlatformCertificates(), ())
    assert list(verdicts(report)) == LINKS
    assert set(verdicts(report).values()) == {"missing"}
    assert not report.ok


@UNPINNED
def test_amds_own_certificates_stand_in_and_every_other_missing_one_is_named(examine, missing):
    report = examine(**{missing: None})
    assert report.ok is (missing in ("ark", "ask"))
    if not report.ok:
        own = {pair: verdict for pair, verdict in bad_links(report).items() if pair[0] == missing}
        assert set(own.values()) == {"missing"}


@UNPINNED
@pytest.mark.parametrize("content", [b"", b"\1\0\0\0", bytes(2084), bytes(4096)])
def test_a_given_certificate_that_is_unreadable_fails_and_is_not_replaced(
    examine, missing, content
):
    report = examine(**{missing: content})
    own = [verdict for pair, verdict in verdicts(report).items() if pair[0] == missing]
    assert set(own) == {"failed"}


@pytest.mark.parametrize("role", ["cek", "oca", "pek", "pdh"])
@pytest.mark.parametrize("offset", [4, 8, 12, 0x14, 0x60, 0x410])
def test_any_change_in_what_is_signed_breaks_that_certificates_links(examine, made, role, offset):
    data = bytearray(made[role])
    data[offset] ^= 1
    report = examine(**{role: bytes(data)})
    own = [verdict for pair, verdict in verdicts(report).items() if pair[0] == role]
    assert set(own) == {"failed"}


def test_without_the_root_nothing_is_known_of_it(examine):
    report = examine(roots=(), ark=None)
    assert report.root is Root.UNKNOWN
    assert bad_links(report) == {("ark", "ark"): "missing", ("ask", "ark"): "skipped"}


def test_an_unknown_root_is_refused_and_a_named_one_is_loud(examine, made):
    ark = AmdCertificate.parse(made["ark"])
    refused = examine(roots=())
    assert bad_links(refused) == {("ark", "ark"): "failed"}
    assert (refused.root, refused.generation) == (Root.NOT_AMD, None)
    trusted = examine(roots=(), trusted=[ark])
    assert trusted.ok
    assert (trusted.root, trusted.generation) == (Root.NOT_AMD, None)
    assert "The root is not AMD's: you named it as trusted." in trusted.warnings


def test_a_named_root_stands_in_where_the_chain_lacks_it(examine, made):
    report = examine(roots=(), trusted=[AmdCertificate.parse(made["ark"])], ark=None)
    assert report.ok
    assert report.root is Root.NOT_AMD


def test_trusting_a_root_without_its_signature_is_not_enough(examine, made):
    unsigned = made["ark"][:576]
    report = examine(roots=(), trusted=[AmdCertificate.parse(unsigned)], ark=unsigned)
    assert bad_links(report) == {("ark", "ark"): "failed"}


def test_an_oca_pin_decides_about_the_owner(examine, made, maker):
    pin = SevCertificate.parse(made["oca"]).fingerprint()
    assert examine(oca_pin=pin).ok
    owner = maker.with_key("oca", raw.ec_key("another owner"))
    report = examine(oca_pin=pin, oca=owner.oca(), pek=owner.pek())
    assert bad_links(report) == {("oca", "oca"): "failed"}
    assert "pinned" in reason(report, "oca", "oca")


def test_a_pdh_on_p256_is_refused_though_it_is_well_signed(examine, maker):
    small = maker.with_key("pdh", raw.ec.derive_private_key(5, raw.ec.SECP256R1()))
    report = examine(pdh=small.pdh())
    assert bad_links(report) == {("pdh", "pek"): "failed"}
    assert "P-384" in reason(report, "pdh", "pek")


def test_a_pdh_off_its_curve_is_refused_though_it_is_well_signed(examine, maker):
    body = bytearray(maker.pdh_body())
    body[0x5C] ^= 1
    body = bytes(body)
    pdh = body + raw.ecdsa_slot(raw.PEK, maker.key("pek"), body) + raw.EMPTY_SLOT
    report = examine(pdh=pdh)
    assert bad_links(report) == {("pdh", "pek"): "failed"}
    assert "not a point" in reason(report, "pdh", "pek")


def test_an_unsigned_cek_is_told_from_a_forged_one(examine, maker):
    report = examine(cek=maker.cek(signed=False), ask=None, ark=None)
    assert verdicts(report)["cek", "ask"] == "failed"
    assert "AMD's key service has the signed copy" in reason(report, "cek", "ask")


@pytest.mark.parametrize("role", ["cek", "oca", "pdh"])
@pytest.mark.parametrize(
    "slot",
    [
        raw.EMPTY_SLOT[:-1] + b"\1",
        struct.pack("<II", raw.EMPTY, 2) + bytes(512),
        struct.pack("<II", 0x1003, 2) + b"\1" * 144 + bytes(368),
        struct.pack("<II", 0x7777, 2) + bytes(512),
    ],
    ids=["byte in an empty slot", "algorithm of no one", "anothers claim", "unknown claim"],
)
def test_bytes_that_nothing_signs_are_accepted_with_a_warning(examine, made, role, slot):
    report = examine(**{role: made[role][:0x61C] + slot})
    assert report.ok
    [warning] = report.warnings
    assert warning.startswith(f"{role.upper()}: ")
    assert "signature 2" in warning


def test_the_first_problem_is_a_failure_before_what_is_missing(examine):
    report = examine(cek=None, pdh=b"")
    assert report.first_problem().certificate is Role.PDH
    only_missing = examine(cek=None)
    assert only_missing.first_problem().verdict is Verdict.MISSING


def test_a_failed_link_has_a_reason_and_a_good_one_says_why(examine):
    for report in (examine(), examine(pek=None, roots=())):
        assert all(link.reason for link in report.links)


def test_a_link_has_stable_json_names():
    link = Link(Role.PDH, Role.PEK, Verdict.OK, "signed by the PEK")
    assert link.as_json() == {
        "certificate": "pdh",
        "signed_by": "pek",
        "verdict": "ok",
        "reason": "signed by the PEK",
    }


def test_more_warnings_leave_the_verdict_as_it_is(examine):
    report = examine().with_warnings(("careful",))
    assert report.ok
    assert replace(report, warnings=()) == examine()
    assert report.warnings == ("careful",)
