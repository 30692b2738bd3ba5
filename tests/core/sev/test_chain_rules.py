# SPDX-License-Identifier: Apache-2.0
"""One rule of the chain at a time: a certificate that breaks it, and the sentence that says so."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from watchword.core.errors import BadInput
from watchword.core.sev.certificates import AmdCertificate, SevCertificate, Signature, Usage
from watchword.core.sev.chain_rules import (
    UNSIGNED_CEK,
    amd_signature_problem,
    ark_problem,
    ask_problem,
    cek_problem,
    ecdsa_link_problem,
    has_stray_bytes,
    pdh_public_key,
)

from . import chain_maker as raw


def amd(data):
    return AmdCertificate.parse(data)


def sev(data):
    return SevCertificate.parse(data)


def signed_amd(authority, usage, key, key_id, certifying_id):
    body = raw.amd_body(usage, key, key_id, certifying_id)
    return amd(body + raw.pss(authority.ark_key, body))


def test_a_good_chain_breaks_no_rule(authority, maker):
    ark, ask = amd(authority.ark), amd(authority.ask)
    cek, oca, pek, pdh = (sev(data) for data in list(maker.files().values())[2:])
    assert ark_problem(ark, None) is None
    assert ask_problem(ask, ark) is None
    assert cek_problem(cek, ask) is None
    assert ecdsa_link_problem(oca, Usage.OCA, oca, Usage.OCA) is None
    assert ecdsa_link_problem(pek, Usage.PEK, oca, Usage.OCA) is None
    assert ecdsa_link_problem(pek, Usage.PEK, cek, Usage.CEK) is None
    assert ecdsa_link_problem(pdh, Usage.PDH, pek, Usage.PEK) is None


# -- ARK and ASK -----------------------------------------------------------------------


def test_a_root_without_signature_is_good_only_as_amds_own(authority):
    unsigned = amd(authority.ark[:576])
    assert "no signature (576 bytes)" in ark_problem(unsigned, None)
    assert ark_problem(unsigned, amd(authority.ark)) is None


def test_a_root_must_sign_itself(authority):
    body = raw.amd_body(raw.ARK, authority.ark_key, authority.ark_id, authority.ark_id)
    forged = amd(body + raw.pss(authority.ask_key, body))
    assert "wrong" in ark_problem(forged, None)
    assert "wrong" in ark_problem(forged, amd(authority.ark))


def test_a_root_must_have_its_usage_and_name_itself(authority):
    key, own = authority.ark_key, authority.ark_id
    usage = signed_amd(authority, raw.ASK, key, own, own)
    assert "usage is 0x13" in ark_problem(usage, None)
    other = signed_amd(authority, raw.ARK, key, own, own[:15] + b"2")
    assert "another key" in ark_problem(other, None)


@pytest.mark.parametrize("place", [0, 7, 8, 15])
def test_all_16_bytes_of_the_id_count_in_an_ask(authority, place):
    wrong = bytearray(authority.ark_id)
    wrong[place] ^= 1
    ask = signed_amd(authority, raw.ASK, authority.ask_key, authority.ask_id, bytes(wrong))
    assert "another ARK" in ask_problem(ask, amd(authority.ark))


def test_an_ask_must_have_its_usage(authority):
    ask = signed_amd(authority, raw.ARK, authority.ask_key, authority.ask_id, authority.ark_id)
    assert "usage is 0x0" in ask_problem(ask, amd(authority.ark))


def test_an_ask_without_signature_or_by_another_key_is_refused(authority):
    ark = amd(authority.ark)
    assert "no signature" in ask_problem(amd(authority.ask[:576]), ark)
    body = raw.amd_body(raw.ASK, authority.ask_key, authority.ask_id, authority.ark_id)
    own = amd(body + raw.pss(authority.ask_key, body))
    assert "wrong" in ask_problem(own, ark)


def test_signatures_of_another_size_than_the_signers_key_are_refused(authority):
    large = AmdCertificate(bytes(16), bytes(16), 0, 4096, 65537, 2**4095 + 1, bytes(512))
    assert "size" in amd_signature_problem(amd(authority.ask), large)


@pytest.mark.parametrize(
    ("exponent", "modulus"),
    [(0, 0), (1, 15), (3, 15), (65537, 2**2048 - 2), (2**2048 - 1, 2**2048 - 1), (3, 0)],
)
def test_hostile_rsa_numbers_are_a_sentence_not_an_exception(exponent, modulus):
    hostile = AmdCertificate(bytes(16), bytes(16), 0, 2048, exponent, modulus, bytes(256))
    assert amd_signature_problem(hostile, hostile)
    assert cek_problem(sev(raw.PlatformMaker(None).cek(signed=False)), hostile)


# -- CEK -------------------------------------------------------------------------------


def test_an_unsigned_cek_is_named_as_such(authority, maker):
    assert cek_problem(sev(maker.cek(signed=False)), amd(authority.ask)) == UNSIGNED_CEK


def test_a_ceks_signature_may_stand_in_either_slot(authority, maker):
    cek = sev(maker.cek())
    swapped = replace(cek, signatures=cek.signatures[::-1])
    assert cek_problem(swapped, amd(authority.ask)) is None


def test_a_cek_that_claims_two_signatures_by_the_ask_is_refused(authority, maker):
    cek = sev(maker.cek())
    twice = replace(cek, signatures=(cek.signatures[0],) * 2)
    assert "both" in cek_problem(twice, amd(authority.ask))


def test_a_cek_signed_by_another_key_is_refused(authority, maker):
    other = replace(authority, ask_key=authority.ark_key)
    assert "wrong" in cek_problem(sev(maker.cek()), amd(other.ask))


@pytest.mark.parametrize(("offset", "word"), [(8, "usage"), (12, "algorithm"), (0x14, "curve")])
def test_usage_algorithm_and_point_of_a_cek_are_checked_before_its_signature(
    authority, maker, offset, word
):
    data = bytearray(maker.cek())
    data[offset] ^= 1
    assert word in cek_problem(sev(bytes(data)), amd(authority.ask))


# -- OCA, PEK, PDH ---------------------------------------------------------------------


def test_peks_signatures_are_matched_by_usage_not_by_slot(maker):
    pek = sev(maker.pek())
    swapped = replace(pek, signatures=pek.signatures[::-1])
    for name in ("oca", "cek"):
        signer, usage = sev(maker.files()[name]), Usage[name.upper()]
        assert ecdsa_link_problem(swapped, Usage.PEK, signer, usage) is None


def test_a_label_on_anothers_signature_does_not_help(maker):
    pek = sev(maker.pek())
    by_oca, by_cek = pek.signatures
    relabelled = (replace(by_oca, usage=Usage.CEK), replace(by_cek, usage=Usage.OCA))
    crossed = replace(pek, signatures=relabelled)
    for name in ("oca", "cek"):
        signer, usage = sev(maker.files()[name]), Usage[name.upper()]
        assert "wrong" in ecdsa_link_problem(crossed, Usage.PEK, signer, usage)


@pytest.mark.parametrize("algorithm", [raw.ECDSA, 1, 0, 0x102, 0x101])
def test_a_pdh_whose_key_is_not_for_ecdh_is_refused(maker, algorithm):
    body = raw.sev_body(raw.PDH, raw.ec_area(maker.key("pdh")), algorithm=algorithm)
    pdh = sev(body + raw.ecdsa_slot(raw.PEK, maker.key("pek"), body) + raw.EMPTY_SLOT)
    problem = ecdsa_link_problem(pdh, Usage.PDH, sev(maker.pek()), Usage.PEK)
    assert "key agreement (ECDH)" in problem


@pytest.mark.parametrize("algorithm", [raw.ECDH, 1, 0, 0x103])
def test_a_pek_whose_key_is_not_for_ecdsa_is_refused(maker, algorithm):
    body = raw.sev_body(raw.PEK, raw.ec_area(maker.key("pek")), algorithm=algorithm)
    pek = sev(body + raw.ecdsa_slot(raw.CEK, maker.key("cek"), body) + raw.EMPTY_SLOT)
    problem = ecdsa_link_problem(pek, Usage.PEK, sev(maker.cek()), Usage.CEK)
    assert "signing (ECDSA)" in problem


def test_the_signer_must_have_the_usage_that_the_rule_asks_for(maker):
    """A PDH signed by the CEK, with the CEK handed over in the PEK's place."""
    body = maker.pdh_body()
    pdh = sev(body + raw.ecdsa_slot(raw.PEK, maker.key("cek"), body) + raw.EMPTY_SLOT)
    problem = ecdsa_link_problem(pdh, Usage.PDH, sev(maker.cek()), Usage.PEK)
    assert "the signer's usage is 0x1004" in problem


