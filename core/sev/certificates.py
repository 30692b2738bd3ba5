# SPDX-License-Identifier: Apache-2.0
"""Layouts of the certificates of AMD SEV: the 2084-byte SEV form and the AMD CA form.

Nothing here judges: ``parse`` refuses what can't be that layout, and whether a
certificate may be trusted is the business of ``chain``.
All integers are little-endian. Source: AMD SEV API specification (publication
55766), appendix C; field names as in AMDESE/sev-tool ``sevapi.h``.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ..errors import BadInput

SEV_CERTIFICATE_SIZE = 2084
SEV_SIGNED_SIZE = 0x414
"""Bytes 0 to 0x413 of a SEV certificate: version to public key; what its signatures cover."""
SIGNATURE_SIZE = 512
PUBLIC_KEY_SIZE = 1028
COORDINATE_SIZE = 72
"""Bytes of one EC coordinate, and of R and S, as certificates and reports store them."""


class Usage(IntEnum):
    """What a key is for; in a signature slot, whose signature it is."""

    ARK = 0x0
    ASK = 0x13
    INVALID = 0x1000
    OCA = 0x1001
    PEK = 0x1002
    PDH = 0x1003
    CEK = 0x1004


class Algorithm(IntEnum):
    """Signature and key agreement algorithms; a key's own, or a signature's."""

    NONE = 0
    RSA_SHA256 = 0x1
    ECDSA_SHA256 = 0x2
    ECDH_SHA256 = 0x3
    RSA_SHA384 = 0x101
    ECDSA_SHA384 = 0x102
    ECDH_SHA384 = 0x103


class Curve(IntEnum):
    """Elliptic curves of public key areas."""

    P256 = 1
    P384 = 2


_CURVES: dict[int, type[ec.EllipticCurve]] = {Curve.P256: ec.SECP256R1, Curve.P384: ec.SECP384R1}
# The primes of the fields (FIPS 186-5 and SP 800-186, 3.2.1).
_PRIMES: dict[int, int] = {
    Curve.P256: 2**256 - 2**224 + 2**192 + 2**96 - 1,
    Curve.P384: 2**384 - 2**128 - 2**96 + 2**32 - 1,
}


def _bad_certificate(field: str, problem: str, code: str = "bad-certificate") -> BadInput:
    return BadInput(
        code,
        field,
        problem,
        "Get the certificate from the host again, as binary or base64; it may be damaged.",
    )


@lru_cache(maxsize=16)
def _point(curve: int, x: int, y: int) -> ec.EllipticCurvePublicKey | None:
    """The point as a key, None if it is none: a certificate's key is needed for several links."""
    # OpenSSL would reduce coordinates beyond the field's prime without a word.
    if max(x, y) >= _PRIMES[curve]:
        return None
    try:
        return ec.EllipticCurvePublicNumbers(x, y, _CURVES[curve]()).public_key()
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class EcPublicKey:
    """The EC form of a public key area (1028 bytes): curve, X and Y of 72 bytes each, zeros."""

    curve: int
    x: int
    y: int

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<I72s72s880s")

    @classmethod
    def parse(cls, area: bytes, field: str = "public key") -> EcPublicKey:
        """Read a 1028-byte area; BadInput if its curve is unknown or its padding is not zero."""
        key = _parse_area(bytes(area))
        if isinstance(key, str):
            raise _bad_certificate(field, key)
        return key

    def build(self) -> bytes:
        """The 1028-byte area."""
        x = self.x.to_bytes(COORDINATE_SIZE, "little")
        y = self.y.to_bytes(COORDINATE_SIZE, "little")
        return self._LAYOUT.pack(self.curve, x, y, bytes(880))

    def load(self, field: str = "public key") -> ec.EllipticCurvePublicKey:
        """The key for use; BadInput ``point-not-on-curve`` if X and Y are no point of the curve.

        The check is what stops an invalid-curve attack on the owner's one-time key.
        """
        key = _point(self.curve, self.x, self.y)
        if key is None:
            raise _bad_certificate(
                field, "Its public key is not a point on its curve.", "point-not-on-curve"
            )
        return key

    @classmethod
    def of(cls, key: ec.EllipticCurvePublicKey) -> EcPublicKey:
        """The layout of a P-256 or P-384 key."""
        numbers = key.public_numbers()
        curve = Curve.P384 if isinstance(key.curve, ec.SECP384R1) else Curve.P256
        return cls(curve, numbers.x, numbers.y)


