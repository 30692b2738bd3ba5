# SPDX-License-Identifier: Apache-2.0
"""The other end of the protocol: opens sessions and packets as a secure processor does."""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def ctr(key, iv, data):
    decryptor = Cipher(algorithms.AES(key), modes.CTR(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def kdf(key, label, context=b""):
    """SP 800-108 by the library: its one-byte counter and three zeros are 1 in little-endian."""
    return KBKDFHMAC(
        algorithm=hashes.SHA256(),
        mode=Mode.CounterMode,
        length=16,
        rlen=1,
        llen=None,
        location=CounterLocation.BeforeFixed,
        label=None,
        context=None,
        fixed=bytes(3) + label + b"\0" + context + struct.pack("<I", 128),
    ).derive(key)


def shared_secret(pdh_key, godh):
    """X of the shared point, 48 bytes big-endian; GODH is 2084 bytes with a key on P-384."""
    version, _, usage, algorithm, curve = struct.unpack_from("<IIIII", godh)
    assert (version, usage, algorithm, curve, len(godh)) == (1, 0x1003, 3, 2, 2084)
    x, y = (int.from_bytes(godh[at : at + 72], "little") for at in (0x14, 0x5C))
    point = ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key()
    return pdh_key.exchange(ec.ECDH(), point)


@dataclass
class Unwrapped:
    """What a secure processor learns from a launch blob."""

    z: bytes
    master: bytes
    kek: bytes
    kik: bytes
    tek: bytes
    tik: bytes


def unwrap(pdh_key, godh, blob, policy):
    """LAUNCH_START: checks both MACs of the 128 bytes and returns the keys."""
    assert len(blob) == 128
    nonce, wrapped, iv = blob[:16], blob[16:48], blob[48:64]
    z = shared_secret(pdh_key, godh)
    master = kdf(z, b"sev-master-secret", nonce)
    kek, kik = kdf(master, b"sev-kek"), kdf(master, b"sev-kik")
    assert mac(kik, wrapped) == blob[64:96], "Bad measurement: wrapped keys"
    keys = ctr(kek, iv, wrapped)
    tek, tik = keys[:16], keys[16:]
    assert mac(tik, struct.pack("<I", policy)) == blob[96:128], "Bad measurement: policy"
    return Unwrapped(z, master, kek, kik, tek, tik)


def open_packet(tek, tik, measurement, header, ciphertext):
    """LAUNCH_SECRET: checks the MAC and returns the clear bytes."""
    flags, iv, tag = struct.unpack("<I16s32s", header)
    assert flags == 0
    sizes = struct.pack("<II", len(ciphertext), len(ciphertext))
    covered = b"\x01" + header[:20] + sizes + ciphertext + measurement
    assert mac(tik, covered) == tag, "Bad measurement: packet"
    return ctr(tek, iv, ciphertext)
