# SPDX-License-Identifier: Apache-2.0
"""Platforms as types: verified, under a root of the owner's choice, or waived with a reason."""

from __future__ import annotations

import pytest

from watchword.core.errors import BadInput, ExitStatus, UsageError, VerificationRefused
from watchword.core.sev.advisories import Advisories, Advisory
from watchword.core.sev.chain import PlatformCertificates, examine_chain
from watchword.core.sev.platform import (
    ForeignRootPlatform,
    VerifiedPlatform,
    WaivedPlatform,
    verify_chain,
    waive_platform,
)
from watchword.core.sev.waiver import waiver_reason

from . import chain_maker as raw
from .conftest import NOTHING_KNOWN


def chain(made, **changes):
    return PlatformCertificates(**{**made, **changes})


def refused(certificates, roots=(), **options):
    with pytest.raises(VerificationRefused) as caught:
        verify_chain(certificates, roots, NOTHING_KNOWN, **options)
    return caught.value


def test_a_chain_up_to_amds_root_makes_a_verified_platform(verified_platform, maker):
    assert type(verified_platform) is VerifiedPlatform
    assert verified_platform.proven
    assert verified_platform.name == "verified"
    numbers = maker.key("pdh").public_key().public_numbers()
    assert verified_platform.public_key.public_numbers() == numbers
    assert verified_platform.pdh.signed_body() == maker.pdh_body()


def test_a_chain_up_to_a_named_root_is_not_proven(foreign_platform):
    assert type(foreign_platform) is ForeignRootPlatform
    assert not foreign_platform.proven
    assert foreign_platform.name == "foreign-root"


def test_a_waived_platform_is_not_proven_and_keeps_its_reason(waived_platform):
    assert type(waived_platform) is WaivedPlatform
    assert not waived_platform.proven
    assert waived_platform.name == "waived"
    assert waived_platform.reason == "test bench"


def test_waiving_a_chain_that_holds_still_makes_no_proof(made, made_roots):
    report = examine_chain(chain(made), made_roots)
    platform = waive_platform(chain(made), report, "no matter")
    assert not platform.proven


def test_a_refused_chain_says_which_link_and_what_to_do(made, made_roots):
    error = refused(chain(made, pek=made["pek"][:0x624] + bytes(512)), made_roots)
    assert error.code == "chain-refused"
    assert error.exit_status is ExitStatus.REFUSED
    assert error.details["ok"] is False
    assert error.message.startswith("PEK under CEK: ")
    assert "forged or mixed" in error.remedy


def test_an_unsigned_cek_gets_its_own_remedy(made, made_roots, maker):
    error = refused(chain(made, cek=maker.cek(signed=False), ask=None, ark=None), made_roots)
    assert "AMD's signed copy" in error.remedy


def test_a_missing_certificate_gets_its_own_remedy(made, made_roots):
    assert "Add the missing certificate" in refused(chain(made, oca=None), made_roots).remedy


@pytest.mark.parametrize("role", ["cek", "oca", "pek", "pdh"])
def test_no_platform_without_all_of_the_hosts_certificates(made, made_roots, role):
    assert refused(chain(made, **{role: None}), made_roots).details["ok"] is False


def test_an_oca_pin_is_obeyed(made, made_roots):
    assert refused(chain(made), made_roots, oca_pin="0" * 64).details["ok"] is False


def test_what_is_known_of_a_generation_joins_the_warnings(made, made_roots):
    known = Advisory("CVE-1", "2021-01-01", "keys leak", "somebody", generations=("made-up",))
    other = Advisory("CVE-2", "2021-01-01", "keys leak", "somebody", generations=("rome",))
    table = Advisories("2026-11-23", (known, other))
    platform = verify_chain(chain(made), made_roots, table)
    assert platform.report.warnings == ("CVE-1 (2021-01-01): keys leak",)


@pytest.mark.parametrize("reason", ["", "  ", "\t\n", "ab", "a\nb c", "\u202egood", "\0\0\0"])
def test_a_waiver_takes_a_reason_that_can_be_read(made, reason):
    certificates = PlatformCertificates(pdh=made["pdh"])
    report = examine_chain(certificates, ())
    with pytest.raises(UsageError) as caught:
        waive_platform(certificates, report, reason)
    assert caught.value.code == "empty-waiver"
    assert caught.value.remedy


def test_a_reason_is_kept_without_its_margins():
    assert waiver_reason("  lab machine ", "platform") == "lab machine"


def test_the_pdh_itself_can_not_be_waived(made):
    report = examine_chain(PlatformCertificates(), ())
    with pytest.raises(BadInput, match="PDH"):
        waive_platform(PlatformCertificates(), report, "lab machine")
    with pytest.raises(BadInput):
        waive_platform(PlatformCertificates(pdh=b"\1" * 2084), report, "lab machine")


def test_a_point_off_the_curve_can_not_be_waived(maker):
    body = bytearray(maker.pdh())
    body[0x5C] ^= 1
    certificates = PlatformCertificates(pdh=bytes(body))
    with pytest.raises(BadInput) as caught:
        waive_platform(certificates, examine_chain(certificates, ()), "lab machine")
    assert caught.value.code == "point-not-on-curve"


def test_a_pdh_on_another_curve_can_not_be_waived(maker):
    small = maker.with_key("pdh", raw.ec.derive_private_key(5, raw.ec.SECP256R1()))
    certificates = PlatformCertificates(pdh=small.pdh())
    with pytest.raises(BadInput) as caught:
        waive_platform(certificates, examine_chain(certificates, ()), "lab machine")
    assert caught.value.code == "pdh-curve"
