# SPDX-License-Identifier: Apache-2.0
"""Layouts of certificates: sizes, offsets, what is refused, and that nothing is lost."""

from __future__ import annotations

import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.sev.certificates import (
    Algorithm,
    AmdCertificate,
    Curve,
    EcPublicKey,
    SevCertificate,
    Signature,
    Usage,
)

from . import chain_maker as raw
from .conftest import outcome

U32 = st.integers(0, 2**32 - 1)
BYTE = st.integers(0, 255)
COORDINATE = st.integers(0, 2**576 - 1)
P384_PRIME = 2**384 - 2**128 - 2**96 + 2**32 - 1


def sized(size):
    return st.binary(min_size=size, max_size=size)


SLOTS = st.builds(Signature, U32, U32, sized(512))
SEV_CERTIFICATES = st.builds(
    SevCertificate, BYTE, BYTE, U32, U32, sized(1028), st.tuples(SLOTS, SLOTS)
)


@st.composite
def amd_certificates(draw):
    bits = draw(st.sampled_from([2048, 4096]))
    numbers = st.integers(0, 2**bits - 1)
    signature = sized(bits // 8)
    if bits == 2048:
        signature = st.none() | signature
    ids = sized(16)
    return AmdCertificate(
        draw(ids), draw(ids), draw(U32), bits, draw(numbers), draw(numbers), draw(signature)
    )


@settings(max_examples=40)
@given(SEV_CERTIFICATES)
def test_a_sev_certificate_survives_build_and_parse(certificate):
    data = certificate.build()
    assert len(data) == 2084
    assert SevCertificate.parse(data) == certificate


@settings(max_examples=40)
@given(amd_certificates())
def test_an_amd_certificate_survives_build_and_parse(certificate):
    data = certificate.build()
    assert len(data) in (576, 832, 1600)
    assert AmdCertificate.parse(data) == certificate


@settings(max_examples=40)
@given(st.builds(EcPublicKey, st.sampled_from(list(Curve)), COORDINATE, COORDINATE))
def test_an_ec_key_survives_build_and_parse(key):
    assert EcPublicKey.parse(key.build()) == key


# Arbitrary bytes, and bytes that get past the first checks.
ANY_SEV = st.binary(max_size=64) | sized(2084) | sized(2080).map(lambda rest: b"\1\0\0\0" + rest)
HEADS = st.sampled_from([b"\0\x08\0\0" * 2, b"\0\x10\0\0" * 2])
ANY_AMD = (
    st.binary(max_size=80)
    | sized(832)
    | st.builds(
        lambda ids, usage, bits, size: (b"\1\0\0\0" + ids + usage + bytes(16) + bits + bytes(2000))[
            :size
        ],
        sized(32),
        sized(4),
        HEADS,
        st.sampled_from([63, 64, 65, 575, 576, 577, 831, 832, 833, 1087, 1088, 1599, 1600, 1601]),
    )
)
ANY_AREA = (
    st.binary(max_size=40)
    | sized(1028)
    | sized(148).map(lambda head: head + bytes(880))
    | st.builds(lambda point, pad: b"\2\0\0\0" + point + pad, sized(144), sized(880))
)


@pytest.mark.parametrize("layout", [SevCertificate, AmdCertificate, EcPublicKey])
@given(data=st.data())
def test_any_bytes_give_a_value_that_builds_the_same_bytes_or_bad_input(layout, data):
    sources = {SevCertificate: ANY_SEV, AmdCertificate: ANY_AMD, EcPublicKey: ANY_AREA}
    content = data.draw(sources[layout])
    value = outcome(layout.parse, content)
    assert isinstance(value, BadInput) or value.build() == content


@settings(max_examples=40)
@given(SEV_CERTIFICATES)
def test_any_public_key_area_loads_or_is_bad_input(certificate):
    found = outcome(lambda: EcPublicKey.parse(certificate.public_key_area).load())
    assert isinstance(found, (BadInput, ec.EllipticCurvePublicKey))


@settings(max_examples=40)
@given(amd_certificates())
def test_any_rsa_numbers_load_or_are_bad_input(certificate):
    assert isinstance(outcome(certificate.load), (BadInput, rsa.RSAPublicKey))


def test_fields_of_a_sev_certificate_stand_where_they_belong(maker):
    data = maker.pek()
    pek = SevCertificate.parse(data)
    assert (pek.api_major, pek.api_minor) == (1, 55)
    assert (pek.usage, pek.algorithm) == (Usage.PEK, Algorithm.ECDSA_SHA256)
    assert pek.public_key_area == data[0x10:0x414]
    assert [slot.usage for slot in pek.signatures] == [Usage.OCA, Usage.CEK]
    assert pek.signatures[1].data == data[0x624:0x824]
    assert pek.signed_body() == data[:0x414]
    assert pek.fingerprint() == hashlib.sha256(data[:0x414]).hexdigest()


def test_fields_of_an_amd_certificate_stand_where_they_belong(authority):
    data = authority.ask
    ask = AmdCertificate.parse(data)
    assert (ask.key_id, ask.certifying_id) == (authority.ask_id, authority.ark_id)
    numbers = authority.ask_key.public_key().public_numbers()
    assert (ask.exponent, ask.modulus) == (numbers.e, numbers.n)
    assert ask.signature == data[576:]
    assert ask.load().public_numbers() == numbers


@pytest.mark.parametrize("size", [0, 1, 2083, 2085])
def test_a_sev_certificate_of_another_size_is_refused(maker, size):
    with pytest.raises(BadInput, match=f"{size} bytes"):
        SevCertificate.parse((maker.pdh() + b"\0")[:size])


@pytest.mark.parametrize("offset", [0, 1, 3, 6, 7])
def test_version_and_reserved_bytes_of_a_sev_certificate_must_be_right(maker, offset):
    data = bytearray(maker.pdh())
    data[offset] ^= 2
    with pytest.raises(BadInput):
        SevCertificate.parse(bytes(data))


@pytest.mark.parametrize("offset", [0, 3, 0x28, 0x37, 0x38, 0x3A, 0x3C, 0x3F])
def test_version_reserved_bytes_and_sizes_of_an_amd_certificate_must_be_right(authority, offset):
    data = bytearray(authority.ark)
    data[offset] ^= 2
    with pytest.raises(BadInput):
        AmdCertificate.parse(bytes(data))


def test_only_a_2048_bit_certificate_may_lack_its_signature(authority):
    assert AmdCertificate.parse(authority.ark[:576]).signature is None
    large = struct.pack("<I16s16sI16sII", 1, bytes(16), bytes(16), 0, bytes(16), 4096, 4096)
    with pytest.raises(BadInput):
        AmdCertificate.parse(large + bytes(1024))


def test_both_forms_of_a_naples_root_have_one_fingerprint(authority):
    whole, unsigned = (AmdCertificate.parse(authority.ark[:size]) for size in (832, 576))
    assert whole.fingerprint() == unsigned.fingerprint()


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_an_ec_key_loads_from_its_area(curve):
    key = ec.derive_private_key(12345, curve)
    area = EcPublicKey.parse(raw.ec_area(key))
    assert area.load().public_numbers() == key.public_key().public_numbers()
    assert EcPublicKey.of(key.public_key()) == area


@pytest.mark.parametrize(
    "change",
    [
        lambda x, y: (x, y + 1),
        lambda x, y: (y, x),
        lambda x, y: (0, 0),
        lambda x, y: (x + P384_PRIME, y),
        lambda x, y: (x, y + P384_PRIME),
    ],
    ids=["off", "swapped", "zero", "x beyond the prime", "y beyond the prime"],
)
def test_a_point_that_is_not_on_the_curve_is_refused(change):
    numbers = raw.ec_key("any").public_key().public_numbers()
    with pytest.raises(BadInput) as caught:
        EcPublicKey(Curve.P384, *change(numbers.x, numbers.y)).load("PDH")
    assert caught.value.code == "point-not-on-curve"
    assert caught.value.field == "PDH"


@pytest.mark.parametrize("curve", [0, 3, 0xFFFFFFFF])
def test_unknown_curves_are_refused(curve):
    with pytest.raises(BadInput, match="curve"):
        EcPublicKey.parse(struct.pack("<I", curve) + bytes(1024))


@pytest.mark.parametrize("place", [148, 1027])
def test_padding_after_an_ec_key_must_be_zero(place):
    area = bytearray(raw.ec_area(raw.ec_key("any")))
    area[place] = 1
    with pytest.raises(BadInput, match="padding"):
        EcPublicKey.parse(bytes(area))


@pytest.mark.parametrize("generation", ["naples", "rome", "milan", "genoa", "turin"])
def test_real_files_come_out_as_they_went_in(vectors, generation):
    for path in (vectors / "chains" / generation).glob("*.cert"):
        layout = AmdCertificate if path.stem in ("ark", "ask") else SevCertificate
        assert layout.parse(path.read_bytes()).build() == path.read_bytes()
