# SPDX-License-Identifier: Apache-2.0
"""The identity of a simulated platform: its keys, and every certificate it shows.

The root is its own and says so in its key ids: nothing trusts it unless told to by name.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ..errors import UsageError
from .certificate_layout import (
    SEV_CERTIFICATE_SIZE,
    Algorithm,
    AmdKeyIds,
    Usage,
    amd_body,
    amd_certificate,
    ecdsa_slot,
    rsa_slot,
    sev_body,
    sev_certificate,
    without_signatures,
)

SIMULATED_ARK_ID = b"SIMULATED-ARK-01"
SIMULATED_ASK_ID = b"SIMULATED-ASK-01"
CHIP_ID_SIZE = 64
RSA_SIZES = (2048, 4096)
"""Naples has 2048-bit CA keys (SHA-256), every later generation 4096-bit ones (SHA-384)."""

_CEK_API = (0, 14)  # what real CEKs carry, whatever the firmware


@dataclass(frozen=True, slots=True)
class SigningRoot:
    """AMD's part: the root key ARK and the signing key ASK with their certificates.

    ``ark`` and ``ask`` are whole certificates: 832 bytes each (2048-bit) or 1600 (4096-bit).
    """

    ark_key: rsa.RSAPrivateKey = field(repr=False)
    ask_key: rsa.RSAPrivateKey = field(repr=False)
    ark: bytes = field(repr=False)
    ask: bytes = field(repr=False)

    @classmethod
    def generate(
        cls,
        rsa_bits: int = 4096,
        ark_id: bytes = SIMULATED_ARK_ID,
        ask_id: bytes = SIMULATED_ASK_ID,
    ) -> SigningRoot:
        """New keys; ids are 16 bytes. Takes a second or two for 4096 bits: not for an event loop.

        Raises UsageError ``simulator-rsa-size`` for sizes other than 2048 and 4096.
        """
        if rsa_bits not in RSA_SIZES:
            raise UsageError(
                "simulator-rsa-size",
                "No platform has such keys",
                f"CA keys of {rsa_bits} bits were asked for.",
                "Take 2048 (like Naples) or 4096 (like Rome and later).",
            )
        ark_key = rsa.generate_private_key(65537, rsa_bits)
        ask_key = rsa.generate_private_key(65537, rsa_bits)
        ark_body = amd_body(Usage.ARK, ark_key.public_key(), AmdKeyIds(ark_id, ark_id))
        ask_body = amd_body(Usage.ASK, ask_key.public_key(), AmdKeyIds(ask_id, ark_id))
        return cls(
            ark_key=ark_key,
            ask_key=ask_key,
            ark=amd_certificate(ark_body, ark_key),
            ask=amd_certificate(ask_body, ark_key),
        )

    def is_consistent(self) -> bool:
        """Whether both certificates are whole and carry the public halves of their keys."""
        pairs = (
            (self.ark, self.ark_key, Usage.ARK, self.ark),
            (self.ask, self.ask_key, Usage.ASK, self.ark),
        )
        return all(
            len(certificate) == 64 + 3 * key.key_size // 8
            and certificate.startswith(
                amd_body(usage, key.public_key(), AmdKeyIds(certificate[4:20], certifier[4:20]))
            )
            for certificate, key, usage, certifier in pairs
        )


@dataclass(frozen=True, slots=True)
class PlatformKeys:
    """One machine: chip id (64 bytes), chip and owner keys (P-384), certificates (2084 bytes each).

    ``cek`` is the certificate signed by the ASK, as AMD's key service returns it. The host
    itself only has the unsigned one (:attr:`cek_unsigned`).
    """

    root: SigningRoot
    chip_id: bytes = field(repr=False)
    api: tuple[int, int]
    cek_key: ec.EllipticCurvePrivateKey = field(repr=False)
    oca_key: ec.EllipticCurvePrivateKey = field(repr=False)
    pek_key: ec.EllipticCurvePrivateKey = field(repr=False)
    pdh_key: ec.EllipticCurvePrivateKey = field(repr=False)
    cek: bytes = field(repr=False)
    oca: bytes = field(repr=False)
    pek: bytes = field(repr=False)
    pdh: bytes = field(repr=False)

    @classmethod
    def generate(cls, rsa_bits: int = 4096, api: tuple[int, int] = (1, 55)) -> PlatformKeys:
        """A new machine under a new root; ``api`` is what the PEK and later certificates carry.

        Takes a second or two for 4096 bits: call it off the event loop.
        """
        return cls.generate_under(SigningRoot.generate(rsa_bits), api)

    @classmethod
    def generate_under(cls, root: SigningRoot, api: tuple[int, int] = (1, 55)) -> PlatformKeys:
        """A new machine under a given root."""
        cek_key, oca_key, pek_key, pdh_key = (_new_key() for _ in range(4))
        cek_body = sev_body(Usage.CEK, Algorithm.ECDSA_SHA256, cek_key.public_key(), _CEK_API)
        oca_body = sev_body(Usage.OCA, Algorithm.ECDSA_SHA256, oca_key.public_key(), api)
        pek_body = sev_body(Usage.PEK, Algorithm.ECDSA_SHA256, pek_key.public_key(), api)
        return cls(
            root=root,
            chip_id=secrets.token_bytes(CHIP_ID_SIZE),
            api=api,
            cek_key=cek_key,
            oca_key=oca_key,
            pek_key=pek_key,
            pdh_key=pdh_key,
            cek=sev_certificate(cek_body, rsa_slot(Usage.ASK, root.ask_key, cek_body)),
            oca=sev_certificate(oca_body, ecdsa_slot(Usage.OCA, oca_key, oca_body)),
            pek=sev_certificate(
                pek_body,
                ecdsa_slot(Usage.OCA, oca_key, pek_body),
                ecdsa_slot(Usage.CEK, cek_key, pek_body),
            ),
            pdh=_pdh_certificate(pdh_key, pek_key, api),
        )

    def sibling(self) -> PlatformKeys:
        """Another machine under the same root."""
        return PlatformKeys.generate_under(self.root, self.api)

    def with_new_pdh(self) -> PlatformKeys:
        """The same machine after PDH_GEN or a reset: sessions made for the old PDH fail now."""
        key = _new_key()
        return replace(self, pdh_key=key, pdh=_pdh_certificate(key, self.pek_key, self.api))

    @property
    def cek_unsigned(self) -> bytes:
        """The CEK as the host hands it out: the same key, both signature slots empty."""
        return without_signatures(self.cek)

    @property
    def pek_oca_cek(self) -> bytes:
        """``cert-chain`` of query-sev-capabilities: PEK, OCA, unsigned CEK (6252 bytes)."""
        return self.pek + self.oca + self.cek_unsigned

    @property
    def ask_ark(self) -> bytes:
        """ASK and ARK, in the order of AMD's ask_ark files (1664 or 3200 bytes)."""
        return self.root.ask + self.root.ark

    @property
    def full_chain(self) -> bytes:
        """PDH, PEK, OCA, signed CEK, ASK, ARK: a full sevctl export (10000 or 11536 bytes)."""
        return self.pdh + self.pek + self.oca + self.cek + self.ask_ark

    def is_consistent(self) -> bool:
        """Whether each certificate is whole and carries the public half of its private key."""
        chip = (
            (self.cek, self.cek_key, Usage.CEK, Algorithm.ECDSA_SHA256, _CEK_API),
            (self.oca, self.oca_key, Usage.OCA, Algorithm.ECDSA_SHA256, self.api),
            (self.pek, self.pek_key, Usage.PEK, Algorithm.ECDSA_SHA256, self.api),
            (self.pdh, self.pdh_key, Usage.PDH, Algorithm.ECDH_SHA256, self.api),
        )
        return self.root.is_consistent() and all(
            len(certificate) == SEV_CERTIFICATE_SIZE
            and certificate.startswith(sev_body(usage, algorithm, key.public_key(), api))
            for certificate, key, usage, algorithm, api in chip
        )


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def _pdh_certificate(
    key: ec.EllipticCurvePrivateKey, pek: ec.EllipticCurvePrivateKey, api: tuple[int, int]
) -> bytes:
    body = sev_body(Usage.PDH, Algorithm.ECDH_SHA256, key.public_key(), api)
    return sev_certificate(body, ecdsa_slot(Usage.PEK, pek, body))