def test_a_signer_with_an_unusable_key_is_a_sentence(maker):
    broken = replace(sev(maker.pek()), public_key_area=struct.pack("<I", 9) + bytes(1024))
    problem = ecdsa_link_problem(sev(maker.pdh()), Usage.PDH, broken, Usage.PEK)
    assert problem.startswith("PEK: ")


def test_the_key_for_sessions_must_be_on_p384():
    area = raw.ec_area(ec.derive_private_key(99, ec.SECP256R1()))
    body = raw.sev_body(raw.PDH, area, algorithm=raw.ECDH)
    with pytest.raises(BadInput) as caught:
        pdh_public_key(sev(body + 2 * raw.EMPTY_SLOT))
    assert caught.value.code == "pdh-curve"


# -- bytes that nothing signs ------------------------------------------------------------

BY_PEK = (Usage.PEK,)


@pytest.mark.parametrize(
    ("usage", "algorithm", "place", "stray"),
    [
        (Usage.INVALID, 0, None, False),
        (Usage.INVALID, 0, 511, True),
        (Usage.INVALID, 0, 0, True),
        (Usage.INVALID, 2, None, True),
        (Usage.PEK, 2, 0, False),
        (Usage.PEK, 2, 143, False),
        (Usage.PEK, 2, 144, True),
        (Usage.PEK, 2, 511, True),
        (Usage.PEK, 1, 255, False),
        (Usage.PEK, 1, 256, True),
        (Usage.OCA, 2, 0, True),
        (Usage.OCA, 2, None, True),
    ],
)
def test_bytes_that_do_not_belong_in_a_slot_are_seen(usage, algorithm, place, stray):
    data = bytearray(512)
    if place is not None:
        data[place] = 1
    assert has_stray_bytes(Signature(usage, algorithm, bytes(data)), BY_PEK, 256) is stray
