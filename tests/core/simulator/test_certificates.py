# SPDX-License-Identifier: Apache-2.0
"""The platform's certificates have the layout and the signatures that real ones have."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import UsageError
from watchword.core.simulator import PlatformKeys, SigningRoot
from watchword.core.simulator.certificate_layout import (
    SIGNED_SIZE,
    Algorithm,
    AmdKeyIds,
    Usage,
    amd_body,
    amd_certificate,
    parse_owner_key,
    sev_body,
)
from watchword.core.simulator.other_owner import make_session

SLOTS = (0x414, 0x61C)
OWNERS = {
    "pdh": (Usage.PDH, Algorithm.ECDH_SHA256),
    "pek": (Usage.PEK, Algorithm.ECDSA_SHA256),
    "oca": (Usage.OCA, Algorithm.ECDSA_SHA256),
    "cek": (Usage.CEK, Algorithm.ECDSA_SHA256),
}


def ec_key(certificate: bytes) -> ec.EllipticCurvePublicKey:
    x, y = (int.from_bytes(certificate[at : at + 72], "little") for at in (0x14, 0x5C))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key()


def label(certificate: bytes, slot: int) -> tuple[int, int]:
    usage, algorithm = (
        int.from_bytes(certificate[at : at + 4], "little") for at in (slot, slot + 4)
    )
    return usage, algorithm


def check_ecdsa(certificate: bytes, slot: int, signer: bytes) -> None:
    r, s = (int.from_bytes(certificate[at : at + 72], "little") for at in (slot + 8, slot + 80))
    ec_key(signer).verify(
        encode_dss_signature(r, s), certificate[:SIGNED_SIZE], ec.ECDSA(hashes.SHA256())
    )


def check_rsa(signature: bytes, body: bytes, signer: bytes) -> None:
    size = int.from_bytes(signer[0x3C:0x40], "little") // 8
    exponent = int.from_bytes(signer[0x40 : 0x40 + size], "little")
    modulus = int.from_bytes(signer[0x40 + size : 0x40 + 2 * size], "little")
    digest = hashes.SHA256() if size == 256 else hashes.SHA384()
    rsa.RSAPublicNumbers(exponent, modulus).public_key().verify(
        signature[:size][::-1],
        body,
        padding.PSS(padding.MGF1(digest), digest.digest_size),
        digest,
    )


@pytest.mark.parametrize("platform", ["chains/naples", "fake-platform"])
@pytest.mark.parametrize("name", list(OWNERS))
def test_bodies_are_byte_for_byte_like_real_ones(vectors: Path, platform: str, name: str):
    real = (vectors / platform / f"{name}.cert").read_bytes()
    assert sev_body(*OWNERS[name], ec_key(real), (real[4], real[5])) == real[:SIGNED_SIZE]


@pytest.mark.parametrize("generation", ["naples", "rome", "milan", "genoa", "turin"])
def test_ca_bodies_are_byte_for_byte_like_real_ones(vectors: Path, generation: str):
    real = (vectors / "chains" / generation / "ask.cert").read_bytes()
    size = int.from_bytes(real[0x3C:0x40], "little") // 8
    exponent = int.from_bytes(real[0x40 : 0x40 + size], "little")
    modulus = int.from_bytes(real[0x40 + size : 0x40 + 2 * size], "little")
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    body = amd_body(Usage.ASK, key, AmdKeyIds(real[4:20], real[20:36]))
    assert real.startswith(body)
    assert len(real) == len(body) + size


def test_every_link_of_the_chain_holds(keys: PlatformKeys):
    root = keys.root
    check_rsa(root.ark[576:], root.ark[:576], root.ark)
    check_rsa(root.ask[576:], root.ask[:576], root.ark)
    assert label(keys.cek, SLOTS[0]) == (Usage.ASK, Algorithm.RSA_SHA256)
    check_rsa(keys.cek[0x41C:0x61C], keys.cek[:SIGNED_SIZE], root.ask)
    check_ecdsa(keys.oca, SLOTS[0], keys.oca)
    assert [label(keys.pek, slot) for slot in SLOTS] == [(0x1001, 2), (0x1004, 2)]
    check_ecdsa(keys.pek, SLOTS[0], keys.oca)
    check_ecdsa(keys.pek, SLOTS[1], keys.cek)
    assert label(keys.pdh, SLOTS[0]) == (Usage.PEK, Algorithm.ECDSA_SHA256)
    check_ecdsa(keys.pdh, SLOTS[0], keys.pek)


def test_a_4096_bit_root_signs_with_sha384():
    key = rsa.generate_private_key(65537, 4096)
    body = amd_body(Usage.ARK, key.public_key(), AmdKeyIds(b"i" * 16, b"i" * 16))
    certificate = amd_certificate(body, key)
    assert len(certificate) == 1600
    check_rsa(certificate[1088:], certificate[:1088], certificate)


def test_exports_have_the_sizes_and_orders_of_real_ones(keys: PlatformKeys):
    assert len(keys.root.ark) == len(keys.root.ask) == 832
    assert len(keys.pek_oca_cek) == 6252
    assert len(keys.full_chain) == 10000
    assert keys.full_chain == keys.pdh + keys.pek + keys.oca + keys.cek + keys.ask_ark
    assert len(keys.chip_id) == 64


def test_the_cek_that_the_host_hands_out_is_the_signed_one_without_signature(keys: PlatformKeys):
    unsigned = keys.pek_oca_cek[-2084:]
    assert unsigned[:SIGNED_SIZE] == keys.cek[:SIGNED_SIZE]
    assert [label(unsigned, slot) for slot in SLOTS] == [(0x1000, 0), (0x1000, 0)]
    assert not any(unsigned[0x41C:0x61C])
    assert not any(unsigned[0x624:])


def test_the_root_says_that_it_is_simulated(keys: PlatformKeys):
    assert keys.root.ark[4:20].startswith(b"SIMULATED")
    assert keys.root.ask[4:20].startswith(b"SIMULATED")


def test_a_new_pdh_belongs_to_the_same_machine(keys: PlatformKeys):
    rotated = keys.with_new_pdh()
    assert rotated.pdh != keys.pdh
    assert rotated.pek_oca_cek == keys.pek_oca_cek
    check_ecdsa(rotated.pdh, SLOTS[0], rotated.pek)
    with pytest.raises(InvalidSignature):
        check_ecdsa(keys.sibling().pdh, SLOTS[0], keys.pek)


def test_a_sibling_is_another_chip_under_the_same_root(keys: PlatformKeys):
    other = keys.sibling()
    assert other.chip_id != keys.chip_id
    assert other.root is keys.root
    check_rsa(other.cek[0x41C:0x61C], other.cek[:SIGNED_SIZE], keys.root.ask)


def test_other_rsa_sizes_are_refused():
    with pytest.raises(UsageError, match="1024 bits"):
        SigningRoot.generate(1024)


def test_private_keys_stay_out_of_reprs(keys: PlatformKeys):
    assert "key" not in repr(keys).replace("PlatformKeys", "")


class TestOwnerKey:
    def test_signed_and_unsigned_certificates_of_other_tools_are_read(self, vectors: Path):
        signed = (vectors / "godh_naples.cert").read_bytes()
        assert label(signed, SLOTS[0]) != (0x1000, 0)
        assert parse_owner_key(signed) == ec_key(signed)

    def test_a_flipped_bit_in_the_signed_part_is_noticed(self, keys: PlatformKeys):
        godh = make_session(keys.pdh_key.public_key(), 1).godh
        assert parse_owner_key(godh) is not None
        for position in [0, 8, 12, 0x10, 0x14, 0x50, 0x5C, 0xA3, 0xA4, 0x413, 0x414, 0x61C]:
            damaged = bytearray(godh)
            damaged[position] ^= 1
            assert parse_owner_key(bytes(damaged)) is None, hex(position)

    def test_a_signature_that_is_there_has_to_be_right(self, vectors: Path):
        damaged = bytearray((vectors / "godh_naples.cert").read_bytes())
        damaged[0x41C] ^= 1
        assert parse_owner_key(bytes(damaged)) is None

    @given(st.binary(max_size=64), st.integers(0, 0x824))
    def test_any_bytes_give_a_key_or_none(self, keys: PlatformKeys, noise: bytes, start: int):
        godh = make_session(keys.pdh_key.public_key(), 1).godh
        parse_owner_key(godh[:start] + noise + godh[start + len(noise) :])
        parse_owner_key(noise)
