# SPDX-License-Identifier: Apache-2.0
"""Signatures on certificates: RSA-PSS and ECDSA, and which slot is whose."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.sev.certificates import Signature, Usage
from watchword.core.sev.signatures import ecdsa_problem, rsa_pss_problem, slot_of

from .chain_maker import ec_key, pss

BODY = b"what is signed"
ORDER = (1 << 384) - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D


def ecdsa(digest):
    key = ec_key("signer")
    return key.public_key(), utils.decode_dss_signature(key.sign(BODY, ec.ECDSA(digest)))


def test_a_little_endian_pss_signature_is_good(authority):
    key = authority.ark_key
    assert rsa_pss_problem(key.public_key(), pss(key, BODY), BODY, 0x1) is None


def test_a_big_endian_pss_signature_is_wrong(authority):
    key = authority.ark_key
    assert rsa_pss_problem(key.public_key(), pss(key, BODY)[::-1], BODY, 0x1)


def test_the_algorithm_that_a_signature_names_decides_about_the_hash(authority):
    key, digest = authority.ark_key, hashes.SHA384()
    scheme = padding.PSS(mgf=padding.MGF1(digest), salt_length=48)
    signature = key.sign(BODY, scheme, digest)[::-1]
    assert rsa_pss_problem(key.public_key(), signature, BODY, 0x101) is None
    assert "wrong" in rsa_pss_problem(key.public_key(), signature, BODY, 0x1)


@pytest.mark.parametrize("salt", [0, 20, 31, 33, 64])
def test_pss_with_another_salt_length_is_wrong(authority, salt):
    key, digest = authority.ark_key, hashes.SHA256()
    scheme = padding.PSS(mgf=padding.MGF1(digest), salt_length=salt)
    assert rsa_pss_problem(key.public_key(), key.sign(BODY, scheme, digest)[::-1], BODY, 0x1)


def test_pkcs1_v1_5_does_not_pass_for_pss(authority):
    key, digest = authority.ark_key, hashes.SHA256()
    signature = key.sign(BODY, padding.PKCS1v15(), digest)[::-1]
    assert rsa_pss_problem(key.public_key(), signature, BODY, 0x1)


@pytest.mark.parametrize("algorithm", [0, 2, 3, 0x102, 0x103, 0xFFFFFFFF])
def test_algorithms_that_are_not_rsa_are_named(authority, algorithm):
    key = authority.ark_key
    problem = rsa_pss_problem(key.public_key(), pss(key, BODY), BODY, algorithm)
    assert f"0x{algorithm:x}" in problem


@pytest.mark.parametrize(("algorithm", "digest"), [(2, hashes.SHA256()), (0x102, hashes.SHA384())])
def test_an_ecdsa_signature_with_the_named_hash_is_good(algorithm, digest):
    key, numbers = ecdsa(digest)
    assert ecdsa_problem(key, numbers, BODY, algorithm) is None
    assert "wrong" in ecdsa_problem(key, numbers, BODY + b"!", algorithm)


def test_an_ecdsa_signature_with_the_other_hash_is_wrong():
    key, numbers = ecdsa(hashes.SHA384())
    assert "wrong" in ecdsa_problem(key, numbers, BODY, 2)


def test_the_negated_s_of_ecdsa_is_as_good():
    key, (r, s) = ecdsa(hashes.SHA256())
    assert ecdsa_problem(key, (r, ORDER - s), BODY, 2) is None


@pytest.mark.parametrize("algorithm", [0, 1, 3, 0x101, 0x103])
def test_algorithms_that_are_not_ecdsa_are_named(algorithm):
    key, numbers = ecdsa(hashes.SHA256())
    assert f"0x{algorithm:x}" in ecdsa_problem(key, numbers, BODY, algorithm)


@settings(max_examples=30)
@given(st.tuples(*2 * [st.integers(0, 2**576 - 1)]))
def test_any_numbers_are_a_sentence_not_an_exception(numbers):
    assert ecdsa_problem(ec_key("signer").public_key(), numbers, BODY, 2)


@pytest.mark.parametrize("numbers", [(0, 0), (1, 0), (0, 1), (ORDER, 1), (1, ORDER)])
def test_numbers_outside_the_group_are_wrong(numbers):
    assert ecdsa_problem(ec_key("signer").public_key(), numbers, BODY, 2)


def slot(usage):
    return Signature(usage, 2, bytes(512))


def test_the_slot_is_found_by_usage_in_either_place():
    by_oca, by_cek = slot(Usage.OCA), slot(Usage.CEK)
    for slots in ((by_oca, by_cek), (by_cek, by_oca)):
        assert slot_of(slots, Usage.CEK) is by_cek
        assert slot_of(slots, Usage.OCA) is by_oca


def test_no_slot_and_two_slots_are_sentences():
    assert "no signature by the ASK" in slot_of((slot(Usage.OCA), slot(Usage.CEK)), Usage.ASK)
    assert "both" in slot_of((slot(Usage.OCA), slot(Usage.OCA)), Usage.OCA)