@lru_cache(maxsize=16)
def _parse_area(area: bytes) -> EcPublicKey | str:
    """The layout, or what is wrong with it: a certificate's area is read for several links."""
    if len(area) != PUBLIC_KEY_SIZE:
        return f"Its public key has {len(area)} bytes, not 1028."
    curve, x, y, padding = EcPublicKey._LAYOUT.unpack(area)
    if curve not in _CURVES:
        return f"It names curve {curve}; known are 1 and 2."
    if padding.strip(b"\0"):
        return "The padding after its public key is not zero."
    return EcPublicKey(curve, int.from_bytes(x, "little"), int.from_bytes(y, "little"))


@dataclass(frozen=True, slots=True)
class Signature:
    """One of the two signature slots: usage and algorithm of the signer, 512 bytes of data."""

    usage: int
    algorithm: int
    data: bytes

    _HEAD: ClassVar[struct.Struct] = struct.Struct("<II")
    SIZE: ClassVar[int] = 8 + SIGNATURE_SIZE

    @classmethod
    def parse(cls, slot: bytes) -> Signature:
        """Read a 520-byte slot."""
        usage, algorithm = cls._HEAD.unpack_from(slot)
        return cls(usage, algorithm, slot[8 : cls.SIZE])

    @classmethod
    def empty(cls) -> Signature:
        """A slot that says that it holds nothing."""
        return cls(Usage.INVALID, Algorithm.NONE, bytes(SIGNATURE_SIZE))

    def build(self) -> bytes:
        """The 520-byte slot."""
        return self._HEAD.pack(self.usage, self.algorithm) + self.data

    @property
    def is_unused(self) -> bool:
        """Whether the slot claims no signer."""
        return self.usage == Usage.INVALID

    def ecdsa_numbers(self) -> tuple[int, int]:
        """R and S (72 bytes each, little-endian)."""
        r, s = self.data[:COORDINATE_SIZE], self.data[COORDINATE_SIZE : 2 * COORDINATE_SIZE]
        return int.from_bytes(r, "little"), int.from_bytes(s, "little")


@dataclass(frozen=True, slots=True)
class SevCertificate:
    """PDH, PEK, OCA, CEK or GODH: 2084 bytes.

    ``public_key_area`` has 1028 bytes. ``api_major`` and ``api_minor`` are the
    firmware's for a PEK; real CEK and OCA carry other values than the zero that
    the specification asks for, so nothing is ever refused for them.
    """

    api_major: int
    api_minor: int
    usage: int
    algorithm: int
    public_key_area: bytes
    signatures: tuple[Signature, Signature]

    _HEAD: ClassVar[struct.Struct] = struct.Struct("<IBBHII")
    VERSION: ClassVar[int] = 1

    @classmethod
    def parse(cls, data: bytes, field: str = "certificate") -> SevCertificate:
        """Read exactly 2084 bytes; BadInput for another size or version, or reserved bytes set."""
        if len(data) != SEV_CERTIFICATE_SIZE:
            raise _bad_certificate(field, f"It has {len(data)} bytes; a SEV certificate has 2084.")
        version, major, minor, reserved, usage, algorithm = cls._HEAD.unpack_from(data)
        if version != cls.VERSION:
            raise _bad_certificate(field, f"It is of version {version}; version 1 is known.")
        if reserved:
            raise _bad_certificate(field, "Its reserved bytes are not zero.")
        first, second = data[SEV_SIGNED_SIZE:0x61C], data[0x61C:]
        slots = (Signature.parse(first), Signature.parse(second))
        return cls(major, minor, usage, algorithm, data[0x10:SEV_SIGNED_SIZE], slots)

    def build(self) -> bytes:
        """The 2084 bytes."""
        return self.signed_body() + b"".join(slot.build() for slot in self.signatures)

    def signed_body(self) -> bytes:
        """The 1044 bytes that signatures cover."""
        head = self._HEAD.pack(
            self.VERSION, self.api_major, self.api_minor, 0, self.usage, self.algorithm
        )
        return head + self.public_key_area

    def fingerprint(self) -> str:
        """SHA-256 of the signed body in hex: names the key, however often it was re-signed."""
        return hashlib.sha256(self.signed_body()).hexdigest()


