# SPDX-License-Identifier: Apache-2.0
"""A launch session of somebody else: what a host makes when it wants a guest of its own.

The host can always start its own guest on its own machine, with keys that it knows. What it
can't do is pass that guest off as the owner's. Also of use to tests of the secure processor.
"""

from __future__ import annotations

import base64
import secrets
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from ..secret import Secret
from .certificate_layout import Algorithm, Usage, sev_body, sev_certificate
from .key_derivation import TransportKeys, aes_ctr, mac, wrapping_keys
from .launch_macs import PACKET_HEADER, FirmwareVersion, packet_mac


@dataclass(frozen=True, slots=True)
class OwnerSession:
    """A GODH certificate (2084 bytes), a session (128 bytes), and the keys inside it."""

    godh: bytes
    session: bytes
    keys: TransportKeys

    @property
    def dh_cert_file(self) -> bytes:
        """Content for QEMU's dh-cert-file."""
        return base64.b64encode(self.godh)

    @property
    def session_file(self) -> bytes:
        """Content for QEMU's session-file."""
        return base64.b64encode(self.session)


def make_session(
    pdh: ec.EllipticCurvePublicKey, policy: int, tek_tik: bytes | None = None
) -> OwnerSession:
    """A session for a platform's PDH and a policy, with fresh keys or given ones (32 bytes)."""
    own = ec.generate_private_key(ec.SECP384R1())
    nonce, counter = secrets.token_bytes(16), secrets.token_bytes(16)
    plain = tek_tik or secrets.token_bytes(32)
    keys = TransportKeys(tek=Secret(plain[:16]), tik=Secret(plain[16:]))
    wrapping = wrapping_keys(own, pdh, nonce)
    wrapped = aes_ctr(wrapping.kek, counter, plain)
    session = b"".join(
        (
            nonce,
            wrapped,
            counter,
            mac(wrapping.kik, wrapped),
            mac(keys.tik, struct.pack("<I", policy)),
        )
    )
    body = sev_body(Usage.PDH, Algorithm.ECDH_SHA256, own.public_key(), (0, 0))
    return OwnerSession(sev_certificate(body), session, keys)


def seal(keys: TransportKeys, measurement: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """Packet header (52 bytes) and ciphertext for a secret, bound to a 32-byte measurement.

    ``secret``: a multiple of 16 bytes.
    """
    counter = secrets.token_bytes(16)
    data = aes_ctr(keys.tek, counter, secret)
    blank = PACKET_HEADER.pack(0, counter, b"")
    return PACKET_HEADER.pack(
        0, counter, packet_mac(keys.tik, FirmwareVersion(), blank, data, measurement)
    ), data
