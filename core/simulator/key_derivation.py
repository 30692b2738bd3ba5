# SPDX-License-Identifier: Apache-2.0
"""How the secure processor gets a guest's keys out of the owner's launch session.

Source: AMD SEV API specification (launch session, key derivation); NIST SP 800-108,
counter mode. Written from the specification, apart from the owner's side on purpose.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ..secret import Secret
from .firmware_status import FirmwareRefusal, FirmwareStatus

SESSION_SIZE = 128
_SESSION = struct.Struct("<16s32s16s32s32s")
_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class SessionWrappingKeys:
    """KEK and KIK (16 bytes each): what the session's keys are encrypted and authenticated with."""

    kek: Secret
    kik: Secret


@dataclass(frozen=True, slots=True)
class TransportKeys:
    """TEK and TIK (16 bytes each) of one guest."""

    tek: Secret
    tik: Secret

    def wipe(self) -> None:
        """Overwrite both keys."""
        self.tek.wipe()
        self.tik.wipe()


def derive_key(secret: bytes, label: bytes, context: bytes, size: int = _KEY_BYTES) -> bytes:
    """SP 800-108 counter mode with HMAC-SHA-256; counter and length are little-endian u32.

    ``size`` in bytes (a multiple of 8 bits by nature); the label is followed by one zero byte.
    """
    fixed = label + b"\0" + context + struct.pack("<I", size * 8)
    blocks = (
        hmac.digest(secret, struct.pack("<I", counter) + fixed, hashlib.sha256)
        for counter in range(1, -(-size // 32) + 1)
    )
    return b"".join(blocks)[:size]


def wrapping_keys(
    private: ec.EllipticCurvePrivateKey, peer: ec.EllipticCurvePublicKey, nonce: bytes
) -> SessionWrappingKeys:
    """KEK and KIK from the Diffie-Hellman secret (48 bytes, big-endian x) and the 16-byte nonce."""
    master = derive_key(private.exchange(ec.ECDH(), peer), b"sev-master-secret", nonce)
    return SessionWrappingKeys(
        kek=Secret(derive_key(master, b"sev-kek", b"")),
        kik=Secret(derive_key(master, b"sev-kik", b"")),
    )


def aes_ctr(key: Secret, initial_counter: bytes, data: bytes) -> bytes:
    """AES-128-CTR, 128-bit big-endian counter; encrypting and decrypting are the same."""
    with key.reveal() as view:
        stream = Cipher(algorithms.AES(view), modes.CTR(initial_counter)).encryptor()
        return stream.update(data) + stream.finalize()


def mac(key: Secret, message: bytes) -> bytes:
    """HMAC-SHA-256 (32 bytes)."""
    with key.reveal() as view:
        return hmac.digest(bytes(view), message, hashlib.sha256)


def unwrap_session(
    pdh: ec.EllipticCurvePrivateKey,
    godh: ec.EllipticCurvePublicKey,
    session: bytes,
    policy: int,
) -> TransportKeys:
    """TEK and TIK out of a 128-byte launch session, as LAUNCH_START does it.

    Raises FirmwareRefusal: status 4 for another size, 11 where the MAC over the wrapped keys
    or the MAC over the policy is wrong (usually: made for another PDH, or another policy).
    """
    if len(session) != SESSION_SIZE:
        raise FirmwareRefusal("LAUNCH_START", FirmwareStatus.INVALID_LENGTH)
    nonce, wrapped, counter, wrap_mac, policy_mac = _SESSION.unpack(session)
    wrapping = wrapping_keys(pdh, godh, nonce)
    try:
        if not hmac.compare_digest(mac(wrapping.kik, wrapped), wrap_mac):
            raise FirmwareRefusal("LAUNCH_START", FirmwareStatus.BAD_MEASUREMENT)
        plain = bytearray(aes_ctr(wrapping.kek, counter, wrapped))
    finally:
        wrapping.kek.wipe()
        wrapping.kik.wipe()
    keys = TransportKeys(tek=Secret(plain[:_KEY_BYTES]), tik=Secret(plain[_KEY_BYTES:]))
    plain[:] = bytes(len(plain))
    if not hmac.compare_digest(mac(keys.tik, struct.pack("<I", policy)), policy_mac):
        keys.wipe()
        raise FirmwareRefusal("LAUNCH_START", FirmwareStatus.BAD_MEASUREMENT)
    return keys