@dataclass(frozen=True, slots=True)
class AmdCertificate:
    """ARK or ASK in AMD's CA form; numbers as integers, ids as 16 bytes in file order.

    Sizes: 832 bytes for RSA-2048 (Naples), 1600 for RSA-4096. The Naples ARK as AMD
    serves it lacks its signature (576 bytes): ``signature`` is None then.
    """

    key_id: bytes
    certifying_id: bytes
    usage: int
    bits: int
    exponent: int
    modulus: int
    signature: bytes | None

    _HEAD: ClassVar[struct.Struct] = struct.Struct("<I16s16sI16sII")
    VERSION: ClassVar[int] = 1
    KNOWN_BITS: ClassVar[tuple[int, ...]] = (2048, 4096)

    @classmethod
    def size_at(cls, data: bytes, offset: int = 0) -> int | None:
        """The size that a well-formed header at ``offset`` announces, or None if it is none."""
        if len(data) - offset < cls._HEAD.size:
            return None
        version, _, _, usage, _, exponent_bits, bits = cls._HEAD.unpack_from(data, offset)
        known = version == cls.VERSION and usage in (Usage.ARK, Usage.ASK)
        if not known or bits not in cls.KNOWN_BITS or exponent_bits != bits:
            return None
        size: int = cls._HEAD.size + 3 * bits // 8
        return size

    @classmethod
    def parse(cls, data: bytes, field: str = "certificate") -> AmdCertificate:
        """Read a whole certificate of 832, 1600 or (unsigned Naples ARK) 576 bytes.

        BadInput for another size, version or key size, or reserved bytes set.
        """
        if len(data) < cls._HEAD.size:
            raise _bad_certificate(field, f"It has {len(data)} bytes, too few for an ARK or ASK.")
        version, key_id, certifying_id, usage, reserved, exponent_bits, bits = (
            cls._HEAD.unpack_from(data)
        )
        if version != cls.VERSION:
            raise _bad_certificate(field, f"It is of version {version}; version 1 is known.")
        if any(reserved):
            raise _bad_certificate(field, "Its reserved bytes are not zero.")
        if bits not in cls.KNOWN_BITS or exponent_bits != bits:
            raise _bad_certificate(
                field, f"It claims sizes of {exponent_bits} and {bits} bits; known: 2048 and 4096."
            )
        return cls(key_id, certifying_id, usage, bits, *cls._numbers(data, bits // 8, field))

    @classmethod
    def _numbers(cls, data: bytes, width: int, field: str) -> tuple[int, int, bytes | None]:
        body = cls._HEAD.size + 2 * width
        unsigned_naples = width == 256 and len(data) == body
        if len(data) != body + width and not unsigned_naples:
            raise _bad_certificate(
                field, f"It has {len(data)} bytes; with this key size it has {body + width}."
            )
        exponent = int.from_bytes(data[cls._HEAD.size : body - width], "little")
        modulus = int.from_bytes(data[body - width : body], "little")
        return exponent, modulus, None if unsigned_naples else data[body:]

    def signed_body(self) -> bytes:
        """Start to end of modulus: 576 bytes (RSA-2048) or 1088 (RSA-4096)."""
        width = self.bits // 8
        head = self._HEAD.pack(
            self.VERSION,
            self.key_id,
            self.certifying_id,
            self.usage,
            bytes(16),
            self.bits,
            self.bits,
        )
        return (
            head + self.exponent.to_bytes(width, "little") + self.modulus.to_bytes(width, "little")
        )

    def build(self) -> bytes:
        """The certificate's bytes."""
        return self.signed_body() + (self.signature or b"")

    def fingerprint(self) -> str:
        """SHA-256 of the signed body in hex, the same for both forms of the Naples ARK."""
        return hashlib.sha256(self.signed_body()).hexdigest()

    def same_body(self, other: AmdCertificate) -> bool:
        """Whether the signed bodies are the same bytes, whatever the signatures."""
        return self._signed_parts() == other._signed_parts()

    def _signed_parts(self) -> tuple[object, ...]:
        ids = self.key_id, self.certifying_id
        return *ids, self.usage, self.bits, self.exponent, self.modulus

    def load(self, field: str = "certificate") -> rsa.RSAPublicKey:
        """The key for use; BadInput if the numbers can't be an RSA key."""
        try:
            return _rsa_key(self.exponent, self.modulus)
        except ValueError:
            raise _bad_certificate(field, "Its numbers are not an RSA public key.") from None


@lru_cache(maxsize=16)
def _rsa_key(exponent: int, modulus: int) -> rsa.RSAPublicKey:
    """The key; ValueError if the numbers are none. A root's key checks two signatures."""
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()
