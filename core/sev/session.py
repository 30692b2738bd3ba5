# SPDX-License-Identifier: Apache-2.0
"""The launch session: a one-time key of the owner's, and transport keys wrapped for the PDH.

The host gets two things: GODH (a 2084-byte certificate) and the launch blob (128
bytes). Only the secure processor that holds the PDH's private key can open the
blob. TEK encrypts what the owner sends, TIK authenticates it and the measurement.
Source: AMD SEV API specification, LAUNCH_START; NIST SP 800-108 for the derivation.
"""

from __future__ import annotations

import base64
import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ..errors import BadInput, VerificationRefused
from ..secret import Secret
from .certificates import Algorithm, EcPublicKey, SevCertificate, Signature, Usage
from .mac import hmac_sha256
from .platform import Platform
from .policy import ApprovedPolicy
from .proof import Mint, Proof

_MINT: Final = Mint("watchword.core.sev.session")
KEY_SIZE: Final = 16
"""Bytes of TEK, TIK, KEK, KIK, the master secret, nonces and initialisation vectors."""
# The order of P-384: private keys are 1 to this number less one.
_P384_ORDER: Final = (1 << 384) - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D


@dataclass(frozen=True, slots=True)
class LaunchBlob:
    """What QEMU and libvirt call the session: 128 bytes.

    nonce 16, TEK and TIK wrapped 32, IV of the wrapping 16, MAC of the wrapped
    keys 32, MAC of the policy 32.
    """

    nonce: bytes
    wrapped_keys: bytes
    wrap_iv: bytes
    wrap_mac: bytes
    policy_mac: bytes

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<16s32s16s32s32s")

    @classmethod
    def parse(cls, data: bytes, field: str = "launch blob") -> LaunchBlob:
        """Read exactly 128 bytes; BadInput for any other size."""
        if len(data) != cls._LAYOUT.size:
            raise BadInput(
                "bad-launch-blob",
                field,
                f"It has {len(data)} bytes; a launch blob has 128.",
                "Take N_session.b64 or N_session.bin as `watchword session create` wrote it.",
            )
        return cls(*cls._LAYOUT.unpack(data))

    def build(self) -> bytes:
        """The 128 bytes."""
        return self._LAYOUT.pack(
            self.nonce, self.wrapped_keys, self.wrap_iv, self.wrap_mac, self.policy_mac
        )


@dataclass(frozen=True, slots=True)
class LaunchMaterial:
    """What the host is given to start the VM with; nothing in it is secret."""

    godh: SevCertificate
    blob: LaunchBlob

    @property
    def godh_base64(self) -> str:
        """GODH as QEMU's ``dh-cert-file`` and libvirt's ``dhCert`` hold it."""
        return base64.b64encode(self.godh.build()).decode()

    @property
    def session_base64(self) -> str:
        """The launch blob as QEMU's ``session-file`` and libvirt's ``session`` hold it."""
        return base64.b64encode(self.blob.build()).decode()


@dataclass(frozen=True, slots=True)
class SessionRandomness:
    """All that is random in a session, drawn at one place; each part is used once."""

    godh: ec.EllipticCurvePrivateKey = field(repr=False)
    nonce: bytes
    tek: Secret
    tik: Secret
    wrap_iv: bytes

    @classmethod
    def draw(cls, random: Callable[[int], bytes]) -> SessionRandomness:
        """Fresh keys from ``random``, a source such as ``os.urandom``.

        The private key is reduced from 56 bytes, 64 bits more than the curve's
        order has, so that it is as good as uniform (FIPS 186-5, A.2.1).
        """
        scalar = int.from_bytes(random(56)) % (_P384_ORDER - 1) + 1
        return cls(
            godh=ec.derive_private_key(scalar, ec.SECP384R1()),
            nonce=random(KEY_SIZE),
            tek=Secret(random(KEY_SIZE)),
            tik=Secret(random(KEY_SIZE)),
            wrap_iv=random(KEY_SIZE),
        )


class LaunchSession(Proof):
    """TEK and TIK of one launch, with the platform and the policy that they were made for.

    ``platform``  None for keys that were made elsewhere: nothing is known of it here
    ``nonce``     the blob's nonce (16 bytes), None for keys made elsewhere
    """

    __slots__ = ("_tek", "_tik", "nonce", "platform", "policy")

    platform: Platform | None
    policy: ApprovedPolicy
    nonce: bytes | None
    _tek: Secret
    _tik: Secret

    def __init__(
        self,
        mint: Mint,
        platform: Platform | None,
        policy: ApprovedPolicy,
        keys: tuple[Secret, Secret],
        nonce: bytes | None,
    ) -> None:
        _MINT.check(mint)
        tek, tik = keys
        self._establish(platform=platform, policy=policy, nonce=nonce, _tek=tek, _tik=tik)

    @property
    def tek(self) -> Secret:
        """The transport encryption key (16 bytes)."""
        return self._tek

    @property
    def tik(self) -> Secret:
        """The transport integrity key (16 bytes). It is never disclosed, not even afterwards."""
        return self._tik

    @property
    def over(self) -> bool:
        """Whether the keys are gone: the one packet was sealed, or the launch abandoned."""
        return self._tik.wiped

    def abandon(self) -> None:
        """Erase the keys: nothing can be verified or sealed with this session any more."""
        self._tek.wipe()
        self._tik.wipe()

    def __repr__(self) -> str:
        return f"<launch session for {self.platform!r}, policy 0x{self.policy.policy.value:x}>"


