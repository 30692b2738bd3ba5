# SPDX-License-Identifier: Apache-2.0
"""The packet that carries the secrets: encrypted with TEK, bound by TIK to one measurement.

``seal`` is the only way to make one, and it takes a ``VerifiedMeasurement``: there
is no way to a packet around verification. What was sealed and stored is read back as
a ``StoredPacket``: the same bytes and nothing else.
Source: AMD SEV API specification, LAUNCH_SECRET.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ..errors import BadInput, UsageError, VerificationRefused
from ..secret import Secret
from .mac import hmac_sha256
from .measurement import VerifiedMeasurement
from .proof import Mint, Proof
from .secret_table import KVM_LIMIT, SecretEntry, TestSecretEntry, build_table, check_entries

_MINT: Final = Mint("watchword.core.sev.secret_packet")
_HEADER: Final = struct.Struct("<I16s32s")
HEADER_SIZE: Final = _HEADER.size
"""52 bytes: flags, IV, MAC."""
_SECRET_CONTEXT: Final = b"\x01"
_FLAGS: Final = 0  # bit 0 would say that the secret is compressed


class SecretPacket(Proof):
    """Header (52 bytes) and ciphertext (a multiple of 16) for one VM with one measurement.

    It holds no secret in clear, and may be sent again byte for byte.
    """

    __slots__ = ("ciphertext", "header", "verified")

    header: bytes
    ciphertext: bytes
    verified: VerifiedMeasurement

    def __init__(
        self, mint: Mint, header: bytes, ciphertext: bytes, verified: VerifiedMeasurement
    ) -> None:
        _MINT.check(mint)
        self._establish(header=header, ciphertext=ciphertext, verified=verified)

    @property
    def header_base64(self) -> str:
        """The header as QMP's ``packet-header`` and libvirt's ``sev-secret-header`` hold it."""
        return base64.b64encode(self.header).decode()

    @property
    def ciphertext_base64(self) -> str:
        """The ciphertext as QMP's ``secret`` and libvirt's ``sev-secret`` hold it."""
        return base64.b64encode(self.ciphertext).decode()

    def __repr__(self) -> str:
        return f"<secret packet, {len(self.ciphertext)} bytes for {self.verified!r}>"


class StoredPacket(Proof):
    """A packet that was sealed earlier and kept: bytes to be sent again as they are.

    Whatever it is, it can't be made from a secret: :meth:`load` takes only bytes whose
    SHA-256 was noted when they were sealed, and there are no keys to seal others with.
    """

    __slots__ = ("ciphertext", "header")

    header: bytes
    ciphertext: bytes

    def __init__(self, mint: Mint, header: bytes, ciphertext: bytes) -> None:
        _MINT.check(mint)
        self._establish(header=header, ciphertext=ciphertext)

    @classmethod
    def load(cls, header: bytes, ciphertext: bytes, sha256: str) -> StoredPacket:
        """The packet from a store; ``sha256`` (hex) is what ``packet_sha256`` said of it.

        Raises BadInput ``bad-packet`` for sizes that no packet has (header 52 bytes,
        ciphertext a multiple of 16 up to 16384), and for other bytes than were sealed.
        """
        sizes = len(header) == HEADER_SIZE and 0 < len(ciphertext) <= KVM_LIMIT
        if not sizes or len(ciphertext) % 16:
            raise _bad_packet(
                f"Its parts have {len(header)} and {len(ciphertext)} bytes, as no packet has."
            )
        packet = cls(_MINT, header, ciphertext)
        if not hmac.compare_digest(packet_sha256(packet), sha256):
            raise _bad_packet("Its bytes are not those that were sealed.")
        return packet

    def __repr__(self) -> str:
        return f"<stored secret packet, {len(self.ciphertext)} bytes>"


Packet = SecretPacket | StoredPacket
"""What a host may be handed: sealed just now, or sealed earlier and sent again."""


def packet_sha256(packet: Packet) -> str:
    """SHA-256 (hex) of header and ciphertext: a packet's name in records."""
    return hashlib.sha256(packet.header + packet.ciphertext).hexdigest()


def _bad_packet(problem: str) -> BadInput:
    return BadInput(
        "bad-packet",
        "the stored packet",
        problem,
        "Somebody has changed the records. It is not sent: start a new launch.",
    )


def encrypt_table(
    tek: Secret, tik: Secret, iv: bytes, table: Secret, measurement: bytes
) -> tuple[bytes, bytes]:
    """Header and ciphertext of a packet, for any keys and any table of a multiple of 16 bytes.

    The calculation alone, for known answers; ``seal`` is what programs call.
    The MAC covers the guest's and the packet's length, which are the same.
    """
    with tek.reveal() as key, table.reveal() as clear:
        encryptor = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
        ciphertext = encryptor.update(clear) + encryptor.finalize()
    length = struct.pack("<I", len(ciphertext))
    flags = struct.pack("<I", _FLAGS)
    with tik.reveal() as key:
        mac = hmac_sha256(key, _SECRET_CONTEXT, flags, iv, length, length, ciphertext, measurement)
    return _HEADER.pack(_FLAGS, iv, mac), ciphertext


def seal(
    verified: VerifiedMeasurement,
    entries: Sequence[SecretEntry],
    iv: bytes,
    area_size: int | None,
) -> SecretPacket:
    """Seal the secrets for the VM that was measured, and erase the session's keys.

    ``iv`` is 16 fresh random bytes; ``area_size`` the bytes of the firmware's
    secret area, None if only KVM's limit is known.
    At most one packet is ever sealed in a session: a second one under the same
    keys could be put into a clone of the VM that was started from the same blob.
    Raises UsageError ``already-sealed``, BadInput ``bad-secrets``, and
    VerificationRefused ``platform-not-proven`` for secrets of worth on a platform
    that was waived or is under a root that is not AMD's.
    """
    if not isinstance(verified, VerifiedMeasurement):
        raise TypeError("only a verified measurement can be sealed for")
    session = verified.session
    if session.over:
        raise UsageError(
            "already-sealed",
            "The keys of this launch are gone",
            "They are erased when the one packet of a launch is sealed, or the launch abandoned.",
            "Send the packet that was sealed again, byte for byte, or start a new launch.",
        )
    check_platform(verified, entries)
    check_entries(entries, area_size)
    table = build_table(entries)
    measurement = verified.reported.measurement
    try:
        header, ciphertext = encrypt_table(session.tek, session.tik, iv, table, measurement)
    finally:
        table.wipe()
    session.abandon()
    return SecretPacket(_MINT, header, ciphertext, verified)


def check_platform(verified: VerifiedMeasurement, entries: Sequence[SecretEntry]) -> None:
    """Raise VerificationRefused unless these secrets may go to this session's platform."""
    platform = verified.session.platform
    if platform is None or platform.proven:
        return
    if all(isinstance(entry, TestSecretEntry) for entry in entries):
        return
    raise platform_not_proven(platform.name)


def platform_not_proven(kind: str) -> VerificationRefused:
    """The error for a secret of worth on its way to a platform that AMD does not vouch for."""
    return VerificationRefused(
        "platform-not-proven",
        "This platform may not have a real secret",
        f"Its chain is {kind}, so AMD vouches for nothing here.",
        "Only test secrets can be sent. For a launch: `watchword vault generate ENTRY --kind"
        " test-secret`, then `watchword guest edit GUEST --set secrets.NAME=ENTRY`. `attest` and"
        " `secret seal` take --test-secret NAME=FILE.",
    )
