# SPDX-License-Identifier: Apache-2.0
"""The bytes of SEV certificates and AMD CA certificates, as this platform issues and reads them.

Source: AMD SEV API specification, certificate formats; AMDESE/sev-tool src/sevapi.h.
All integers are little-endian, also those of keys and signatures.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

SEV_CERTIFICATE_SIZE = 0x824
SIGNED_SIZE = 0x414
"""Bytes of a SEV certificate that a signature covers: version to public key."""

_SLOT_SIZE = 8 + 512
_HEAD = struct.Struct("<IBBHII")
_EC_KEY = struct.Struct("<I72s72s880s")
_SLOT = struct.Struct("<II512s")
_AMD_HEAD = struct.Struct("<I16s16sI16sII")
_COORDINATE = 72


class Usage(IntEnum):
    """What a key is for (and, in a signature slot, whose key signed)."""

    ARK = 0x0
    ASK = 0x13
    INVALID = 0x1000
    OCA = 0x1001
    PEK = 0x1002
    PDH = 0x1003
    CEK = 0x1004


class Algorithm(IntEnum):
    """Algorithms of keys and signatures."""

    NONE = 0
    RSA_SHA256 = 1
    ECDSA_SHA256 = 2
    ECDH_SHA256 = 3
    RSA_SHA384 = 0x101


_EMPTY_SLOT = _SLOT.pack(Usage.INVALID, Algorithm.NONE, b"")
_CURVE_P384 = 2


@dataclass(frozen=True, slots=True)
class AmdKeyIds:
    """Key id of a CA key and of the key that certifies it (16 bytes each)."""

    key: bytes
    certifier: bytes


def sev_body(
    usage: Usage, algorithm: Algorithm, key: ec.EllipticCurvePublicKey, api: tuple[int, int]
) -> bytes:
    """The signed part of a SEV certificate (0x414 bytes) with a P-384 key."""
    numbers = key.public_numbers()
    area = _EC_KEY.pack(
        _CURVE_P384,
        numbers.x.to_bytes(_COORDINATE, "little"),
        numbers.y.to_bytes(_COORDINATE, "little"),
        b"",
    )
    return _HEAD.pack(1, api[0], api[1], 0, usage, algorithm) + area


def sev_certificate(body: bytes, *signatures: bytes) -> bytes:
    """A whole certificate (2084 bytes) of its signed part and up to two signature slots."""
    return body + b"".join((*signatures, _EMPTY_SLOT, _EMPTY_SLOT)[:2])


def without_signatures(certificate: bytes) -> bytes:
    """The same certificate with both slots empty: how hosts hand out their CEK."""
    return sev_certificate(certificate[:SIGNED_SIZE])


def raw_ecdsa_signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """ECDSA over SHA-256 as 144 bytes: R, then S, 72 bytes each, little-endian."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(_COORDINATE, "little") + s.to_bytes(_COORDINATE, "little")


def ecdsa_slot(signer: Usage, key: ec.EllipticCurvePrivateKey, body: bytes) -> bytes:
    """A filled signature slot (520 bytes) by an elliptic-curve key."""
    return _SLOT.pack(signer, Algorithm.ECDSA_SHA256, raw_ecdsa_signature(key, body))


def rsa_slot(signer: Usage, key: rsa.RSAPrivateKey, body: bytes) -> bytes:
    """A filled signature slot (520 bytes) by a CA key."""
    algorithm = Algorithm.RSA_SHA256 if key.key_size == 2048 else Algorithm.RSA_SHA384
    return _SLOT.pack(signer, algorithm, _rsa_signature(key, body))


def amd_body(usage: Usage, key: rsa.RSAPublicKey, ids: AmdKeyIds) -> bytes:
    """The signed part of an AMD CA certificate: 576 bytes for a 2048-bit key, 1088 for 4096."""
    numbers, bits = key.public_numbers(), key.key_size
    head = _AMD_HEAD.pack(1, ids.key, ids.certifier, usage, b"", bits, bits)
    return head + numbers.e.to_bytes(bits // 8, "little") + numbers.n.to_bytes(bits // 8, "little")


def amd_certificate(body: bytes, signer: rsa.RSAPrivateKey) -> bytes:
    """A whole AMD CA certificate: 832 bytes for 2048-bit keys, 1600 for 4096."""
    return body + _rsa_signature(signer, body)


def parse_owner_key(certificate: bytes) -> ec.EllipticCurvePublicKey | None:
    """The guest owner's Diffie-Hellman key out of a GODH certificate, or None where it is damaged.

    Version, usage, algorithm and curve must be those of a GODH, reserved bytes zero, and the
    point on the curve. A signature slot is empty or holds the key's own signature: both forms
    are in use (sev-tool signs, sevctl doesn't).
    """
    if len(certificate) != SEV_CERTIFICATE_SIZE:
        return None
    version, _, _, reserved, usage, algorithm = _HEAD.unpack_from(certificate)
    curve, x, y, rest = _EC_KEY.unpack_from(certificate, _HEAD.size)
    wanted = (1, 0, Usage.PDH, Algorithm.ECDH_SHA256, _CURVE_P384)
    if (version, reserved, usage, algorithm, curve) != wanted or any(rest):
        return None
    try:
        key = ec.EllipticCurvePublicNumbers(
            int.from_bytes(x, "little"), int.from_bytes(y, "little"), ec.SECP384R1()
        ).public_key()
    except ValueError:
        return None
    slots = (certificate[SIGNED_SIZE : SIGNED_SIZE + _SLOT_SIZE], certificate[-_SLOT_SIZE:])
    body = certificate[:SIGNED_SIZE]
    return key if all(_empty_or_own(slot, key, body) for slot in slots) else None


def _empty_or_own(slot: bytes, key: ec.EllipticCurvePublicKey, body: bytes) -> bool:
    usage, algorithm, signature = _SLOT.unpack(slot)
    if (usage, algorithm) == (Usage.INVALID, Algorithm.NONE):
        return True
    if algorithm != Algorithm.ECDSA_SHA256:
        return False
    r = int.from_bytes(signature[:_COORDINATE], "little")
    s = int.from_bytes(signature[_COORDINATE : 2 * _COORDINATE], "little")
    try:
        key.verify(encode_dss_signature(r, s), body, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _rsa_signature(key: rsa.RSAPrivateKey, body: bytes) -> bytes:
    digest = hashes.SHA256() if key.key_size == 2048 else hashes.SHA384()
    salted = padding.PSS(padding.MGF1(digest), salt_length=digest.digest_size)
    return key.sign(body, salted, digest)[::-1]