def derive_key(key: bytes | memoryview, label: bytes, context: bytes) -> bytes:
    """16 bytes by SP 800-108 in counter mode with HMAC-SHA-256; counter and length little-endian.

    One block is enough for 128 bits.
    """
    length = struct.pack("<I", 8 * KEY_SIZE)
    return hmac_sha256(key, struct.pack("<I", 1), label, b"\0", context, length)[:KEY_SIZE]


def godh_certificate(key: ec.EllipticCurvePublicKey) -> SevCertificate:
    """The owner's one-time certificate: an ECDH key on P-384, both signature slots empty.

    Secure processors take it signed or unsigned; a signature by itself proves nothing.
    """
    area = EcPublicKey.of(key).build()
    slots = (Signature.empty(), Signature.empty())
    return SevCertificate(0, 0, Usage.PDH, Algorithm.ECDH_SHA256, area, slots)


def wrap_keys(
    pdh: ec.EllipticCurvePublicKey, randomness: SessionRandomness, policy: int
) -> LaunchBlob:
    """The launch blob: TEK and TIK wrapped for the holder of the PDH's private key.

    ``policy`` is the full 32-bit value: its MAC covers the minimum API bits too.
    """
    shared = randomness.godh.exchange(ec.ECDH(), pdh)
    master = derive_key(shared, b"sev-master-secret", randomness.nonce)
    kek = derive_key(master, b"sev-kek", b"")
    kik = derive_key(master, b"sev-kik", b"")
    encryptor = Cipher(algorithms.AES(kek), modes.CTR(randomness.wrap_iv)).encryptor()
    with randomness.tek.reveal() as tek, randomness.tik.reveal() as tik:
        wrapped = encryptor.update(tek) + encryptor.update(tik) + encryptor.finalize()
        policy_mac = hmac_sha256(tik, struct.pack("<I", policy))
    wrap_mac = hmac_sha256(kik, wrapped)
    return LaunchBlob(randomness.nonce, wrapped, randomness.wrap_iv, wrap_mac, policy_mac)


def create_session(
    platform: Platform, policy: ApprovedPolicy, randomness: SessionRandomness
) -> tuple[LaunchSession, LaunchMaterial]:
    """A session for one launch on ``platform``, and what its host is given.

    The one-time private key is in ``randomness`` alone: drop that afterwards.
    """
    blob = wrap_keys(platform.public_key, randomness, policy.policy.value)
    material = LaunchMaterial(godh_certificate(randomness.godh.public_key()), blob)
    keys = (randomness.tek, randomness.tik)
    return LaunchSession(_MINT, platform, policy, keys, randomness.nonce), material


def adopt_session(
    tek: Secret, tik: Secret, policy: ApprovedPolicy, platform: Platform | None
) -> LaunchSession:
    """A session whose keys were made elsewhere, by an earlier command or another tool.

    ``platform`` is the one whose chain was verified here, or None: then nobody
    knows here which platform the keys were wrapped for.
    Raises BadInput unless both keys have 16 bytes.
    """
    for name, key in (("TEK", tek), ("TIK", tik)):
        if len(key) != KEY_SIZE:
            raise BadInput(
                "bad-transport-key",
                name,
                f"It has {len(key)} bytes; a transport key has 16.",
                "Give the 16 bytes raw, or sev-tool's tmp_tk.bin (TEK, then TIK) with --tk.",
            )
    return LaunchSession(_MINT, platform, policy, (tek, tik), None)


def restore_session(
    tek: Secret, tik: Secret, policy: ApprovedPolicy, platform: Platform, blob: LaunchBlob
) -> LaunchSession:
    """The session of an earlier process, over a platform that was judged again in this one.

    The blob's MAC over the policy shows that keys, blob and policy belong together; that
    they were made for this platform nothing in them shows: the caller must know it.
    Raises VerificationRefused ``session-mismatch``, and BadInput as ``adopt_session``.
    """
    session = adopt_session(tek, tik, policy, platform)
    with tik.reveal() as key:
        expected = hmac_sha256(key, policy.policy.build())
    if not hmac.compare_digest(expected, blob.policy_mac):
        raise VerificationRefused(
            "session-mismatch",
            "The launch blob does not belong to these keys and this policy",
            "Its MAC over the policy is not what these keys make: blob, policy or keys are of"
            " another launch, or somebody has changed them.",
            "Nothing was sent. Abandon this launch and start a new one.",
        )
    return LaunchSession(_MINT, platform, policy, (session.tek, session.tik), blob.nonce)
