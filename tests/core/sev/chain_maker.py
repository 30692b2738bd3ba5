# SPDX-License-Identifier: Apache-2.0
"""Makes certificate chains by hand, good ones and twisted ones, apart from the code under test."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

ARK, ASK, EMPTY, OCA, PEK, PDH, CEK = 0x0, 0x13, 0x1000, 0x1001, 0x1002, 0x1003, 0x1004
ECDSA, ECDH = 2, 3
EMPTY_SLOT = struct.pack("<II", EMPTY, 0) + bytes(512)
BODY = 0x414


def little(number, size):
    return number.to_bytes(size, "little")


def ec_area(key):
    numbers = key.public_key().public_numbers()
    curve = 2 if key.curve.name == "secp384r1" else 1
    point = little(numbers.x, 72) + little(numbers.y, 72)
    return struct.pack("<I", curve) + point + bytes(880)


def sev_body(usage, area, *, algorithm=ECDSA, api=(0, 0), version=1):
    return struct.pack("<IBBHII", version, *api, 0, usage, algorithm) + area


def ecdsa_slot(usage, key, body, *, algorithm=ECDSA):
    digest = hashes.SHA384() if algorithm == 0x102 else hashes.SHA256()
    r, s = utils.decode_dss_signature(key.sign(body, ec.ECDSA(digest)))
    return struct.pack("<II", usage, algorithm) + little(r, 72) + little(s, 72) + bytes(368)


def pss(key, body):
    """RSA-PSS with SHA-256, as for 2048-bit keys, in certificates' byte order."""
    digest = hashes.SHA256()
    scheme = padding.PSS(mgf=padding.MGF1(digest), salt_length=32)
    return key.sign(body, scheme, digest)[::-1]


def rsa_slot(usage, key, body):
    return (struct.pack("<II", usage, 1) + pss(key, body)).ljust(520, b"\0")


def amd_body(usage, key, key_id, certifying_id):
    numbers = key.public_key().public_numbers()
    bits = key.key_size
    head = struct.pack("<I16s16sI16sII", 1, key_id, certifying_id, usage, bytes(16), bits, bits)
    return head + little(numbers.e, bits // 8) + little(numbers.n, bits // 8)


def ec_key(label):
    """A P-384 key that is the same in each run."""
    scalar = int.from_bytes(hashlib.sha512(label.encode()).digest()[:47], "big") + 1
    return ec.derive_private_key(scalar, ec.SECP384R1())


@dataclass(frozen=True)
class Authority:
    """A root and a signing key with 2048 bits, like those of Naples."""

    ark_key: rsa.RSAPrivateKey
    ask_key: rsa.RSAPrivateKey
    ark_id: bytes = b"a made-up root 1"
    ask_id: bytes = b"a made-up ask  1"

    @classmethod
    def make(cls):
        return cls(rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048))

    @property
    def ark(self):
        body = amd_body(ARK, self.ark_key, self.ark_id, self.ark_id)
        return body + pss(self.ark_key, body)

    @property
    def ask(self):
        body = amd_body(ASK, self.ask_key, self.ask_id, self.ark_id)
        return body + pss(self.ark_key, body)


@dataclass(frozen=True)
class PlatformMaker:
    """The keys of one platform; certificates come out as bytes, and each may be replaced."""

    authority: Authority
    chip: str = "chip 1"
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)

    def key(self, name):
        return self.keys.get(name) or ec_key(f"{self.chip} {name}")

    def with_key(self, name, key):
        return replace(self, keys={**self.keys, name: key})

    def cek(self, *, signed=True):
        body = sev_body(CEK, ec_area(self.key("cek")), api=(0, 14))
        slot = rsa_slot(ASK, self.authority.ask_key, body) if signed else EMPTY_SLOT
        return body + slot + EMPTY_SLOT

    def oca(self):
        body = sev_body(OCA, ec_area(self.key("oca")))
        return body + ecdsa_slot(OCA, self.key("oca"), body) + EMPTY_SLOT

    def pek(self):
        body = sev_body(PEK, ec_area(self.key("pek")), api=(1, 55))
        by_oca = ecdsa_slot(OCA, self.key("oca"), body)
        return body + by_oca + ecdsa_slot(CEK, self.key("cek"), body)

    def pdh_body(self):
        return sev_body(PDH, ec_area(self.key("pdh")), algorithm=ECDH)

    def pdh(self):
        body = self.pdh_body()
        return body + ecdsa_slot(PEK, self.key("pek"), body) + EMPTY_SLOT

    def files(self):
        """All six certificates by role."""
        return {
            "ark": self.authority.ark,
            "ask": self.authority.ask,
            "cek": self.cek(),
            "oca": self.oca(),
            "pek": self.pek(),
            "pdh": self.pdh(),
        }
